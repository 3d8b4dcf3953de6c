"""Few-shot, open-set evaluation: what came out of each draw, figures over draws, and how the product's way compares.

Figures at a false accept rate use the oracle threshold of the literature (chosen on the negatives of the draw) and,
beside it, the threshold that the shipped impostors predict for that rate; the last columns use the thresholds that
``enroll`` sets, a promise a command. Those two saw neither queries nor negatives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.config.settings import Listening
from speakerd.evaluation.conditions import Level, change_of, snr_of
from speakerd.evaluation.controls import Score, Scorer
from speakerd.evaluation.episodes import Episode
from speakerd.evaluation.metrics import (
    Interval,
    accuracy_at,
    accuracy_with_own,
    auroc,
    interval,
    rejects_saved,
    threshold_at,
)
from speakerd.evaluation.product import Fitting, taught
from speakerd.evaluation.space import Vectors
from speakerd.recognition.world import World

PRODUCT = "speakerd"
Best = tuple[NDArray[np.float32], NDArray[np.intp]]
REJECTED = -np.inf  # the score of what holds no utterance


@dataclass(frozen=True)
class Draw:
    """The outcome of one draw: best score of each query (queries,), which of ``commands`` has it and whether that is
    right; best score of each negative (negatives,) and which has it; best score of each shipped impostor."""

    best: NDArray[np.float32]
    named: NDArray[np.intp]
    right: NDArray[np.bool_]
    negatives: NDArray[np.float32]
    taken_for: NDArray[np.intp]
    impostors: NDArray[np.float32]
    commands: int

    def accuracy(self, rate: float) -> float:
        return accuracy_at(self.best, self.right, self.negatives, rate) if len(self.negatives) else np.nan

    def accuracy_with_own(self, rate: float) -> float:
        """The same with a threshold for each command, which all accept as much."""
        if not len(self.negatives):
            return np.nan
        return accuracy_with_own(self.best, self.named, self.right, self.negatives, self.taken_for, self.commands, rate)

    def calibrated(self, rate: float) -> tuple[float, float]:
        """Queries accepted and named right, and negatives accepted, at the threshold that would accept ``rate`` of the
        shipped impostors."""
        threshold = threshold_at(self.impostors, rate)
        let_in = float(np.mean(self.negatives >= threshold)) if len(self.negatives) else np.nan
        return float(np.mean((self.best >= threshold) & self.right)), let_in


@dataclass(frozen=True)
class Promised:
    """What a household would see: shares of queries heard right and of negatives accepted, and the share of misses that
    ``enroll`` expected."""

    hits: float
    false_accepts: float
    expected_frr: float


class Trial:
    """Everything heard under one condition. ``support`` and ``tried`` are the same sounds row by row, as they are heard
    when taught and when asked. ``silence``: whether a clip without an utterance may be named (it is rejected else)."""

    def __init__(
        self, world: World, support: Vectors, tried: Vectors, budget: Listening, fits: Fitting, silence: bool = False
    ) -> None:
        self.world, self.support, self.tried, self.budget = world, support, tried, budget
        self._fits, self._silence = fits, silence
        self._impostors = Vectors.impostors(world)

    def heard(self, episodes: Sequence[Episode]) -> float:
        """The share of queries in which the segmenter found an utterance."""
        return float(np.mean([self.tried.cut[episode.queries].mean() for episode in episodes]))

    def control(self, scorer: Scorer, episode: Episode) -> Draw:
        score = scorer(self.world, self.support[episode.support], episode.owners)
        return self._draw(score, episode, self._best(score, episode.queries), self._best(score, episode.negatives))

    def product(self, episode: Episode) -> tuple[Draw, Promised]:
        known = taught(self.world, self.support[episode.support], episode.owners, self.budget, self._fits)
        asked, strange = self._best(known, episode.queries), self._best(known, episode.negatives)
        draw = self._draw(known, episode, asked, strange)
        accepted, wrong = (best >= known.thresholds[which] for best, which in (asked, strange))
        let_in = float(wrong.mean()) if len(wrong) else np.nan
        return draw, Promised(float(np.mean(accepted & draw.right)), let_in, known.expected_frr)

    def _best(self, score: Score, rows: NDArray[np.intp]) -> Best:
        """The score of each row's best command (rows,), and which it is (rows,)."""
        found = score(self.tried[rows])
        heard = self.tried.cut[rows] | self._silence
        return np.where(heard, found.max(axis=1), REJECTED).astype(np.float32), found.argmax(axis=1)

    def _draw(self, score: Score, episode: Episode, asked: Best, strange: Best) -> Draw:
        impostors = score(self._impostors).max(axis=1)
        return Draw(*asked, asked[1] == episode.truth, *strange, impostors, len(episode.names))


