"""Open-set figures: closed-set accuracy, accuracy at a false accept rate, AUROC, and intervals over draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """A mean over draws and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def signed(self) -> str:
        """For a difference."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def interval(values: list[float], seed: int = 0) -> Interval:
    """Percentile bootstrap over draws."""
    array = np.asarray(values, float)
    picks = np.random.default_rng(seed).integers(0, len(array), (2000, len(array)))
    low, high = np.quantile(array[picks].mean(axis=1), [0.025, 0.975])
    return Interval(float(array.mean()), float(low), float(high))


def rejects_saved(ours: list[float], theirs: list[float], seed: int = 0) -> Interval:
    """Which share of their false rejects ours saves, from accuracies over the same draws: 0.1 where one in ten is
    gained, below 0 where ours rejects more. Percentile bootstrap over pairs."""
    missed, reference = 1 - np.asarray(ours, float), 1 - np.asarray(theirs, float)
    picks = np.random.default_rng(seed).integers(0, len(missed), (2000, len(missed)))

    def saved(ours: Vector, theirs: Vector) -> Vector:
        return 1 - ours / np.maximum(theirs, 1e-9)

    low, high = np.quantile(saved(missed[picks].mean(axis=1), reference[picks].mean(axis=1)), [0.025, 0.975])
    return Interval(float(saved(missed.mean(), reference.mean())), float(low), float(high))


def threshold_at(negatives: Vector, rate: float) -> float:
    """The lowest threshold (accept at or above) that accepts at most ``rate`` of the negatives."""
    allowed = int(rate * len(negatives))
    return _above_all_but(allowed, negatives) if allowed < len(negatives) else float(negatives.min())


def _above_all_but(allowed: int, negatives: Vector) -> float:
    """Just above the highest of more negatives than are ``allowed`` to be accepted."""
    return float(np.nextafter(np.sort(negatives)[-1 - allowed], np.inf))


def accuracy_at(scores: Vector, right: NDArray[np.bool_], negatives: Vector, rate: float) -> float:
    """Share of queries accepted *and* named correctly, at the threshold that accepts ``rate`` of the negatives."""
    return float(np.mean((scores >= threshold_at(negatives, rate)) & right))


def accuracy_with_own(
    scores: Vector, named: NDArray[np.intp], right: NDArray[np.bool_], negatives: Vector, taken_for: NDArray[np.intp],
    commands: int, rate: float,
) -> float:  # fmt: skip
    """``accuracy_at`` where each of ``commands`` has a threshold of its own, at which it accepts an equal share of the
    ``rate``, rounded down to whole negatives. ``named`` (queries,) and ``taken_for`` (negatives,): which command scored
    most. What scores minus infinity is never accepted."""
    allowed = int(rate * len(negatives)) // commands
    thresholds = np.full(commands, -np.inf)
    for command in range(commands):
        strange = negatives[taken_for == command]
        if len(strange) > allowed:
            thresholds[command] = _above_all_but(allowed, strange)
    return float(np.mean((scores >= thresholds[named]) & (scores > -np.inf) & right))


def accuracy_curve(scores: Vector, right: NDArray[np.bool_], negatives: Vector, rates: Vector) -> Vector:
    """``accuracy_at`` each of ``rates`` (n,): (n,)."""
    ordered = np.sort(negatives)
    thresholds = [threshold_at(ordered, float(rate)) for rate in rates]
    heard = np.sort(scores[right])
    return (len(heard) - np.searchsorted(heard, thresholds, "left")) / len(scores)


def auroc(positives: Vector, negatives: Vector) -> float:
    """Probability that a query scores above a negative; ties count half."""
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, "left")
    ties = np.searchsorted(ordered, positives, "right") - below
    return float(np.mean(below + 0.5 * ties) / len(ordered))
