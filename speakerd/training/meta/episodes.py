"""Episodes: small enrolments drawn from cached embeddings, each with utterances to try and strangers to keep out.

What an episode keeps out is never what its inner loop learned from: words and voices fall on one side or the other by
a new draw each time, and the episode's own words on neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from speakerd.errors import SpeakerdError
from speakerd.recognition.course import unit
from speakerd.recognition.scoring import WEIGHTS
from speakerd.training.meta.cache import HELD, ONCE, ROOM, SEEN, TALK, Cache
from speakerd.training.meta.inner import Task

WAYS = 10
SHOTS = (1, 2, 3, 3, 5, 5, 8, 10)
TRIED = 8  # utterances of each command
INSIDE, OUTSIDE = 1500, 700  # strangers of the inner loop, and of the outer
EVERY = 20  # clips of a word among strangers: a word said by hundreds must not outweigh hundreds of words
KNOWN = 3  # of a word that the encoder has learned
UTTERANCES = 6  # that a class needs

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Episode:
    """``task`` is what the inner loop may see (its ``near`` is not filled in), ``tried`` (n, d) the utterances of
    commands ``named`` (n,), ``strangers`` (m, d) what must be turned away; all in the first space."""

    task: Task
    tried: Tensor
    named: Tensor
    strangers: Tensor


class Episodes:
    """Draws episodes from a cache."""

    def __init__(self, cache: Cache, mean: NDArray[np.float32], matrix: NDArray[np.float32], seed: int = 0) -> None:
        """``mean`` and ``matrix`` are those of the first space.

        Raises:
            SpeakerdError: the cache has no classes or no strangers.
        """
        self.cache, self.draw = cache, np.random.default_rng(seed)
        self.vectors = torch.from_numpy(unit(np.asarray((cache.vectors - mean) @ matrix, np.float32)))
        self.enlarged = torch.from_numpy(unit(np.asarray((cache.enlarged - mean) @ matrix, np.float32)))
        self._rows = {word: np.flatnonzero(cache.word == word) for word in np.unique(cache.word[cache.word >= 0])}
        self.classes: dict[int, list[int]] = {HELD: [], SEEN: [], ONCE: []}
        for word, rows in self._rows.items():
            if len(rows) >= UTTERANCES:
                self.classes[int(cache.kind[rows[0]])].append(int(word))
        self._strangers = self._some_of_each()
        # whose side an utterance is on: its word, or its voice in running speech
        self._source = np.where(cache.word >= 0, cache.word, cache.word.max() + 1 + cache.speaker)
        self._sources = np.unique(self._source[self._strangers])
        if len(self._sources) < 4 or len(self.classes[HELD]) + len(self.classes[ONCE]) < 2:
            raise SpeakerdError("too few words were held out to learn from: see `speakerd train --help`")

    def __call__(self, kind: int, ways: int | None = None, shots: int | None = None) -> Episode:
        """An episode of classes of one kind; ways and shots are drawn where they are not given."""
        classes = self.classes[kind]
        many = min(ways or int(self.draw.integers(1, WAYS + 1)), max(1, len(classes) - 1))
        k = shots or int(self.draw.choice(SHOTS))
        chosen = self.draw.permutation(classes)[:many]
        across = self.draw.random() < 0.7
        support, tried = zip(*(self._split(self._rows[word], kind, k, across) for word in chosen), strict=True)
        inside, outside = self._sides(chosen)
        if self.draw.random() < 0.5:
            inside = np.concatenate(
                [inside, np.flatnonzero(self.cache.kind == ROOM)[:: int(self.draw.integers(1, 10))]]
            )
        rows, member = np.concatenate(support), F.one_hot(_owners(support), many).float()
        vectors = self.vectors[rows]
        if self.draw.random() < 0.7:
            vectors, member = self._enlarged(rows, vectors, member)
        task = Task(vectors, member, self.vectors[inside], torch.ones(len(inside)), torch.zeros(len(inside)))
        return Episode(task, self.vectors[np.concatenate(tried)], _owners(tried), self.vectors[outside])

    def cohort(self, most: int) -> Rows:
        """Strangers (rows of the cache), half of the words and voices: what the world would be without the rest."""
        half = self.draw.permutation(self._sources)[: len(self._sources) // 2]
        rows = self._strangers[np.isin(self._source[self._strangers], half)]
        return self.draw.permutation(rows)[:most]

    def _split(self, rows: Rows, kind: int, shots: int, across: bool) -> tuple[Rows, Rows]:
        """Support and utterances to try: of different people or of one; in quiet, tried anywhere."""
        cache = self.cache
        if kind == ONCE:
            mixed = self.draw.permutation(rows)
            cut = min(shots, len(mixed) - 2)
            return mixed[:cut], mixed[cut:][:TRIED]
        speakers = self.draw.permutation(np.unique(cache.speaker[rows]))
        if across and len(speakers) > 3:
            teachers = speakers[: min(shots, len(speakers) - 3)]
            anywhere = self.draw.random() < 0.15
            heard = rows[cache.quiet[rows] | anywhere]
            of_each = [heard[cache.speaker[heard] == one] for one in teachers]
            support = np.array([self.draw.choice(own) for own in of_each if len(own)], np.int64)
            rest = rows[~np.isin(cache.speaker[rows], teachers)]
        else:
            for one in speakers:
                own = rows[(cache.speaker[rows] == one) & cache.quiet[rows]]
                if len(own) >= 3:
                    break
            else:
                own = rows[cache.quiet[rows]]
            support = self.draw.permutation(own)[: min(shots, len(own) - 2)]
            rest = rows[np.isin(cache.speaker[rows], cache.speaker[support])]
        if not len(support):
            support = self.draw.permutation(rows)[:1]
        rest = rest[~np.isin(cache.clip[rest], cache.clip[support])]
        if not len(rest):
            rest = rows[~np.isin(cache.clip[rows], cache.clip[support])]
        return support, self.draw.permutation(rest)[:TRIED]

    def _enlarged(self, rows: Rows, vectors: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """Examples and what the device makes of them, which counts less."""
        able = np.flatnonzero(self.cache.variants[rows] >= 0)
        more = self.enlarged[self.cache.variants[rows[able]]]
        counts = torch.tensor(WEIGHTS).repeat(len(able)).unsqueeze(1)
        weights = counts * member[able].repeat_interleave(more.shape[1], dim=0)
        return torch.cat([vectors, more.flatten(0, 1)]), torch.cat([member, weights])

    def _sides(self, chosen: Rows) -> tuple[Rows, Rows]:
        """Strangers for the inner loop and for the outer, of different words and voices."""
        sources = self.draw.permutation(self._sources)
        cut = int(len(sources) * 0.6)
        usable = self._strangers[~np.isin(self._source[self._strangers], chosen)]
        within = np.isin(self._source[usable], sources[:cut])
        return (
            self.draw.permutation(usable[within])[:INSIDE],
            self.draw.permutation(usable[~within])[:OUTSIDE],
        )

    def _some_of_each(self) -> Rows:
        """All talk, and of each word a few utterances."""
        cache = self.cache
        rows = [np.flatnonzero(cache.kind == TALK)]
        for own in self._rows.values():
            kind = cache.kind[own[0]]
            if kind == HELD:
                rows.append(self.draw.permutation(own)[: 2 * EVERY])
            elif kind == ONCE:
                rows.append(own[:1])
            else:  # a clump of them would stand for all that is said in their language
                rows.append(self.draw.permutation(own)[:KNOWN])
        return np.concatenate(rows)


def _owners(rows: Sequence[Rows]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(own) for own in rows]))
