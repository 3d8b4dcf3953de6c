"""Draws: which clips teach which command, which are asked, and what must be rejected.

An episode holds row numbers of one :class:`Sounds`, so that what was heard once serves all draws, and so that the same
draws can be written down for other systems to be tried on.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerd.errors import SpeakerdError
from speakerd.evaluation.controls import UNKNOWN, Owners
from speakerd.evaluation.sounds import Indices, Sounds

Generator = np.random.Generator


class Support(StrEnum):
    """Who teaches: people who are not asked afterwards, the person who is, or anybody."""

    CROSS = "cross"
    SAME = "same"
    ANY = "any"


@dataclass(frozen=True)
class Episode:
    """``names`` of the commands; rows of ``support`` with their ``owners`` (positions in ``names``, or UNKNOWN), of
    ``queries`` with their ``truth`` (positions in ``names``), and of ``negatives``."""

    corpus: str
    seed: int
    names: tuple[str, ...]
    support: Indices
    owners: Owners
    queries: Indices
    truth: NDArray[np.intp]
    negatives: Indices

    @classmethod
    def of(
        cls, corpus: str, seed: int, support: dict[str, Indices], queries: dict[str, Indices], negatives: Indices,
        unknown: Indices | None = None,
    ) -> "Episode":  # fmt: skip
        """An episode from rows by word."""
        unknown = np.zeros(0, np.intp) if unknown is None else unknown
        owners = np.repeat([*range(len(support)), UNKNOWN], [*map(len, support.values()), len(unknown)])
        asked = [queries[name] for name in support]
        return cls(
            corpus, seed, tuple(support), np.concatenate([*support.values(), unknown]).astype(np.intp), owners,
            np.concatenate(asked), np.repeat(np.arange(len(support)), [len(rows) for rows in asked]), negatives,
        )  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A corpus (``rows`` of ``sounds``) to draw from: ``usable`` (all sounds,) clips can teach; ``outside`` are rows of
    what is never a command. ``ways``: so many of the words, the others being negatives as well; None: all."""

    sounds: Sounds
    corpus: str
    rows: Indices
    usable: NDArray[np.bool_]
    outside: Indices
    shots: int
    ways: int | None = None
    support: Support = Support.CROSS

    def episodes(self, draws: int, seed: int) -> Iterator[Episode]:
        """Raises:
        SpeakerdError: too few speakers, clips or words for such episodes.
        """
        words = sorted(set(self.sounds.words[self.rows]))
        if self.ways is not None and self.ways > len(words):
            raise SpeakerdError(f"{self.corpus}: {len(words)} words, {self.ways} were asked for")
        by_word = {str(word): self.rows[self.sounds.words[self.rows] == word] for word in words}
        people = self._who_can_teach(by_word)
        for i in range(draws):
            draw = np.random.default_rng(seed + i)
            person = str(draw.choice(sorted(people))) if self.support is Support.SAME else None
            among = people[person] if person is not None else list(by_word)
            names = sorted(draw.choice(among, self.ways, replace=False).tolist()) if self.ways else among
            pairs = {name: self._one_word(by_word[name], person, draw) for name in names}
            others = [rows for word, rows in by_word.items() if word not in pairs]
            yield Episode.of(
                self.corpus, seed + i, {name: taught for name, (taught, _) in pairs.items()},
                {name: asked for name, (_, asked) in pairs.items()}, np.concatenate([self.outside, *others]),
            )  # fmt: skip

    def _one_word(self, rows: Indices, person: str | None, draw: Generator) -> tuple[Indices, Indices]:
        """Rows that teach a word, and rows that are asked."""
        speakers = self.sounds.speakers
        able = rows[self.usable[rows]]
        if self.support is Support.CROSS:
            return drawn_across(self.sounds, rows, able, self.shots, draw)
        if person is not None:
            rows, able = rows[speakers[rows] == person], able[speakers[able] == person]
        taught = draw.permutation(able)[: self.shots]
        return taught, rows[~np.isin(rows, taught)]

    def _who_can_teach(self, by_word: dict[str, Indices]) -> dict[str, list[str]]:
        """Checks that there is enough to draw from; whoever says enough words often enough, and those words."""
        speakers, needed = self.sounds.speakers, self.ways or len(by_word)
        people: dict[str, list[str]] = {}
        for word, rows in by_word.items():
            able = speakers[rows[self.usable[rows]]]
            who, counts = np.unique(able, return_counts=True)
            many, what = (len(able), "") if self.support is Support.ANY else (len(who), f" of {len(who)} speakers")
            if self.support is not Support.SAME and many <= self.shots:
                raise SpeakerdError(
                    f"{self.corpus}/{word}: {len(able)} utterances{what}; {self.shots} are needed to teach it, and "
                    "others to try it"
                )
            for person in who[counts > self.shots]:
                people.setdefault(str(person), []).append(word)
        people = {person: words for person, words in people.items() if len(words) >= needed}
        if self.support is Support.SAME and not people:
            raise SpeakerdError(
                f"{self.corpus}: nobody says {needed} of the words more than {self.shots} times each; "
                "give fewer --shots or --ways"
            )
        return people


def drawn_across(sounds: Sounds, rows: Indices, able: Indices, shots: int, draw: Generator) -> tuple[Indices, Indices]:
    """One clip each of ``shots`` different speakers, of those ``able`` to teach; and all ``rows`` of others."""
    chosen = draw.permutation(sorted(set(sounds.speakers[able])))[:shots]
    taught = [draw.choice(able[sounds.speakers[able] == speaker]) for speaker in chosen]
    return np.array(taught, np.intp), rows[~np.isin(sounds.speakers[rows], chosen)]


def write(file: Path, sounds: Sounds, episodes: Iterable[Episode]) -> None:
    """Write draws for other systems: absolute paths; a piece of a recording is [path, first sample, last sample + 1] at
    16 kHz; what is known to be no command goes by the name ``_unknown_``; equal negatives are written once."""

    def place(row: int) -> Any:
        piece = sounds.pieces[row]
        return str(piece.path) if piece.end is None else [str(piece.path), piece.begin, piece.end]

    negatives: dict[str, list[Any]] = {}
    lines = []
    for episode in episodes:
        key = sha1(episode.negatives.tobytes(), usedforsecurity=False).hexdigest()[:12]
        if key not in negatives:
            negatives[key] = [place(row) for row in episode.negatives]
        support: dict[str, list[Any]] = {}
        for row, owner in zip(episode.support, episode.owners, strict=True):
            support.setdefault("_unknown_" if owner == UNKNOWN else episode.names[owner], []).append(place(row))
        queries = [
            [place(row), episode.names[i]] for row, i in zip(episode.queries, episode.truth, strict=True)
        ]  # fmt: skip
        lines.append(
            {"corpus": episode.corpus, "seed": episode.seed, "support": support, "queries": queries, "negatives": key}
        )
    text = json.dumps({"version": 1, "episodes": lines, "negatives": negatives}, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
