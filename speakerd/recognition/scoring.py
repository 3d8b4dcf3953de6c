"""Heads of commands, and open-set scores.

A command is represented by a head for each of its examples: a linear function that the few-step inner loop (head.py)
arrived at from all examples and the world, in which that one counts for more, since what people say falls nearer to one
of several ways of saying it than to their mean. Where people are named among the examples, those of each make heads by
themselves. A command's score for an utterance is the highest of its heads', less how near strangers come to the
utterance; the loop starts at the prototype classifier (Snell et al. 2017, arXiv 1703.05175; relative to a cohort as in
Matejka et al. 2017). Every command is learned by itself: scores of different commands and utterances compare, and
teaching one more leaves the scores of the others as they are.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from speakerd.events import Embedding, Match
from speakerd.recognition.course import middles
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.world import World
from speakerd.store.knowledge import Command, Heads

# What was wrongly taken for a command is brought down to what few strangers score, and the examples of one that sounds
# alike to less, since the next ones will score more; in rounds, since one step undoes a little of another. Where less
# than a share of it lies beside the command's examples, it cannot be told from them.
LOWERED, RIVAL, ROUNDS, INSEPARABLE = 0.5, 0.3, 3, 0.1
# How much each variant of an example counts, where the example itself counts 1: in other rooms it sounds most unlike
# itself (learning/enlarge.py has their order).
WEIGHTS = (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.3)
LEADS = 0.2  # the share of a head that its own example has; all examples have equal parts in the rest


def learned(
    world: World, examples: Sequence[Matrix], speakers: Sequence[str | None], against: Matrix | None = None,
    wrong: Matrix | None = None,
) -> tuple[Heads, tuple[str | None, ...]]:  # fmt: skip
    """Heads of one command from its examples, (1 + variants, dimension) each, as ``World.place`` gives them: the
    example itself and what it was enlarged by. ``against`` (n, dimension) is what it is to be told apart from, and
    ``wrong`` what was taken for it and must not be again. Also whose each head is. A head for each example, person by
    person."""
    named = {speaker for speaker in speakers if speaker is not None}
    people: list[str | None] = [None]
    of = [list(examples)]
    if len(named) > 1:
        people = sorted(set(speakers), key=lambda name: (name is None, name))
        of = [[e for e, speaker in zip(examples, speakers, strict=True) if speaker == name] for name in people]
    whose = [person for person, some in zip(people, of, strict=True) for _ in some]
    found = Heads.joined([_adapted(world, some) for some in of])
    own = np.stack([example[0] for example in examples])
    for sounds, most in ((against, RIVAL), (wrong, LOWERED)):
        if sounds is not None and len(sounds):
            found = _lowered(world, found, own, sounds, most)
    return found, tuple(whose)


def _lowered(world: World, heads: Heads, examples: Matrix, wrong: Matrix, most: float) -> Heads:
    """The heads turned as little as it takes for other sounds (n, dimension) to score no more than ``most``, without
    a change to what the examples score: passive-aggressive steps (Crammer et al., JMLR 7, 2006) orthogonal to these.
    What lies within the span of the examples stays as it is, and so do courses."""
    dimension = heads.weights.shape[1]
    span, _ = np.linalg.qr(examples[:, :dimension].T)
    weights, points, near = heads.weights.copy(), wrong[:, :dimension], world.strangers(wrong)
    by_course = scores(heads, wrong, near) - scores(heads, points, near)
    for point, near_it, more in [*zip(points, near, by_course, strict=True)] * ROUNDS:
        apart = point - span @ (span.T @ point)
        room = float(apart @ point)
        if room < INSEPARABLE:
            continue
        reached = scores(Heads(weights, heads.bias), point[None], near_it[None])[0] + more
        worth = 1 + near_it[1] / np.linalg.norm(weights, axis=1)
        step = np.maximum(0, reached - most) / (room * worth)
        weights = weights - step[:, None] * apart
    return replace(heads, weights=np.asarray(weights, np.float32))


def _adapted(world: World, examples: list[Matrix]) -> Heads:
    dimension = len(world.mean)
    support = np.concatenate(examples)[:, :dimension]
    weights = np.concatenate([[1.0, *WEIGHTS[: len(example) - 1]] for example in examples])
    leads = np.repeat(np.eye(len(examples)), [len(example) for example in examples], axis=0)
    member = weights[:, None] * (1 - LEADS + LEADS * len(examples) * leads)
    nothing = np.zeros((0, support.shape[1]), np.float32)
    heads = world.adapter.adapt(support, np.asarray(member, np.float32), world.cohort, nothing)
    if not world.courses.size:
        return heads
    courses = middles(np.stack([example[0, dimension:] for example in examples]))
    return replace(heads, courses=courses, near=world.near(courses))


def firsts(counts: Sequence[int]) -> NDArray[np.intp]:
    """Where each of several runs begins that are so long and follow one another."""
    return np.cumsum([0, *counts[:-1]])


class Matcher:
    """Compares embeddings with all commands of one version at once."""

    def __init__(self, world: World, commands: tuple[Command, ...]) -> None:
        self._world = world
        self._commands = commands
        if not commands:
            return
        heads = [command.heads for command in commands]
        self._heads = Heads.joined(heads)
        self._many = [len(h.bias) for h in heads]
        self._first = firsts(self._many)
        self._speakers = [speaker for command in commands for speaker in command.speakers]
        self._usual = world.near_impostors.mean(axis=0, keepdims=True)[:, :2]

    def match(self, embedding: Embedding) -> Match | None:
        """The best command for an embedding (dimension,) of the encoder; None when nothing is known."""
        if not self._commands:
            return None
        found = self.scores(self._world.place(embedding[None]))
        (each,) = self.of_commands(found)
        best = int(np.argmax(each))
        speaker, score = self.who(found[0], best)
        of_command = {c.name: float(value) for c, value in zip(self._commands, each, strict=True)}
        return Match(self._commands[best].name, score, self._commands[best].threshold, speaker, of_command)

    def scores(self, placed: Matrix) -> Matrix:
        """Scores (n, heads) of vectors (n, dimension) in the world's space; there must be a command."""
        return scores(self._heads, placed, self._world.strangers(placed))

    def rough(self, points: Matrix) -> Matrix:
        """The same of points of the space alone, as if strangers came as near as they usually do to running speech, and
        all courses were alike: for a hundredth of the work."""
        return scores(self._heads, points, self._usual)

    def of_commands(self, found: Matrix) -> Matrix:
        """Scores (n, commands) from those of the heads (n, heads)."""
        return np.maximum.reduceat(found, self._first, axis=1)

    def who(self, found: Matrix, command: int) -> tuple[str | None, float]:
        """Whose head of a command scores most, of ``found`` (heads,), and what."""
        best = int(self._first[command] + np.argmax(found[self._first[command] :][: self._many[command]]))
        return self._speakers[best], float(found[best])
