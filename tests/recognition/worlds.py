"""A small world in which everything can be counted by hand."""

from dataclasses import replace

import numpy as np

from speakerd.recognition.world import Genuine, Matrix, World, unit

DIMENSION = 16
GENUINE = (
    Genuine(mean=0.4, deviation=0.12, base=0.4, slope=0.0, residual=0.12),
    Genuine(mean=0.45, deviation=0.11, base=0.2, slope=0.5, residual=0.1),
    Genuine(mean=0.5, deviation=0.1, base=0.15, slope=0.6, residual=0.08),
)


def vectors(many: int, seed: int) -> Matrix:
    """Unit vectors in all directions."""
    return unit(np.random.default_rng(seed).normal(size=(many, DIMENSION)).astype(np.float32))


def around(centre: Matrix, many: int, spread: float, seed: int) -> Matrix:
    """Unit vectors about one of them."""
    return unit(centre + spread * vectors(many, seed))


def world(**changes: object) -> World:
    usual = World(
        encoder="small",
        mean=np.zeros(DIMENSION, np.float32),
        whitening=np.eye(DIMENSION, dtype=np.float32),
        cohort=vectors(300, 1),
        impostors=vectors(2000, 2),
        genuine=GENUINE,
        impostors_per_hour=500.0,
    )
    return replace(usual, **changes)
