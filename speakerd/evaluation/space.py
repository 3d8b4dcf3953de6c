"""Embeddings with everything that scores need of them, worked out once and not in every draw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.world import NEAREST, Matrix, World, unit, whitening_of

Rows = NDArray[np.intp] | NDArray[np.bool_] | slice
AT_ONCE = 4096


@dataclass(frozen=True)
class Vectors:
    """``raw`` (n, dimension) unit embeddings of the encoder, ``white`` the same in the world's space, ``full`` the same
    after whitening with the full covariance of world embeddings; ``near`` and ``spread`` (n,): mean and deviation of
    the cosines to the nearest strangers; ``cut`` (n,): whether there was an utterance (where not, whatever is scored
    counts as rejected)."""

    raw: Matrix
    white: Matrix
    full: Matrix
    near: NDArray[np.float32]
    spread: NDArray[np.float32]
    cut: NDArray[np.bool_]

    @classmethod
    def of(cls, world: World, raw: Matrix, cut: NDArray[np.bool_]) -> "Vectors":
        white = world.whiten(raw)
        parts = [white[at : at + AT_ONCE] for at in range(0, len(white), AT_ONCE)]
        near = [world.nearness(part) for part in parts]
        wide = [spread(world, part) for part in parts]
        none = [np.zeros(0, np.float32)]
        return cls(raw, white, fully_white(world, raw), np.concatenate(near or none), np.concatenate(wide or none), cut)

    @classmethod
    def impostors(cls, world: World) -> "Vectors":
        """The shipped impostors, by which thresholds are set."""
        white = world.impostors
        raw, there = unwhitened(world, white), np.ones(len(white), bool)
        return cls(raw, white, fully_white(world, raw), world.near_impostors, spread(world, white), there)

    def __getitem__(self, rows: Rows) -> "Vectors":
        return Vectors(
            self.raw[rows], self.white[rows], self.full[rows], self.near[rows], self.spread[rows], self.cut[rows]
        )

    def __len__(self) -> int:
        return len(self.raw)


def spread(world: World, white: Matrix) -> NDArray[np.float32]:
    """Deviation (n,) of the cosines that ``world.nearness`` is the mean of."""
    cosines = white @ world.cohort.T
    nearest = min(NEAREST, cosines.shape[1])
    return np.asarray(np.partition(cosines, -nearest, axis=1)[:, -nearest:].std(axis=1), np.float32)


def fully_white(world: World, raw: Matrix) -> Matrix:
    """Unit vectors (n, dimension) after whitening with the full covariance of the world's embeddings; the product's own
    whitening raises small variances."""
    mean, whitening = whitening_of(unwhitened(world, np.concatenate([world.cohort, world.impostors])), floor=1e-3)
    return unit(np.asarray((raw - mean) @ whitening, np.float32))


def unwhitened(world: World, white: Matrix) -> Matrix:
    """The encoder's embeddings (n, dimension) behind ``world.whiten``'s: it lost their length in the white space, but
    they were of unit length before."""
    directions = white.astype(float) @ np.linalg.inv(world.whitening.astype(float))
    mean = world.mean.astype(float)
    square = np.square(directions).sum(axis=1)
    along = directions @ mean
    length = (np.sqrt(along**2 + square * (1 - mean @ mean)) - along) / square
    return np.asarray(mean + length[:, None] * directions, np.float32)
