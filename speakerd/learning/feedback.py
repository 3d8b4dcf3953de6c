"""What people say of a detection: that was wrong, that was right, I meant something else.

Each becomes an example that is kept, and a version that can be undone: of what a command is not, or of what it is.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.events import Detection
from speakerd.learning.household import EnrolmentError, Household
from speakerd.listening.journal import Heard, Journal, JournalError, Mark
from speakerd.listening.policy import required
from speakerd.store.knowledge import Command, Example, Knowledge, same_name

log = logging.getLogger(__name__)

WITHIN = 30.0  # seconds after a detection in which somebody who names none speaks of it
DIRECTLY = 3.0  # seconds from a wake phrase to what it was said for


class Feedback:
    """Safe to use from several threads. An ``id`` may be any in the journal; None is the last detection."""

    def __init__(self, household: Household, journal: Journal) -> None:
        self._household, self._journal = household, journal

    def spoken(self, detection: Detection) -> None:
        """Somebody said "that was wrong", which is a command itself: it is about the one before, but not about the one
        that armed it. Logs what came of it."""
        self._journal.mark(detection.id, Mark.ABOUT)
        needed = required(self._household.config.listening, detection.command)
        before = next((h for h in self._journal.entries() if h.detection.accepted and h.mark is None), None)
        directly = before is not None and detection.start - before.detection.time <= DIRECTLY
        if needed and before and directly and same_name(before.detection.command, needed.command):
            self._journal.mark(before.id, Mark.ABOUT)
        try:
            log.info("corrected: %s", self.wrong())
        except SpeakerdError as error:
            log.warning("'%s': %s", detection.command, error)

    def wrong(self, id: str | None = None, meant: str | None = None) -> str:
        """It was not that command, which is told apart from it from now on; it was ``meant``, and becomes an example of
        that.

        Returns:
            What was changed, in words.

        Raises:
            JournalError: there is no such detection, or it was corrected before.
            EnrolmentError: it cannot be learned from; nothing was changed.
        """
        heard = self._spoken_of(id)
        name = heard.detection.command
        if not heard.detection.accepted and meant is None:
            raise EnrolmentError(f"{name} was not accepted, so there is nothing to correct; say what was meant")
        if meant is not None and same_name(name, meant) and heard.detection.accepted:
            raise EnrolmentError(f"{name} is what was heard; `speakerd right` confirms that")
        wrong = name if heard.detection.accepted else None
        examples = [self._negative(heard)] if wrong else []
        examples += [self._positive(heard)] if meant is not None else []
        said = f"{wrong}: was not said at {_when(heard)}" if wrong else ""
        said += f"{'; ' if wrong else ''}{meant}: was said at {_when(heard)}" if meant is not None else ""

        def update(now: Knowledge) -> list[Command]:
            commands, fresh = list(now.commands), iter(range(-1, -3, -1))
            if wrong is not None:
                old = self._household.known(wrong, now)
                self._not_twice(heard, old.negatives)
                rest = tuple(e.id for e in self._kept(old.examples) if e.id and not e.source.endswith(_tag(heard)))
                told = replace(old, examples=rest or old.examples, negatives=(*old.negatives, next(fresh)), id=None)
                commands[commands.index(old)] = told
            if meant is not None:
                old = self._household.known(meant, now)
                self._not_twice(heard, old.examples)
                commands[commands.index(old)] = replace(old, examples=(*old.examples, next(fresh)), id=None)
            return commands

        self._household.revise(said, update, examples)
        self._journal.mark(heard.id, Mark.WRONG if wrong else Mark.RIGHT)
        return said

    def right(self, id: str | None = None) -> str:
        """It was that command, and becomes an example of it.

        Returns, Raises:
            as :meth:`wrong`.
        """
        heard = self._spoken_of(id)
        name = heard.detection.command
        said = f"{name}: was said at {_when(heard)}"

        def update(now: Knowledge) -> list[Command]:
            old = self._household.known(name, now)
            self._not_twice(heard, old.examples)
            negatives = tuple(e.id for e in self._kept(old.negatives) if e.id and not e.source.endswith(_tag(heard)))
            more = replace(old, examples=(*old.examples, -1), negatives=negatives, id=None)
            return [more if command is old else command for command in now.commands]

        self._household.revise(said, update, [self._positive(heard)])
        self._journal.mark(heard.id, Mark.RIGHT)
        return said

    def _spoken_of(self, id: str | None) -> Heard:
        if id is not None:
            return self._journal.find(id)
        heard = self._journal.last(WITHIN, accepted=True)
        if heard.mark in (Mark.WRONG, Mark.RIGHT):
            raise JournalError(
                f"of {heard.detection.command} at {_when(heard)} this was said before; name it by its id"
            )
        return heard

    def _kept(self, members: Sequence[int]) -> list[Example]:
        return self._household.derivation.examples(members)

    def _not_twice(self, heard: Heard, members: Sequence[int]) -> None:
        """Raises:
        EnrolmentError: it is one of these examples already: twice, it would vouch for itself.
        """
        if any(example.source.endswith(_tag(heard)) for example in self._kept(members)):
            raise EnrolmentError(f"of {heard.detection.command} at {_when(heard)} this was said before")

    def _negative(self, heard: Heard) -> Example:
        """With the embedding that was taken for the command, beside those of what is heard in its sound."""
        example = self._positive(heard)
        assert example.embeddings is not None
        return replace(example, embeddings=np.concatenate([heard.evidence.embedding[None], example.embeddings]))

    def _positive(self, heard: Heard) -> Example:
        source, who = f"heard at {_when(heard)} {_tag(heard)}", heard.detection.speaker
        utterance = self._journal.sound(heard.id)
        if utterance is not None:
            return self._household.examples.made(utterance, source, who)
        length = round((heard.detection.time - heard.detection.start) * SAMPLE_RATE)
        return Example(heard.evidence.embedding[None], source, 0, length, who)


def _tag(heard: Heard) -> str:
    """With which the source of an example ends, by which it is found again."""
    return f"[{heard.id}]"


def _when(heard: Heard) -> str:
    return time.strftime("%H:%M:%S on %Y-%m-%d", time.localtime(heard.detection.at))
