"""The product's own way, by the very functions that ``enroll`` and ``score`` call."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.config.settings import Listening
from speakerd.evaluation.controls import Owners
from speakerd.evaluation.space import Vectors
from speakerd.learning.calibration import TALK_HOURS, own_scores, promise
from speakerd.recognition.scoring import prototypes, relative
from speakerd.recognition.world import Matrix, World


@dataclass(frozen=True)
class Taught:
    """Commands after their examples were given to ``enroll``: ``prototypes`` (commands, dimension), ``near`` and
    ``thresholds`` (commands,), and the share of misses that was promised, their mean."""

    prototypes: Matrix
    near: NDArray[np.float32]
    thresholds: NDArray[np.floating]
    expected_frr: float

    def __call__(self, tried: Vectors) -> NDArray[np.float32]:
        return relative(tried.white @ self.prototypes.T, tried.near, self.near)


def taught(world: World, support: Vectors, owners: Owners, budget: Listening) -> Taught:
    """Teach each command from its examples, by nobody in particular."""
    commands = int(owners.max()) + 1
    share = budget.false_accepts_per_day / TALK_HOURS / commands
    matrices, promises = [], []
    for command in range(commands):
        white = support.white[owners == command]
        nobody: list[str | None] = [None] * len(white)
        matrix, _ = prototypes(white, nobody)
        own = own_scores(world, white, nobody)
        promises.append(promise(world, matrix, own, len(white), share, budget.highest_frr))
        matrices.append(matrix)
    matrix = np.concatenate(matrices)
    thresholds = np.array([kept.threshold for kept in promises])
    return Taught(matrix, world.nearness(matrix), thresholds, float(np.mean([kept.expected_frr for kept in promises])))
