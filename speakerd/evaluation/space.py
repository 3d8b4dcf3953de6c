"""Embeddings with everything that scores need of them, worked out once and not in every draw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.head import Matrix
from speakerd.recognition.world import World, unit, whitening_of

NEAREST = 100  # of the cohort
Rows = NDArray[np.intp] | NDArray[np.bool_] | slice
AT_ONCE = 4096


@dataclass(frozen=True)
class Vectors:
    """``raw`` (n, dimension) unit embeddings of the encoder, ``white`` the same in the world's space, ``full`` the same
    after whitening with the full covariance of world embeddings; ``near`` and ``spread`` (n,): mean and deviation of
    the cosines to the nearest strangers; ``strange`` (n, 2): ``World.strangers``; ``taught`` (n, 1 + variants,
    dimension): white, with what it is enlarged by where it can be an example; ``cut`` (n,): whether there was an
    utterance (where not, whatever is scored counts as rejected); ``seconds`` (n,): how long it is."""

    raw: Matrix
    white: Matrix
    full: Matrix
    near: NDArray[np.float32]
    spread: NDArray[np.float32]
    strange: Matrix
    taught: Matrix
    cut: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, world: World, heard: Matrix, cut: NDArray[np.bool_], seconds: NDArray[np.float64]) -> "Vectors":
        """``heard`` (n, 1 + variants, dimension): embeddings by the encoder."""
        raw, taught = heard[:, 0], world.place(heard)
        white = np.ascontiguousarray(taught[:, 0])
        return cls(
            raw, white, fully_white(world, raw), *nearest(world, white), world.strangers(white), taught, cut, seconds
        )

    @classmethod
    def impostors(cls, world: World) -> "Vectors":
        """The shipped impostors, by which thresholds are set."""
        white = world.impostors.astype(np.float32)
        raw, there = unwhitened(world, white), np.ones(len(white), bool)
        strange = world.near_impostors
        return cls(
            raw,
            white,
            fully_white(world, raw),
            *nearest(world, white),
            strange,
            white[:, None],
            there,
            np.zeros(len(white)),
        )

    def __getitem__(self, rows: Rows) -> "Vectors":
        return Vectors(
            self.raw[rows], self.white[rows], self.full[rows], self.near[rows], self.spread[rows], self.strange[rows],
            self.taught[rows], self.cut[rows], self.seconds[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.raw)


def nearest(world: World, white: Matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation (n,) of the cosines to the strangers nearest to each vector (n, dimension)."""
    means, deviations = np.empty(len(white), np.float32), np.empty(len(white), np.float32)
    count = min(NEAREST, len(world.cohort))
    for at in range(0, len(white), AT_ONCE):
        cosines = np.partition(white[at : at + AT_ONCE] @ world.cohort.T, -count, axis=1)[:, -count:]
        means[at : at + AT_ONCE], deviations[at : at + AT_ONCE] = cosines.mean(axis=1), cosines.std(axis=1)
    return means, deviations


def fully_white(world: World, raw: Matrix) -> Matrix:
    """Unit vectors (n, dimension) after whitening with the full covariance of the world's embeddings; the product's own
    whitening raises small variances."""
    mean, whitening = whitening_of(unwhitened(world, np.concatenate([world.cohort, world.impostors])), floor=1e-3)
    return unit(np.asarray((raw - mean) @ whitening, np.float32))


def unwhitened(world: World, white: Matrix) -> Matrix:
    """The encoder's embeddings (n, dimension) behind ``world.place``'s: it lost their length in the white space, but
    they were of unit length before."""
    directions = white.astype(float) @ np.linalg.inv(world.matrix.astype(float))
    mean = world.mean.astype(float)
    square = np.square(directions).sum(axis=1)
    along = directions @ mean
    length = (np.sqrt(along**2 + square * (1 - mean @ mean)) - along) / square
    return np.asarray(mean + length[:, None] * directions, np.float32)
