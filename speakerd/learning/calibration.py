"""Thresholds that are promises: how often a command may be heard wrongly, and how often it will be missed.

The false accept rate at a threshold comes from the scores that shipped impostors reach against the command, windows of
running speech as long as it, and beyond the largest of them from an exponential tail fitted to the top (peaks over
threshold); times how much more often this household's talk comes near the threshold than theirs (learning/room.py). The
false reject rate comes from what this command's own examples score when each is left out in turn, by way of how the
next utterances of other commands turned out to score, given the same: three examples alone could only say 0, 1/3, 2/3
or 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from speakerd.recognition.head import Matrix
from speakerd.recognition.lengths import Fits
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import World
from speakerd.store.knowledge import NOTHING, Heads, Overheard

TALK_HOURS = 4.0  # a day's television and conversation within hearing; a budget a day is spent on these
# False accepts per hour of talk that a command may cause at most, however much of it is missed.
NOISIEST = 2.0
ALL_BUT = 0.999  # the largest share of misses that a distribution has a score for
TAIL = 0.02  # the share of impostors that the tail is fitted to
WORSE = 0.15  # how much more of a command may be missed for the sake of what was corrected, or sounds like it
HOMES = 0.5  # the variance, between households, of the logarithm of how often talk sounds like a command
SIDES = NormalDist().inv_cdf(0.975)

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Promise:
    """A threshold and what to expect of it. ``expected_fa_per_hour`` is per hour of talk, ``fa_between`` its 95 %
    interval and ``fa_hours`` the talk behind it; ``over_budget`` where keeping the budget would have meant missing the
    command too often."""

    threshold: float
    expected_fa_per_hour: float
    fa_between: tuple[float, float]
    fa_hours: float
    expected_frr: float
    over_budget: bool


class Impostors:
    """The false accept rate of a command as a function of its threshold. So many scores ``per_hour`` are independent
    where few are false accepts; of more than one an hour it is the power ``clumped`` of their number."""

    def __init__(self, scores: Scores, per_hour: float, clumped: float = 1.0) -> None:
        self._ordered = np.sort(scores)[::-1]
        self._per_hour, self._clumped = per_hour, clumped
        self._top = max(20, int(TAIL * len(scores)))
        self._base = float(self._ordered[self._top])
        self._excess = max(1e-4, float((self._ordered[: self._top] - self._base).mean()))

    @property
    def hours(self) -> float:
        """How much talk they are worth."""
        return len(self._ordered) / self._per_hour

    def rate(self, threshold: float) -> float:
        """Expected false accepts per hour of talk."""
        if threshold <= self._base:
            chances = self._per_hour * float(np.mean(self._ordered >= threshold))
        else:
            share = self._top / len(self._ordered)
            chances = self._per_hour * share * float(np.exp(-(threshold - self._base) / self._excess))
        return chances if chances <= 1 else chances**self._clumped

    def threshold(self, rate: float) -> float:
        """The threshold that is expected to let ``rate`` false accepts per hour of talk through."""
        chances = rate if rate <= 1 else rate ** (1 / self._clumped)
        share = self._top / len(self._ordered)
        if chances >= self._per_hour * share:
            place = min(len(self._ordered) - 1, int(chances / self._per_hour * len(self._ordered)))
            return float(self._ordered[place])
        return self._base + self._excess * float(np.log(self._per_hour * share / chances))

    def doubt(self, threshold: float, known: float = -np.inf) -> float:
        """The variance of the logarithm of the rate, by how few the tail was fitted to; where that at ``known``, below
        the threshold, is certain."""
        steps = (threshold - max(known, self._base)) / self._excess
        return (max(0.0, steps) ** 2 + (known < self._base)) / self._top


@dataclass(frozen=True)
class Likeness:
    """How many times as often as strangers' talk that of a household sounds like a command: ``mean``, and the
    ``variance`` of its logarithm."""

    mean: float
    variance: float

    @classmethod
    def of(cls, heard: Overheard, impostors: Impostors, near: float) -> "Likeness":
        """After what was heard, near misses being those that score ``near`` or more: the rate of a Poisson process with
        a gamma prior, which is the wider, the less the impostors say."""
        sure = 1 / (HOMES + impostors.doubt(near))
        return cls((sure + heard.near) / (sure + heard.expected), 1 / (sure + heard.near))

    def between(self, more: float = 0.0) -> tuple[float, float]:
        """The 95 % interval, where the logarithm varies by so much ``more``."""
        wide = SIDES * sqrt(self.variance + more)
        return self.mean * exp(-wide), self.mean * exp(wide)


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
        found.append(world.highest(heads, left)[0])
    return np.array(found, np.float32)


def expected_scores(world: World, own: Scores, examples: int) -> NormalDist:
    """The distribution of scores that the command's next utterances will have."""
    general = world.usual(examples)
    if len(own) == 0:
        return NormalDist(general.mean, general.deviation)
    return NormalDist(general.base + general.slope * float(own.mean()), general.residual)


def promise(
    world: World, heads: Heads, own: Scores, examples: int, fits: Fits, share: float, highest_frr: float,
    floor: float = -np.inf, alike: float = 1.0, heard: Overheard = NOTHING,
) -> Promise:  # fmt: skip
    """The threshold, not under ``floor``, for a command that may spend ``share`` false accepts per hour of talk, or up
    to NOISIEST where otherwise more than ``highest_frr`` would be missed, and that is looked for in windows of the
    lengths that ``fits``; in a household whose talk is taken to sound ``alike`` so many times as often as strangers',
    which is not yet all that was ``heard``."""
    impostors = impostors_of(world, heads, fits)
    genuine = expected_scores(world, own, examples)
    kept, limit = impostors.threshold(share / alike), genuine.inv_cdf(min(highest_frr, ALL_BUT))
    usual = max(limit, impostors.threshold(max(share, NOISIEST)))
    heeding = max(limit, impostors.threshold(max(share, NOISIEST) / alike))
    # what is taken for such talk may be somebody who is not heard, and would be heard the less
    limit = min(heeding, max(usual, genuine.inv_cdf(min(genuine.cdf(usual) + WORSE, ALL_BUT))))
    threshold = max(floor, min(kept, limit))
    near = threshold - world.spread
    likeness, rate = Likeness.of(heard, impostors, near), impostors.rate(threshold)
    low, high = likeness.between(impostors.doubt(threshold, near))
    return Promise(
        threshold, rate * likeness.mean, (rate * low, rate * high), impostors.hours + heard.hours,
        genuine.cdf(threshold), kept > limit,
    )  # fmt: skip


def impostors_of(world: World, heads: Heads, fits: Fits) -> Impostors:
    return Impostors(world.against(heads, fits).max(axis=1), world.impostors_per_hour, world.clumped)
