"""Prototypes and open-set scores.

A command is represented by prototypes: the mean of its whitened examples (Snell et al. 2017, arXiv 1703.05175), one for
each person who is named, else one for all. Its score for an utterance is the cosine to the nearest prototype, less how
close strangers come to that prototype and to that utterance (adaptive symmetric normalisation without the scale,
Matejka et al. 2017). Scores of different commands and utterances therefore compare, and teaching one more command
leaves the scores of the others as they are.
"""

import numpy as np
from numpy.typing import NDArray

from speakerd.events import Embedding, Match
from speakerd.recognition.world import Matrix, World, unit
from speakerd.store.knowledge import Command


def prototypes(whitened: Matrix, speakers: list[str | None]) -> tuple[Matrix, tuple[str | None, ...]]:
    """Prototypes (prototypes, dimension) of examples (examples, dimension), and whose each is."""
    named = {speaker for speaker in speakers if speaker is not None}
    if len(named) < 2:
        return unit(whitened.mean(axis=0, keepdims=True)), (None,)
    whose = sorted(set(speakers), key=lambda name: (name is None, name))
    rows = [[speaker == name for speaker in speakers] for name in whose]
    return unit(np.stack([whitened[row].mean(axis=0) for row in rows])), tuple(whose)


def scores(world: World, whitened: Matrix, prototype: Matrix, near: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores (utterances, prototypes) of whitened utterances (utterances, dimension); ``near`` (prototypes,) is
    ``world.nearness(prototype)``."""
    return relative(whitened @ prototype.T, world.nearness(whitened), near)


def relative(cosines: Matrix, one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines (utterances, prototypes) less how near strangers are to each utterance (utterances,) and to each
    prototype (prototypes,)."""
    return np.asarray(cosines - 0.5 * (one[:, None] + other), np.float32)


class Matcher:
    """Compares embeddings with all commands of one version at once."""

    def __init__(self, world: World, commands: tuple[Command, ...]) -> None:
        self._world = world
        self._commands = commands
        if not commands:
            return
        self._matrix = np.concatenate([command.prototypes for command in commands])
        self._owner = np.repeat(np.arange(len(commands)), [len(command.prototypes) for command in commands])
        self._speakers = [speaker for command in commands for speaker in command.speakers]
        self._near = world.nearness(self._matrix)

    def match(self, embedding: Embedding) -> Match | None:
        """The best command for an embedding (dimension,) of the encoder; None when nothing is known."""
        if not self._commands:
            return None
        (found,) = scores(self._world, self._world.whiten(embedding[None]), self._matrix, self._near)
        best = int(np.argmax(found))
        command = self._commands[self._owner[best]]
        of_command = {c.name: float(found[self._owner == i].max()) for i, c in enumerate(self._commands)}
        return Match(command.name, float(found[best]), command.threshold, self._speakers[best], of_command)
