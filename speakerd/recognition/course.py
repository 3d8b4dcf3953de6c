"""The course of an utterance: its sounds in their order, in few numbers, beside the pooled embedding.

What is pooled says which sounds there are, and only a little of when. The course is what the trunk hears at STEPS
moments from beginning to end, each seen in the SOUNDS directions that tell sounds apart and not voices
(training/sounds.py). Two courses are compared step by step, each with the most similar of those near the same place in
the other, since nobody says a word twice at the same pace: dynamic time warping (Sakoe and Chiba 1978) within a band,
without its path, which serves as well here and is a matrix product.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import between

STEPS, SOUNDS = 12, 32
WIDTH = STEPS * SOUNDS
BAND = 3  # steps, by which the same sound may be early or late
PAIRS = 8_000  # that are compared at a time, in under a megabyte

Array = NDArray[np.float32]


def courses(sounds: Array, runs: Sequence[slice]) -> Array:
    """The courses (runs, WIDTH) of runs of frames (frames, SOUNDS), every step of unit length."""
    return unit(steps_of(sounds, runs)).reshape(len(runs), WIDTH)


def steps_of(frames: Array, runs: Sequence[slice]) -> Array:
    """What is heard at STEPS moments of runs of frames (frames, width), between two frames something of both: (runs,
    STEPS, width)."""
    first = np.array([run.start for run in runs])[:, None]
    last = np.array([run.stop for run in runs])[:, None] - 1
    at = first + (last - first) * np.linspace(0, 1, STEPS, dtype=np.float32)
    return between(frames, at, last)


def joined(pooled: Array, course: Array) -> Array:
    """Unit embeddings (..., dimension + WIDTH), half of them what is pooled (..., dimension; unit), half the course."""
    return np.concatenate([pooled * np.float32(0.5**0.5), course * np.float32((0.5 / STEPS) ** 0.5)], axis=-1)


def parted(embeddings: Array, dimension: int) -> tuple[Array, Array]:
    """What was joined: (..., dimension) and (..., WIDTH); the latter is empty where an encoder gives no courses."""
    if embeddings.shape[-1] == dimension:
        return embeddings, embeddings[..., :0]
    pooled, course = embeddings[..., :dimension], embeddings[..., dimension:]
    return pooled * np.float32(2**0.5), course * np.float32((2 * STEPS) ** 0.5)


def middle(embeddings: Array, dimension: int) -> Array:
    """What several embeddings (n, dimension [+ WIDTH]) of one utterance have in common, (dimension [+ WIDTH],)."""
    pooled, course = parted(embeddings.sum(axis=0), dimension)
    pooled = unit(pooled)
    return joined(pooled, unit(course.reshape(STEPS, SOUNDS)).ravel()) if course.size else pooled


def arranged(many: Array) -> Array:
    """Courses (n, WIDTH) as :func:`alike` takes them, (STEPS, SOUNDS, n): worth keeping where they stay the same."""
    return np.ascontiguousarray(many.reshape(len(many), STEPS, SOUNDS).transpose(1, 2, 0))


def alike(few: Array, many: Array) -> Array:
    """How alike courses are, -1 to 1: (n, m) of ``few`` (n, WIDTH) and ``many``, m of them, :func:`arranged`."""
    others = many.shape[2]
    at_once = max(1, PAIRS // max(1, others))
    parts = [_alike(few[at : at + at_once], many) for at in range(0, len(few), at_once)]
    return np.concatenate([np.zeros((0, others), np.float32), *parts])


def _alike(few: Array, many: Array) -> Array:
    steps = few.reshape(len(few), STEPS, SOUNDS).transpose(1, 0, 2)
    best, best_of = np.full((2, STEPS, len(few), many.shape[2]), -1, np.float32)  # of each step of the ones, the others
    for late in range(-BAND, BAND + 1):
        first, last = max(0, -late), min(STEPS, STEPS - late)
        cosines = steps[first:last] @ many[first + late : last + late]
        np.maximum(best[first:last], cosines, out=best[first:last])
        np.maximum(best_of[first + late : last + late], cosines, out=best_of[first + late : last + late])
    return np.asarray((best.sum(axis=0) + best_of.sum(axis=0)) / np.float32(2 * STEPS), np.float32)


def middles(several: Array) -> Array:
    """Of each course (n, WIDTH) the mean of all, laid along it: what they have in common, at its pace."""
    steps = several.reshape(len(several), STEPS, SOUNDS)
    total = np.zeros_like(steps)
    for other in steps:
        total += other[places(steps, other)]
    return unit(total).reshape(several.shape)


def places(steps: Array, other: Array) -> NDArray[np.intp]:
    """For each of ``steps`` (..., STEPS, width) which of the ``other`` (STEPS, width) nearby is most similar."""
    away = np.abs(np.arange(STEPS)[:, None] - np.arange(STEPS)) > BAND
    return np.asarray((steps @ other.T - 3 * away).argmax(axis=-1))


def unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)
