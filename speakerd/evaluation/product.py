"""The product's own way, by the very functions that ``enroll`` and ``score`` call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.config.settings import Listening
from speakerd.evaluation.controls import Owners
from speakerd.evaluation.space import Vectors
from speakerd.learning.calibration import TALK_HOURS, own_scores, promise
from speakerd.recognition.head import scores
from speakerd.recognition.lengths import Fits
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import World
from speakerd.store.knowledge import Heads

Fitting = Callable[[Sequence[float]], Fits]


@dataclass(frozen=True)
class Taught:
    """Commands after their examples were given to ``enroll``: heads, the ``first`` (commands,) of each command's, a
    threshold (commands,) each, and the share of misses that was promised, their mean."""

    heads: Heads
    first: NDArray[np.intp]
    thresholds: NDArray[np.floating]
    expected_frr: float

    def __call__(self, tried: Vectors) -> NDArray[np.float32]:
        return np.maximum.reduceat(scores(self.heads, tried.placed, tried.strange), self.first, axis=1)


def taught(world: World, support: Vectors, owners: Owners, budget: Listening, fits: Fitting) -> Taught:
    """Teach each command from its examples, by nobody in particular. ``fits`` gives the lengths for them."""
    commands = int(owners.max()) + 1
    share = budget.false_accepts_per_day / TALK_HOURS / commands
    heads, promises = [], []
    for command in range(commands):
        examples = list(support.taught[owners == command])
        nobody: list[str | None] = [None] * len(examples)
        seconds = support.seconds[owners == command].tolist()
        head, _ = learned(world, examples, nobody)
        own = own_scores(world, examples, nobody)
        promises.append(promise(world, head, own, len(examples), fits(seconds), share, budget.highest_frr))
        heads.append(head)
    first = np.cumsum([0, *(len(head.bias) for head in heads[:-1])])
    thresholds = np.array([kept.threshold for kept in promises])
    return Taught(Heads.joined(heads), first, thresholds, float(np.mean([kept.expected_frr for kept in promises])))