@dataclass(frozen=True)
class Figures:
    """One line of the table: what was tried how often, and intervals over the draws. ``snr``, ``change`` None: as
    recorded; ``heard``: share of queries with an utterance; None where there were no negatives or no promises.
    ``own_``: each command at a threshold of its own. ``over_*`` of a control: how much better the product is on the
    same draws (accuracies, and share of false rejects saved at 1 %)."""

    corpus: str
    method: str
    support: str
    words: int
    shots: int
    snr: float | None
    draws: int
    queries: float
    negatives: float
    heard: float
    closed_set: Interval
    acc_at_1: Interval | None = None
    acc_at_5: Interval | None = None
    own_acc_at_1: Interval | None = None
    auroc: Interval | None = None
    calibrated_acc_at_1: Interval | None = None
    calibrated_far_at_1: Interval | None = None
    calibrated_acc_at_5: Interval | None = None
    calibrated_far_at_5: Interval | None = None
    calibrated_hit: Interval | None = None
    calibrated_far: Interval | None = None
    expected_frr: Interval | None = None
    over_closed_set: Interval | None = None
    over_at_1: Interval | None = None
    over_at_5: Interval | None = None
    rejects_saved_at_1: Interval | None = None
    rejects_saved_at_own_1: Interval | None = None
    change: str | None = None


def figures(
    episodes: Sequence[Episode], draws: Sequence[Draw], method: str, support: str, shots: int, level: Level,
    heard: float, promised: Sequence[Promised] = (), product: Sequence[Draw] = (),
) -> Figures:  # fmt: skip
    """``promised``: of the product; ``product``: its draws, for a control."""

    def over(measure: Callable[[Draw], float]) -> Interval | None:
        values = [measure(draw) for draw in draws]
        return interval(values) if np.isfinite(values).all() else None

    def kept(measure: Callable[[Promised], float]) -> Interval | None:
        values = [measure(promise) for promise in promised]
        return interval(values) if values and np.isfinite(values).all() else None

    def gained(measure: Callable[[Draw], float]) -> Interval | None:
        pairs = zip(product, draws, strict=True) if product else ()
        values = [measure(ours) - measure(theirs) for ours, theirs in pairs]
        return interval(values) if values and np.isfinite(values).all() else None

    def saved(measure: Callable[[Draw], float]) -> Interval | None:
        if not product or not len(product[0].negatives):
            return None
        return rejects_saved([measure(draw) for draw in product], [measure(draw) for draw in draws])

    closed = over(lambda draw: float(draw.right.mean()))
    assert closed is not None
    return Figures(
        episodes[0].corpus, method, support, len(episodes[0].names), shots, snr_of(level), len(draws),
        float(np.mean([len(e.queries) for e in episodes])), float(np.mean([len(e.negatives) for e in episodes])), heard,
        closed_set=closed,
        acc_at_1=over(lambda draw: draw.accuracy(0.01)),
        acc_at_5=over(lambda draw: draw.accuracy(0.05)),
        own_acc_at_1=over(lambda draw: draw.accuracy_with_own(0.01)),
        auroc=over(lambda draw: auroc(draw.best, draw.negatives) if len(draw.negatives) else np.nan),
        calibrated_acc_at_1=over(lambda draw: draw.calibrated(0.01)[0]),
        calibrated_far_at_1=over(lambda draw: draw.calibrated(0.01)[1]),
        calibrated_acc_at_5=over(lambda draw: draw.calibrated(0.05)[0]),
        calibrated_far_at_5=over(lambda draw: draw.calibrated(0.05)[1]),
        calibrated_hit=kept(lambda promise: promise.hits),
        calibrated_far=kept(lambda promise: promise.false_accepts),
        expected_frr=kept(lambda promise: promise.expected_frr),
        over_closed_set=gained(lambda draw: float(draw.right.mean())),
        over_at_1=gained(lambda draw: draw.accuracy(0.01)),
        over_at_5=gained(lambda draw: draw.accuracy(0.05)),
        rejects_saved_at_1=saved(lambda draw: draw.accuracy(0.01)),
        rejects_saved_at_own_1=saved(lambda draw: draw.accuracy_with_own(0.01)),
        change=change_of(level),
    )  # fmt: skip
