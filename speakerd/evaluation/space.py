"""Embeddings with everything that scores need of them, worked out once and not in every draw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.course import parted, unit
from speakerd.recognition.head import Matrix
from speakerd.recognition.world import World, fine, whitening_of

NEAREST = 100  # of the cohort
Rows = NDArray[np.intp] | NDArray[np.bool_] | slice
AT_ONCE = 4096


@dataclass(frozen=True)
class Vectors:
    """``raw`` (n, dimension) unit embeddings of the encoder without their courses, ``white`` the same in the world's
    space, ``placed`` those with their courses, ``full`` after whitening with the full covariance of world embeddings,
    and ``cohort`` (strangers, dimension) the strangers there; ``near`` and ``full_near`` (n, 2): mean and deviation of
    the cosines to the nearest strangers in these two; ``strange`` (n, 2 or 4): ``World.strangers``; ``taught`` (n, 1 +
    variants, dimension): ``placed``, with what it is enlarged by where it can be an example; ``cut`` (n,): whether
    there was an utterance (where not, whatever is scored counts as rejected); ``seconds`` (n,): how long it is."""

    raw: Matrix
    white: Matrix
    placed: Matrix
    full: Matrix
    cohort: Matrix
    near: Matrix
    full_near: Matrix
    strange: Matrix
    taught: Matrix
    cut: NDArray[np.bool_]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, world: World, heard: Matrix, cut: NDArray[np.bool_], seconds: NDArray[np.float64]) -> "Vectors":
        """``heard`` (n, 1 + variants, dimension): embeddings by the encoder."""
        taught = world.place(heard)
        placed = np.ascontiguousarray(taught[:, 0])
        raw, _ = parted(heard[:, 0], len(world.mean))
        return cls._in(world, raw, placed, world.strangers(placed), taught, cut, seconds)

    @classmethod
    def impostors(cls, world: World) -> "Vectors":
        """The shipped impostors, by which thresholds are set."""
        placed = fine(world.impostors.vectors)
        white = np.ascontiguousarray(placed[:, : len(world.mean)])
        there, seconds = np.ones(len(white), bool), np.zeros(len(white))
        return cls._in(world, unwhitened(world, white), placed, world.near_impostors, placed[:, None], there, seconds)

    @classmethod
    def _in(
        cls, world: World, raw: Matrix, placed: Matrix, strange: Matrix, taught: Matrix, cut: NDArray[np.bool_],
        seconds: NDArray[np.float64],
    ) -> "Vectors":  # fmt: skip
        both = fully_white(world, np.concatenate([raw, unwhitened(world, world.cohort)]))
        full, cohort = both[: len(raw)], both[len(raw) :]
        white = np.ascontiguousarray(placed[:, : len(world.mean)])
        near, full_near = nearest(white, world.cohort), nearest(full, cohort)
        return cls(raw, white, placed, full, cohort, near, full_near, strange, taught, cut, seconds)

    def __getitem__(self, rows: Rows) -> "Vectors":
        return Vectors(
            self.raw[rows], self.white[rows], self.placed[rows], self.full[rows], self.cohort, self.near[rows],
            self.full_near[rows], self.strange[rows], self.taught[rows], self.cut[rows], self.seconds[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.raw)


def nearest(vectors: Matrix, cohort: Matrix) -> Matrix:
    """Mean and deviation (n, 2) of the cosines to the strangers nearest to each vector (n, dimension)."""
    found = np.empty((len(vectors), 2), np.float32)
    count = min(NEAREST, len(cohort))
    for at in range(0, len(vectors), AT_ONCE):
        cosines = np.partition(vectors[at : at + AT_ONCE] @ cohort.T, -count, axis=1)[:, -count:]
        found[at : at + AT_ONCE] = np.stack([cosines.mean(axis=1), cosines.std(axis=1)], axis=1)
    return found


def fully_white(world: World, raw: Matrix) -> Matrix:
    """Unit vectors (n, dimension) after whitening with the full covariance of the world's embeddings; the product's own
    whitening raises small variances."""
    impostors = fine(world.impostors.vectors[:, : len(world.mean)])
    mean, whitening = whitening_of(unwhitened(world, np.concatenate([world.cohort, impostors])), floor=1e-3)
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
