"""Thresholds that are promises: how often a command may be heard wrongly, and how often it will be missed.

The false accept rate at a threshold comes from the scores that shipped impostors reach against the command, windows of
running speech as long as it, and beyond the largest of them from an exponential tail fitted to the top (peaks over
threshold). The false reject rate comes from
what this command's own examples score when each is left out in turn, by way of how the next utterances of other
commands turned out to score, given the same: three examples alone could only say 0, 1/3, 2/3 or 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.lengths import Fits
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import World
from speakerd.store.knowledge import Heads

TALK_HOURS = 4.0  # a day's television and conversation within hearing; a budget a day is spent on these
ALL_BUT = 0.999  # the largest share of misses that a distribution has a score for
TAIL = 0.02  # the share of impostors that the tail is fitted to

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Promise:
    """A threshold and what to expect of it. ``expected_fa_per_hour`` is per hour of talk; ``over_budget`` where keeping
    the budget would have meant missing the command too often."""

    threshold: float
    expected_fa_per_hour: float
    expected_frr: float
    over_budget: bool


class Impostors:
    """The false accept rate of a command as a function of its threshold."""

    def __init__(self, scores: Scores, per_hour: float) -> None:
        self._ordered = np.sort(scores)[::-1]
        self._per_hour = per_hour
        self._top = max(20, int(TAIL * len(scores)))
        self._base = float(self._ordered[self._top])
        self._excess = max(1e-4, float((self._ordered[: self._top] - self._base).mean()))

    def rate(self, threshold: float) -> float:
        """Expected false accepts per hour of talk."""
        if threshold <= self._base:
            return self._per_hour * float(np.mean(self._ordered >= threshold))
        share = self._top / len(self._ordered)
        return self._per_hour * share * float(np.exp(-(threshold - self._base) / self._excess))

    def threshold(self, rate: float) -> float:
        """The threshold that is expected to let ``rate`` false accepts per hour of talk through."""
        share = self._top / len(self._ordered)
        if rate >= self._per_hour * share:
            place = min(len(self._ordered) - 1, int(rate / self._per_hour * len(self._ordered)))
            return float(self._ordered[place])
        return self._base + self._excess * float(np.log(self._per_hour * share / rate))


def own_scores(
    world: World, examples: Sequence[Matrix], speakers: Sequence[str | None], against: Matrix | None = None,
    wrong: Matrix | None = None,
) -> Scores:  # fmt: skip
    """What each example, itself and its variants (1 + variants, dimension), scores with a head that was learned from
    the others, ``against`` and with ``wrong`` the same as the command's: (examples,); empty for a single one."""
    found = []
    for i in range(len(examples)) if len(examples) > 1 else ():
        rest = [j for j in range(len(examples)) if j != i]
        heads, _ = learned(world, [examples[j] for j in rest], [speakers[j] for j in rest], against, wrong)
        left = examples[i][:1]
        found.append(scores(heads, left, world.strangers(left)).max())
    return np.array(found, np.float32)


def expected_scores(world: World, own: Scores, examples: int) -> NormalDist:
    """The distribution of scores that the command's next utterances will have."""
    general = world.genuine[min(examples, len(world.genuine)) - 1]
    if len(own) == 0:
        return NormalDist(general.mean, general.deviation)
    return NormalDist(general.base + general.slope * float(own.mean()), general.residual)


def promise(
    world: World, heads: Heads, own: Scores, examples: int, fits: Fits, share: float, highest_frr: float,
    floor: float = -np.inf,
) -> Promise:  # fmt: skip
    """The threshold, not under ``floor``, for a command that may spend ``share`` false accepts per hour of talk, and
    that is looked for in windows of the lengths that ``fits``."""
    impostors = Impostors(world.against(heads, fits).max(axis=1), world.impostors_per_hour)
    genuine = expected_scores(world, own, examples)
    kept, limit = impostors.threshold(share), genuine.inv_cdf(min(highest_frr, ALL_BUT))
    threshold = max(floor, min(kept, limit))
    return Promise(threshold, impostors.rate(threshold), genuine.cdf(threshold), kept > limit)
