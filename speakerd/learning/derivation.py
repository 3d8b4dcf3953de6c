"""What follows from examples: heads, thresholds and promises of all commands, and which of them sound alike.

Every command is learned by itself, so that teaching one does not move the others. Two that sound alike are the
exception: each is told apart from the other's examples, as from what was wrongly taken for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.config import Listening
from speakerd.learning.calibration import (
    TALK_HOURS,
    Impostors,
    Scores,
    expected_scores,
    impostors_of,
    own_scores,
    promise,
)  # fmt: skip
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.lengths import fitting
from speakerd.recognition.scoring import firsts, learned
from speakerd.recognition.world import World
from speakerd.store.knowledge import NOTHING, Command, Example, Heads, Overheard
from speakerd.store.store import Store

# The lead, in deviations of the usual score, under which two commands are close: of people's recordings "archie" and
# "hey archie" are, "process" and "project", but not "archie" and "trick or treat" (3.1).
CLOSE = 1.5
# How far above what was wrongly taken for a command its threshold stays, in deviations of the usual score: the same
# sound, cut a little differently, scores a little more.
CLEAR = 0.25
# What it may cost the scores of a command's own examples, in deviations, to be told apart: of people's recordings it
# costs more in 2 of 84 draws of words that are alike, and in 44 of 70 of the same word.
DEAR = 0.2
REMEMBERED = 200  # commands of which what was derived from the same examples before is kept in memory

UNTAUGHT = Heads(np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
Members = tuple[int, ...]


@dataclass(frozen=True)
class _Learned:
    """What is learned from a command's examples, before anything is promised. ``own`` is what each scores without
    itself, ``expected`` what its next utterances should score; ``vectors`` (examples, dimension) are the examples in
    the world's space, ``strangers`` (examples, 2) how near others come to them, ``seconds`` how long they are."""

    heads: Heads
    speakers: tuple[str | None, ...]
    own: Scores
    expected: float
    vectors: Matrix
    strangers: Matrix
    seconds: tuple[float, ...]


