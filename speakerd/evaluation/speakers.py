"""Who is speaking: how often the speaker names the right person, and how often a stranger gets somebody's name.

In each draw some people of a corpus teach the same word; then their other utterances of it are asked, and those of
everybody else. Whoever always spoke into a microphone of their own is told apart by that, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speakerd.config.settings import Gate
from speakerd.errors import SpeakerdError
from speakerd.evaluation.conditions import CLEAN
from speakerd.evaluation.metrics import Interval, auroc, interval
from speakerd.evaluation.sounds import Indices, Progress, Sounds, hear, is_corpus, words_in
from speakerd.house import Mind
from speakerd.recognition.head import Matrix
from speakerd.recognition.voices import SURE, Voices


@dataclass(frozen=True)
class Identified:
    """One line: ``people`` who taught with ``shots`` examples each; utterances in all draws. ``closed_set``: nearest to
    the right one of them; ``right`` and ``wrong``: named so; ``strangers_named``; ``auroc`` of being sure of people who
    taught against strangers. Intervals over draws."""

    corpus: str
    people: int
    shots: int
    draws: int
    utterances: int
    strangers: int
    closed_set: Interval
    right: Interval
    wrong: Interval
    strangers_named: Interval
    auroc: Interval


def identified(
    mind: Mind, data: Path, people: int, shots: int, draws: int, seed: int, gate: Gate, progress: Progress
) -> Iterator[Identified]:
    """A line for each corpus in ``data`` (or for ``data`` itself) in which enough people say a word often enough.

    Raises:
        SpeakerdError: there is none.
    """
    folders = [data] if is_corpus(data) else [path for path in sorted(data.iterdir()) if is_corpus(path)]
    found = False
    for folder in folders:
        sounds = words_in(folder)
        able = _able(sounds, np.arange(len(sounds)), shots)
        rows = np.flatnonzero(np.isin(sounds.words, [word for word, who in able.items() if len(who) > people]))
        if not len(rows):
            continue
        sounds = sounds.only(rows)
        heard = hear(mind.encoder, sounds, progress, gate=gate, taught=())[CLEAN]
        usable = np.flatnonzero(heard.cut)
        placed = np.asarray(mind.world.point(heard.vectors[:, 0]))
        able = {word: who for word, who in _able(sounds, usable, shots).items() if len(who) > people}
        if able:
            found = True
            yield _line(folder.resolve().name, sounds, usable, placed, able, people, shots, draws, seed)
    if not found:
        raise SpeakerdError(f"{data}: nowhere do {people + 1} people say a word more than {shots} times each")


def _able(sounds: Sounds, rows: Indices, shots: int) -> dict[str, list[str]]:
    """By word, who says it often enough to teach it and to be asked."""
    able: dict[str, list[str]] = {}
    for word in sorted(set(sounds.words[rows])):
        who, counts = np.unique(sounds.speakers[rows[sounds.words[rows] == word]], return_counts=True)
        able[str(word)] = [str(one) for one in who[counts > shots]]
    return able


def _line(
    corpus: str, sounds: Sounds, usable: Indices, placed: Matrix, able: dict[str, list[str]], people: int, shots: int,
    draws: int, seed: int,
) -> Identified:  # fmt: skip
    told: list[tuple[float, ...]] = []
    asked = strange = 0
    for i in range(draws):
        draw = np.random.default_rng([seed, i])
        word = str(draw.choice(list(able)))
        chosen = draw.choice(able[word], people, replace=False)
        said = usable[sounds.words[usable] == word]
        of = [draw.permutation(said[sounds.speakers[said] == person]) for person in chosen]
        taught = np.concatenate([rows[:shots] for rows in of])
        voices = Voices.of(placed[taught], [str(name) for name in np.repeat(chosen, shots)])
        assert voices is not None
        own = np.concatenate([rows[shots:] for rows in of])
        others = said[~np.isin(sounds.speakers[said], chosen)]
        nearest, sure = voices.nearest(placed[own])
        right = np.array(voices.names)[nearest] == sounds.speakers[own]
        _, strangely = voices.nearest(placed[others])
        named = sure >= SURE
        told.append(
            (right.mean(), (named & right).mean(), (named & ~right).mean(), (strangely >= SURE).mean(),
             auroc(sure, strangely))
        )  # fmt: skip
        asked, strange = asked + len(own), strange + len(others)
    figures = [interval([float(value) for value in column]) for column in zip(*told, strict=True)]
    return Identified(corpus, people, shots, draws, asked, strange, *figures)
