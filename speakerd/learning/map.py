"""A map: examples as points in two dimensions, in which what sounds alike lies together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.head import Matrix

Points = NDArray[np.float64]
STEPS = 100


def drawn(groups: Sequence[Matrix]) -> list[Points]:
    """Where the examples of each command lie, (examples, 2) in -1..1, from their embeddings, (examples, dimension).

    The middles of the commands are laid out so that their distances are kept as well as two dimensions allow (SMACOF:
    de Leeuw, Applications of convex analysis to multidimensional scaling, 1977); around them the examples are shown
    along the two directions in which all examples differ most.
    """
    if not groups:
        return []
    middles = np.stack([group.mean(axis=0) for group in groups]).astype(np.float64)
    everything = np.concatenate(groups) - middles.mean(axis=0)
    *_, directions = np.linalg.svd(everything, full_matrices=False)
    axes = np.zeros((middles.shape[1], 2))
    axes[:, : len(directions[:2])] = directions[:2].T
    laid = _laid_out(middles, (middles - middles.mean(axis=0)) @ axes)
    points = [place + (group - middle) @ axes for place, middle, group in zip(laid, middles, groups, strict=True)]
    largest = max(float(np.abs(each).max()) for each in points) or 1.0
    return [each / largest for each in points]


def _laid_out(wanted: Points, start: Points) -> Points:
    """Points (n, 2) whose distances are like those of ``wanted``, (n, dimension), found from ``start``."""
    target, laid = _distances(wanted), start
    for _ in range(STEPS):
        now = _distances(laid)
        ratio = np.divide(target, now, out=np.zeros_like(now), where=now > 1e-9)
        laid = (ratio.sum(axis=1, keepdims=True) * laid - ratio @ laid) / len(laid)
    return laid


def _distances(points: Points) -> Points:
    """(n, n) from (n, dimension)."""
    squares = (points**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)))