class Derivation:
    """Examples that are not stored yet are given as ``new``: a negative number -1 - i stands for ``new[i]``."""

    def __init__(self, store: Store, encoder: Encoder, world: World) -> None:
        self._store, self._encoder, self._world = store, encoder, world
        self._remembered: dict[tuple[Members, Members, Members], _Learned] = {}

    def derived(self, commands: list[Command], new: Sequence[Example], listening: Listening) -> list[Command]:
        """Heads and promises of all commands. One that comes out as it was keeps its ``id``."""
        share = listening.false_accepts_per_day / TALK_HOURS / max(1, len(commands))
        alone = [self._learned(command, (), new) for command in commands]
        return [
            self._promised(*self._apart(command, one, [commands[i] for i in near], new), new, share, listening)
            for command, one, near in zip(commands, alone, self._neighbours(commands, alone), strict=True)
        ]

    def forget(self) -> None:
        """Let go of what is remembered of examples: some of them were erased."""
        self._remembered.clear()

    def confusable(self, commands: Sequence[Command], new: Sequence[Example] = ()) -> dict[str, list[str]]:
        """By the name of each command those that an utterance of it might be taken for, or the other way round."""
        near = self._neighbours(commands, [self._learned(one, (), new) for one in commands])
        return {one.name: [commands[i].name for i in of] for one, of in zip(commands, near, strict=True)}

    def agreement(self, command: Command, vector: Matrix) -> float:
        """How an utterance (1, dimension) scores by what is learned from a command's examples, against what its
        utterances are expected to score, in deviations."""
        found, placed = self._learned(command, (), ()), self._world.place(vector)
        score = float(self._world.highest(found.heads, placed)[0])
        return (score - found.expected) / self._deviation(command)

    def likeness(self, one: Matrix, others: Sequence[Matrix]) -> float:
        """How an embedded utterance scores as the command whose only examples are ``others``: above the usual score,
        in deviations of it."""
        heads, _ = learned(self._world, [self._world.place(other) for other in others], [None] * len(others))
        placed = self._world.place(one[:1])
        score = float(self._world.highest(heads, placed)[0])
        usual = self._world.usual(len(others))
        return (score - usual.mean) / usual.deviation

    def missed(self, command: Command, new: Sequence[Example] = ()) -> int:
        """How many of its own examples would not be accepted."""
        vectors = np.stack([rows[0] for rows in self._placed(command.examples, new)[0]])
        return int((self._world.highest(command.heads, vectors) < command.threshold).sum())

    def overheard(self, command: Command) -> Overheard:
        """What was heard of a command and not acted upon, in the last days."""
        first = command.examples[0]
        return NOTHING if first < 0 else self._store.overheard(first)

    def impostors(self, command: Command) -> Impostors:
        return impostors_of(self._world, command.heads, fitting(self._encoder, command.seconds))

    def examples(self, members: Sequence[int], new: Sequence[Example] = ()) -> list[Example]:
        return [new[-1 - e] if e < 0 else self._store.examples([e])[0] for e in members]

    def _apart(
        self, command: Command, alone: _Learned, near: list[Command], new: Sequence[Example]
    ) -> tuple[Command, _Learned]:
        """A command told apart from those that sound like it; from one with the same words that cannot be done, and
        both are left as they are."""
        rivals = tuple(sorted(example for other in near for example in other.examples))
        found = self._learned(command, rivals, new) if rivals and len(alone.own) else alone
        if found is not alone and float(alone.own.mean() - found.own.mean()) > DEAR * self._deviation(command):
            found = alone
        rivals = rivals if found is not alone else ()
        return (command if rivals == command.rivals else replace(command, rivals=rivals, id=None)), found

    def _promised(
        self, command: Command, found: _Learned, new: Sequence[Example], share: float, listening: Listening
    ) -> Command:
        heads, whose = (found.heads, found.speakers) if command.id is None else (command.heads, command.speakers)
        budget = len(command.examples), fitting(self._encoder, found.seconds), share, listening.highest_frr
        floor = -np.inf
        if command.negatives:  # a correction may cost misses, but must not open the door to other sounds
            before = self._learned(replace(command, negatives=()), command.rivals, new)
            floor = promise(self._world, before.heads, before.own, *budget, alike=command.alike).threshold
        floor = max(floor, self._floor(heads, command, new))
        kept = promise(self._world, heads, found.own, *budget, floor, command.alike, self.overheard(command))
        trained = replace(
            command, threshold=kept.threshold, expected_fa_per_hour=kept.expected_fa_per_hour,
            fa_between=kept.fa_between, fa_hours=kept.fa_hours, expected_frr=kept.expected_frr,
            over_budget=kept.over_budget, heads=heads, speakers=whose,
        )  # fmt: skip
        same = command.id is not None and isclose(trained.threshold, command.threshold, abs_tol=1e-6)
        same = same and command.fa_hours > 0  # an earlier speakerd expected things without an interval
        return trained if same else replace(trained, id=None)

    def _floor(self, heads: Heads, command: Command, new: Sequence[Example]) -> float:
        """The threshold under which the command would be heard again where it was not said."""
        wrong = self._rows(command.negatives, new)
        if not len(wrong):
            return -np.inf
        return float(self._world.highest(heads, wrong).max()) + CLEAR * self._deviation(command)

    def _learned(self, command: Command, rivals: Members, new: Sequence[Example]) -> _Learned:
        """Of stored examples it is remembered: every change of one command asks it of all, and it is most of the
        work."""
        key = command.examples, command.negatives, rivals
        if key in self._remembered:
            return self._remembered[key]
        placed, speakers = self._placed(command.examples, new)
        # of a command that sounds alike the examples themselves count, not what they were enlarged by
        wrong, near = self._rows(command.negatives, new), self._placed(rivals, new)[0]
        against = np.concatenate([wrong[:0], *(rows[:1] for rows in near)])
        heads, whose = learned(self._world, placed, speakers, against, wrong)
        own = own_scores(self._world, placed, speakers, against, wrong)
        vectors = np.stack([rows[0] for rows in placed])
        expected = expected_scores(self._world, own, len(placed)).mean
        seconds = tuple((e.end - e.begin) / SAMPLE_RATE for e in self.examples(command.examples, new))
        found = _Learned(heads, whose, own, expected, vectors, self._world.strangers(vectors), seconds)
        if min(sum(key, ())) >= 0:
            if len(self._remembered) > REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def _deviation(self, command: Command) -> float:
        return self._world.usual(len(command.examples)).deviation

    def _neighbours(self, commands: Sequence[Command], alone: Sequence[_Learned]) -> list[list[int]]:
        """For each command the places of those that sound like it: of either, utterances are expected to score little
        more than they score as the other."""
        if not alone:
            return []
        heads, vectors = Heads.joined([one.heads for one in alone]), [one.vectors for one in alone]
        found = scores(heads, np.concatenate(vectors), np.concatenate([one.strangers for one in alone]))
        found = np.maximum.reduceat(found, firsts([len(one.heads.bias) for one in alone]), axis=1)
        counts = [len(rows) for rows in vectors]
        as_other = np.add.reduceat(found, firsts(counts), axis=0) / np.array(counts)[:, None]
        leads = np.array([one.expected for one in alone])[:, None] - as_other
        np.fill_diagonal(leads, np.inf)
        deviations = np.array([self._deviation(command) for command in commands])
        close = np.minimum(leads, leads.T) < CLOSE * np.maximum.outer(deviations, deviations)
        return [[int(i) for i in np.flatnonzero(row)] for row in close]

    def _rows(self, members: Sequence[int], new: Sequence[Example]) -> Matrix:
        nothing = np.zeros((0, self._encoder.dimension), np.float32)
        return np.concatenate([nothing, *self._placed(members, new)[0]])

    def _placed(self, members: Sequence[int], new: Sequence[Example]) -> tuple[list[Matrix], list[str | None]]:
        """Examples and their variants in the world's space, (1 + variants, dimension) each, and who said them."""
        known = [example for example in self.examples(members, new) if example.embeddings is not None]
        return [self._world.place(e.embeddings) for e in known if e.embeddings is not None], [e.speaker for e in known]
