"""Where the kept examples lie in the space that scores live in: the nearest to a sound, people's voices, a map."""

from dataclasses import dataclass

import numpy as np

from speakerd.events import Embedding
from speakerd.learning.household import Household
from speakerd.learning.map import drawn
from speakerd.recognition.head import Matrix
from speakerd.recognition.voices import Voices
from speakerd.store.knowledge import Command, Example, Knowledge


@dataclass(frozen=True)
class Near:
    """An example and how near it is: the cosine, at most 1."""

    command: str
    example: Example
    likeness: float


def nearest(household: Household, embedding: Embedding, many: int = 5) -> list[Near]:
    """The kept examples, of whatever command, that are most like an embedding (dimension,), the nearest first."""
    asked = household.world.point(embedding)
    found = [
        Near(command.name, example, float(place @ asked))
        for command in household.knowledge.commands
        for example, place in zip(*_placed(household, command), strict=True)
    ]
    return sorted(found, key=lambda near: near.likeness, reverse=True)[:many]


def voices(household: Household) -> dict[str, Voices]:
    """How each person says a command, by its name, where several people taught it."""
    found = {}
    for command in household.knowledge.commands:
        kept, places = _placed(household, command)
        if len({example.speaker for example in kept}) < 2:
            continue
        if said := Voices.of(places, [example.speaker for example in kept]):
            found[command.name] = said
    return found


def mapped(household: Household, knowledge: Knowledge) -> dict[int | None, tuple[float, float]]:
    """Where each example, by its id, lies on a map."""
    placed = [_placed(household, command) for command in knowledge.commands]
    placed = [(kept, places) for kept, places in placed if kept]
    points = drawn([places for _, places in placed])
    return {
        example.id: (round(float(x), 3), round(float(y), 3))
        for (kept, _), group in zip(placed, points, strict=True)
        for example, (x, y) in zip(kept, group, strict=True)
    }


def _placed(household: Household, command: Command) -> tuple[list[Example], Matrix]:
    """Examples that the encoder in use knows, and where they lie, (examples, dimension)."""
    kept = [example for example in household.examples.of(command) if example.embeddings is not None]
    vectors = [example.embeddings[0] for example in kept if example.embeddings is not None]
    return kept, household.world.point(np.reshape(vectors, (len(kept), -1 if kept else len(household.world.mean))))
