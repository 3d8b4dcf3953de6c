"""Each speaker a task: what a person gains by teaching the commands themself, over commands that others have taught."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from speakerd.errors import SpeakerdError
from speakerd.evaluation.conditions import Level, change_of, snr_of
from speakerd.evaluation.episodes import Episode, drawn_across
from speakerd.evaluation.few_shot import Trial
from speakerd.evaluation.material import Ear
from speakerd.evaluation.metrics import Interval, interval
from speakerd.evaluation.sounds import Indices, Sounds

FEWEST_WORDS = 2  # that a person must say often enough
FEWEST_DRAWS = 10  # a person


@dataclass(frozen=True)
class Shares:
    """Means over one person's draws."""

    closed_set: float
    acc_at_1: float
    acc_at_5: float
    calibrated_hit: float
    calibrated_far: float


@dataclass(frozen=True)
class Person:
    """One person's queries after commands were taught by that person (``own``), and by others."""

    corpus: str
    speaker: str
    words: int
    draws: int
    queries: float
    negatives: int
    own: Shares
    others: Shares


@dataclass(frozen=True)
class Compared:
    """A figure over persons: means, what teaching them oneself gains, and the means of the worst tenth of persons (each
    way has its own worst)."""

    own: Interval
    others: Interval
    gain: Interval
    worst_own: float
    worst_others: float


@dataclass(frozen=True)
class Personal:
    """One line of the table. ``worst``: how many persons the worst tenth are; ``snr``, ``change`` None: as recorded."""

    corpus: str
    shots: int
    snr: float | None
    negatives: float
    speakers: int
    draws: int
    queries: float
    worst: int
    closed_set: Compared
    acc_at_1: Compared
    acc_at_5: Compared
    calibrated_hit: Compared
    calibrated_far: Compared
    persons: list[Person]
    change: str | None = None


def persons(
    ear: Ear, corpus: str, rows: Indices, strange: Indices, shots: int, draws: int, seed: int
) -> dict[Level, list[Person]]:
    """Everybody who says at least two words more than ``shots`` times each, by condition. ``draws`` are shared among
    them, at least ten each.

    Raises:
        SpeakerdError: there is no such person.
    """
    usable, sounds = ear.usable, ear.sounds
    said: dict[str, dict[str, Indices]] = {}
    for word in sorted(set(sounds.words[rows])):
        of_word = rows[(sounds.words[rows] == word) & usable[rows]]
        who, counts = np.unique(sounds.speakers[of_word], return_counts=True)
        if len(who) > shots:  # others can teach it, too
            for person in who[counts > shots]:
                said.setdefault(str(person), {})[str(word)] = of_word
    said = {person: words for person, words in said.items() if len(words) >= FEWEST_WORDS}
    if not said:
        raise SpeakerdError(
            f"{corpus}: nobody says {FEWEST_WORDS} words more than {shots} times each, so nobody can be compared"
        )
    each = max(FEWEST_DRAWS, draws // len(said))
    found: dict[Level, list[Person]] = {level: [] for level in ear.trials}
    for person, words in said.items():
        pairs = list(_pairs(sounds, corpus, person, words, strange, shots, each, seed))
        for level, trial in ear.trials.items():
            own, others = (_shares(trial, [pair[i] for pair in pairs]) for i in (0, 1))
            queries = float(np.mean([len(pair[0].queries) for pair in pairs]))
            found[level].append(Person(corpus, person, len(words), each, queries, len(strange), own, others))
    return found


def personal(corpus: str, shots: int, level: Level, found: Sequence[Person]) -> Personal:
    """The line of several persons."""
    worst = max(1, round(len(found) / 10))

    def compared(measure: Callable[[Shares], float], worse: int = 1) -> Compared:
        own, others = [measure(person.own) for person in found], [measure(person.others) for person in found]
        gain = [a - b for a, b in zip(own, others, strict=True)]
        ends = [float(np.mean(worse * np.sort(worse * np.array(way))[:worst])) for way in (own, others)]
        return Compared(interval(own), interval(others), interval(gain), *ends)

    return Personal(
        corpus, shots, snr_of(level), float(np.mean([p.negatives for p in found])), len(found),
        sum(p.draws for p in found), float(np.mean([p.queries for p in found])), worst,
        closed_set=compared(lambda shares: shares.closed_set),
        acc_at_1=compared(lambda shares: shares.acc_at_1),
        acc_at_5=compared(lambda shares: shares.acc_at_5),
        calibrated_hit=compared(lambda shares: shares.calibrated_hit),
        calibrated_far=compared(lambda shares: shares.calibrated_far, worse=-1),
        persons=list(found),
        change=change_of(level),
    )  # fmt: skip


def _pairs(
    sounds: Sounds, corpus: str, person: str, words: dict[str, Indices], strange: Indices, shots: int, draws: int,
    seed: int,
) -> Iterator[tuple[Episode, Episode]]:  # fmt: skip
    """Episodes with the same queries: taught by the person, and by as many others."""
    for i in range(draws):
        draw = np.random.default_rng(seed + i)
        own, others, queries = {}, {}, {}
        for word, rows in words.items():
            mine = draw.permutation(rows[sounds.speakers[rows] == person])
            own[word], queries[word] = mine[:shots], mine[shots:]
            theirs = rows[sounds.speakers[rows] != person]
            others[word], _ = drawn_across(sounds, theirs, theirs, shots, draw)
        yield (
            Episode.of(corpus, seed + i, own, queries, strange),
            Episode.of(corpus, seed + i, others, queries, strange),
        )


def _shares(trial: Trial, episodes: Sequence[Episode]) -> Shares:
    both = [trial.product(episode) for episode in episodes]
    rows = [
        (float(d.right.mean()), d.accuracy(0.01), d.accuracy(0.05), p.hits, p.false_accepts) for d, p in both
    ]  # fmt: skip
    return Shares(*np.mean(rows, axis=0).tolist())
