"""Each language a task: the corpora of a language together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speakerd.evaluation.conditions import Level, change_of, snr_of
from speakerd.evaluation.few_shot import Draw
from speakerd.evaluation.metrics import Interval, auroc, interval


@dataclass(frozen=True)
class Language:
    """One line of the table: means over a language's corpora, each as heavy as the others, with intervals over draws.
    ``queries``: a draw, of all corpora; ``snr`` and ``change`` None: as recorded."""

    language: str
    corpora: list[str]
    method: str
    shots: int
    snr: float | None
    draws: int
    queries: float
    negatives: float
    closed_set: Interval
    acc_at_1: Interval
    acc_at_5: Interval
    auroc: Interval
    change: str | None = None


def together(language: str, method: str, shots: int, level: Level, by_corpus: Mapping[str, Sequence[Draw]]) -> Language:
    """The line of a language from the draws of its corpora, which are equally many."""
    draws = list(zip(*by_corpus.values(), strict=True))

    def over(measure: Callable[[Draw], float]) -> Interval:
        return interval([float(np.mean([measure(draw) for draw in one])) for one in draws])

    return Language(
        language, list(by_corpus), method, shots, snr_of(level), len(draws),
        float(np.mean([sum(len(draw.best) for draw in one) for one in draws])),
        float(np.mean([len(draw.negatives) for one in draws for draw in one])),
        closed_set=over(lambda draw: float(draw.right.mean())),
        acc_at_1=over(lambda draw: draw.accuracy(0.01)),
        acc_at_5=over(lambda draw: draw.accuracy(0.05)),
        auroc=over(lambda draw: auroc(draw.best, draw.negatives)),
        change=change_of(level),
    )  # fmt: skip
