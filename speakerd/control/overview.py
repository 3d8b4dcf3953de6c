"""What is known, for people to look at: each command with its promise, what came of it, and its examples."""

from collections.abc import Iterator
from typing import Any

from speakerd.control.messages import summary
from speakerd.learning.household import Household
from speakerd.learning.places import mapped
from speakerd.listening.journal import Journal, Mark


def overview(household: Household, journal: Journal) -> Iterator[dict[str, Any]]:
    """An item for each command. ``observed`` is of the last day, as long as the daemon runs; ``x`` and ``y`` are places
    on a map (:mod:`speakerd.learning.map`)."""
    heard = [entry for entry in journal.entries() if entry.detection.accepted]
    knowledge = household.knowledge
    places, close = mapped(household, knowledge), household.confusable()
    for command in knowledge.commands:
        of_it = [entry for entry in heard if entry.detection.command == command.name]
        yield summary(command) | {
            "close": close.get(command.name, []),
            "observed": {"accepted": len(of_it), "wrong": sum(entry.mark is Mark.WRONG for entry in of_it)},
            "kept": [
                {
                    "example": example.id,
                    "source": example.source,
                    "speaker": example.speaker,
                    "doubt": example.doubt,
                    "seconds": round((example.end - example.begin) / 16000, 2),
                    "x": places[example.id][0],
                    "y": places[example.id][1],
                }
                for example in household.examples.of(command)
                if example.id in places
            ],
        }
