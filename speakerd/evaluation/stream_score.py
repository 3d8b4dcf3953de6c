"""The meter of streams: hits, misses and false accepts as events, at given false accept rates, with intervals.

A hit is the first detection of a command within [start, end + 0.5 s] of its being said. Every other detection is a
false accept: a second one of what is said ("double"), another command's ("confused"), or one where nobody said a
command ("talk"). After a false accept, two seconds are not counted again: that is the meter's rule, not the spotter's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.evaluation.metrics import Interval
from speakerd.evaluation.streams import Said

AFTER, DEAF = 0.5, 2.0  # seconds
KINDS = ("talk", "confused", "double")
RATES = (0.1, 0.5, 1.0)  # false accepts an hour at which misses are told
DRAWS = 2000  # of the bootstrap

Levels = NDArray[np.floating]


@dataclass(frozen=True)
class Fire:
    """A detection, accepted or not: ``time`` is the end of the audio it used, in seconds."""

    time: float
    command: str
    score: float
    threshold: float

    @property
    def margin(self) -> float:
        return self.score - self.threshold


@dataclass(frozen=True)
class Heard:
    """What came of a stream. ``promised``: thresholds of its commands by the budget (false accepts per hour of talk)
    that they were set for."""

    stream: str
    seconds: float
    talk: float
    said: tuple[Said, ...]
    fires: tuple[Fire, ...]
    promised: dict[float, dict[str, float]]


@dataclass(frozen=True)
class Count:
    """False accepts by kind (KINDS), and for each command that was said how long after its end it was heard (NaN where
    it was not), in seconds."""

    false: tuple[int, int, int]
    latency: Levels


def count(said: Sequence[Said], fires: Sequence[Fire]) -> Count:
    """Judge accepted detections, in the order of their time."""
    latency = np.full(len(said), np.nan)
    false = [0, 0, 0]
    deaf_until = -math.inf
    for fire in fires:
        within = [i for i, one in enumerate(said) if one.start <= fire.time <= one.end + AFTER]
        right = [i for i in within if said[i].command == fire.command]
        new = [i for i in right if np.isnan(latency[i])]
        if new:
            latency[new[0]] = fire.time - said[new[0]].end
        elif fire.time >= deaf_until:
            false[2 if right else 1 if within else 0] += 1
            deaf_until = fire.time + DEAF
    return Count((false[0], false[1], false[2]), latency)


@dataclass(frozen=True)
class Point:
    """What happens where ``target`` false accepts an hour are let through (None: at the product's own thresholds).

    ``shift`` is what is added to all thresholds; found on these very streams where there is a target. ``false`` by kind
    (KINDS); ``fa_per_hour`` and ``frr`` with 95 % intervals, resampling streams; ``at_most``: the false accepts an hour
    that so few do not rule out (95 %, one-sided, Poisson; 3 / hours where there was none). ``frr_alone`` and
    ``frr_in_speech`` by where the commands are said. ``latency``: median, and the 10 % and 90 % quantiles of the time
    from the end of a command to its detection, in seconds."""

    target: float | None
    shift: float
    false: dict[str, int]
    fa_per_hour: Interval
    at_most: float
    frr: Interval
    frr_alone: float | None
    frr_in_speech: float | None
    latency: Interval | None

    @property
    def proven(self) -> bool:
        """Whether the streams are long enough to say anything about the target."""
        return self.target is None or self.at_most <= 2 * self.target


@dataclass(frozen=True)
class Kept:
    """A promise and what became of it: ``budget`` false accepts per hour of talk were allowed, so ``expected`` events
    in all; ``observed`` had no command in them, with a 95 % interval that resamples streams."""

    budget: float
    expected: float
    observed: Interval


class Meter:
    """Counts streams at every threshold at once."""

    def __init__(self, heard: Sequence[Heard], seed: int = 0) -> None:
        self.heard = heard
        self.hours = sum(one.seconds for one in heard) / 3600
        self.talk_hours = sum(one.talk for one in heard) / 3600
        self._seed = seed
        margins = sorted((fire.margin for one in heard for fire in one.fires), reverse=True)
        useful = 3 * sum(len(one.said) for one in heard) + round(100 * self.hours)  # looser is of no use
        self._levels = np.unique([0.0, *margins[:useful]])[::-1]  # from the strictest to the loosest
        self._counts = [_counts(one, self._levels) for one in heard]
        self._false = np.array([[sum(at.false) for at in counts] for counts in self._counts], float)
        self._hits = np.array([[np.isfinite(at.latency).sum() for at in counts] for counts in self._counts], float)
        self._said = np.array([len(one.said) for one in heard], float)
        self._seconds = np.array([one.seconds for one in heard])
        picks = np.random.default_rng(seed).integers(0, len(heard), (DRAWS, len(heard)))
        self._weights = np.stack([np.bincount(row, minlength=len(heard)) for row in picks]).astype(float)

    def points(self) -> list[Point]:
        """At the product's own thresholds, and at each of RATES."""
        return [self._point(None), *map(self._point, RATES)]

    def kept(self) -> list[Kept]:
        """Promises beside what was observed, at the budgets at which at least ten events are expected."""
        found = []
        for budget in sorted(self.heard[0].promised):
            expected = budget * self.talk_hours
            if expected < 10:
                continue
            observed = np.array([self._talk_events(one, budget) for one in self.heard], float)
            totals = self._weights @ observed
            found.append(Kept(budget, expected, _interval(observed.sum(), totals)))
        return found

    def _talk_events(self, heard: Heard, budget: float) -> int:
        thresholds = heard.promised[budget]
        return count(heard.said, [fire for fire in heard.fires if fire.score >= thresholds[fire.command]]).false[0]

    def _point(self, target: float | None) -> Point:
        one = np.ones((1, len(self.heard)))
        at = self._chosen(one, target)
        (level,) = at.tolist()
        drawn = self._chosen(self._weights, target)
        counts = [counts[level] for counts in self._counts]
        latency = np.concatenate([at.latency for at in counts])
        heard = latency[np.isfinite(latency)]
        places = np.array([said.where for one in self.heard for said in one.said])
        events = int(self._false[:, level].sum())
        return Point(
            target,
            0.0 if target is None else float(self._levels[level]),
            dict(zip(KINDS, np.sum([at.false for at in counts], axis=0).tolist(), strict=True)),
            _interval(events / self.hours, self._fa_per_hour(self._weights)[np.arange(DRAWS), drawn]),
            poisson_at_most(events) / self.hours,
            _interval(self._frr(one)[0, level], self._frr(self._weights)[np.arange(DRAWS), drawn]),
            _share_missed(latency[places == "alone"]),
            _share_missed(latency[places == "in speech"]),
            Interval(*map(float, np.quantile(heard, [0.5, 0.1, 0.9]))) if len(heard) else None,
        )

    def _chosen(self, weights: Levels, target: float | None) -> NDArray[np.intp]:
        """The level for each weighting of the streams: the loosest before which the target is nowhere exceeded."""
        if target is None:
            return np.full(len(weights), int(np.flatnonzero(self._levels == 0)[0]))
        exceeded = self._fa_per_hour(weights) > target
        first = np.where(exceeded.any(axis=1), exceeded.argmax(axis=1), exceeded.shape[1])
        return np.asarray(np.maximum(first - 1, 0))

    def _fa_per_hour(self, weights: Levels) -> Levels:
        """(weightings, levels)."""
        return np.asarray(weights @ self._false / (weights @ self._seconds / 3600)[:, None])

    def _frr(self, weights: Levels) -> Levels:
        return np.asarray(1 - weights @ self._hits / np.maximum(weights @ self._said, 1)[:, None])


def _counts(heard: Heard, levels: Levels) -> list[Count]:
    """At each of the levels, from the strictest: counted anew only where one more detection is accepted."""
    fires = sorted(heard.fires, key=lambda fire: fire.time)
    margins = np.array([fire.margin for fire in fires])
    found: list[Count] = []
    accepted = -1
    for level in levels:
        rows = np.flatnonzero(margins >= level)
        if len(rows) != accepted:
            accepted = len(rows)
            latest = count(heard.said, [fires[row] for row in rows])
        found.append(latest)
    return found


def poisson_at_most(events: int, sure: float = 0.95) -> float:
    """The largest mean at which so few events are not too few to believe: 3.0 for none."""

    def so_few(mean: float) -> float:
        return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(events + 1))

    return _falling_to(so_few, 1 - sure, events + 10 * math.sqrt(events + 1) + 10)


def _falling_to(function: Callable[[float], float], value: float, high: float) -> float:
    low = 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > value else (low, middle)
    return high


def _share_missed(latency: Levels) -> float | None:
    return float(np.isnan(latency).mean()) if len(latency) else None


def _interval(value: float, drawn: Levels) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
