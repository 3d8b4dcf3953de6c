"""A small world in which everything can be counted by hand, with a head of its own size."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from speakerd.recognition.course import unit
from speakerd.recognition.head import Adapter, Matrix
from speakerd.recognition.world import Genuine, Resting, World, coarse, fine
from speakerd.training.meta.export import export
from speakerd.training.meta.inner import first_params

DIMENSION = 16
STEPS = 2  # to export more of the same takes longer
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


@cache
def _exported() -> bytes:
    """The inner loop before anything was meta-learned; to export it takes seconds."""
    with TemporaryDirectory() as folder:
        export(first_params(DIMENSION, STEPS), "small", Path(folder) / "adapt.onnx")
        return (Path(folder) / "adapt.onnx").read_bytes()


def write_adapter(path: Path, encoder: str = "small") -> Path:
    """The head of the small world, for the embeddings of ``encoder`` (its id)."""
    model = onnx.load_model_from_string(_exported())
    onnx.helper.set_model_props(model, {one.key: one.value for one in model.metadata_props} | {"encoder": encoder})
    onnx.save(model, path)
    return path


@cache
def adapter() -> Adapter:
    with TemporaryDirectory() as folder:
        return Adapter(write_adapter(Path(folder) / "adapt.onnx"), "small")


def world(**changes: object) -> World:
    usual = World(
        adapter=adapter(),
        encoder="small",
        mean=np.zeros(DIMENSION, np.float32),
        matrix=np.eye(DIMENSION, dtype=np.float32),
        cohort=vectors(300, 1),
        impostors=Resting.of(coarse(vectors(2000, 2))),
        genuine=GENUINE,
        impostors_per_hour=500.0,
        clumped=0.8,
    )
    changed = replace(usual, **changes)
    if "lengths" not in changes:
        changed = replace(changed, lengths=np.zeros(len(changed.impostors.vectors), np.int64))
    return replace(changed, near_impostors=changed.strangers(fine(changed.impostors.vectors)))
