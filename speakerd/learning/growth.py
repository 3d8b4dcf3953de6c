"""Learning by itself: now and then something that was heard joins the examples of its command, if nobody objects.

A voice changes, a microphone is moved, winter brings a heater. What is taken up must be sure, clear of other commands,
clean, and like what people taught: their examples alone decide about that, so that one that was taken up wrongly cannot
invite others.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from speakerd.errors import SpeakerdError
from speakerd.events import Utterance
from speakerd.learning.household import MOST_EXAMPLES, EnrolmentError, Household
from speakerd.learning.takes import judge_recording
from speakerd.listening.journal import Heard, Journal, Mark
from speakerd.store.knowledge import Command, Knowledge

log = logging.getLogger(__name__)

DELAY = 300.0  # seconds in which somebody may say that it was wrong
SNR = 15.0  # dB of the speech above the room
# Deviations of the usual score: how far above its threshold, and above every other command; and how far above what
# utterances are expected to score by the taught examples alone.
SURE, CLEAR, AGREES = 0.5, 1.0, 0.0
# The cosine above which two sounds are one, played again: of 184 replays 181 have more, of 138 pairs of takes
# of one person 23.
REPLAYED = 0.91
BY_ITSELF = "learned by itself"  # with which the source of an example begins that nobody has confirmed


class Growth:
    """Looks through the journal for what commands may take up. ``clock`` gives seconds since 1970."""

    def __init__(self, household: Household, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._household, self._journal, self._clock = household, journal, clock
        self._seen: set[str] = set()

    def look(self) -> Iterator[str]:
        """Take up what is ripe, each in a version of its own: what that changed, in words."""
        entries = self._journal.entries()
        ripe = [
            heard for heard in entries if heard.detection.at <= self._clock() - DELAY and heard.id not in self._seen
        ]
        self._seen = {heard.id for heard in entries} & (self._seen | {heard.id for heard in ripe})
        for heard in ripe:
            sound = self._journal.sound(heard.id)
            if sound is None or not self._is_sure(heard):
                continue
            # A window of running speech has one of a few lengths: cut as an example is, it is more like one.
            take = judge_recording("", sound.samples, self._household.config.gate)
            if take.utterance is None or take.reason is not None:
                continue
            try:
                change = self._taken_up(heard, take.utterance)
            except SpeakerdError as error:
                log.debug("%s is not taken up: %s", heard.id, error)
                continue
            self._journal.mark(heard.id, Mark.LEARNED)
            yield change

    def _taken_up(self, heard: Heard, utterance: Utterance) -> str:
        """A new example of a command in a new version; where there are too many, in place of the oldest that nobody
        taught.

        Raises:
            EnrolmentError: it may not be taken up; nothing was changed.
        """
        command = self._household.known(heard.detection.command)
        at = time.localtime(heard.detection.at)
        when, day = time.strftime("%H:%M on %Y-%m-%d", at), time.strftime("on %Y-%m-%d", at)
        kept = self._household.examples.of(command)
        grown = [example for example in kept if example.source.startswith(BY_ITSELF)]
        taught = tuple(e.id for e in kept if e.id is not None and not e.source.startswith(BY_ITSELF))
        if any(day in example.source for example in grown):
            raise EnrolmentError(f"{command.name} has taken up one on that day")
        if not taught or len(taught) >= MOST_EXAMPLES:
            raise EnrolmentError(f"{command.name} has all the examples it can have")
        example = self._household.examples.made(utterance, f"{BY_ITSELF}, heard at {when} [{heard.id}]")
        assert example.embeddings is not None
        vector = example.embeddings[0]
        if max(float(vector @ e.embeddings[0]) for e in kept if e.embeddings is not None) > REPLAYED:
            raise EnrolmentError("it is the sound of an example, played again")
        if self._household.derivation.agreement(replace(command, examples=taught), vector[None]) < AGREES:
            raise EnrolmentError("it is not enough like what was taught")
        change = f"{command.name}: {BY_ITSELF} from what was heard at {when}"

        def update(now: Knowledge) -> list[Command]:
            old = self._household.known(command.name, now)
            full = len(old.examples) >= MOST_EXAMPLES
            members = tuple(member for member in old.examples if not (full and member == grown[0].id))
            more = replace(old, examples=(*members, -1), id=None)
            return [more if each is old else each for each in now.commands]

        self._household.revise(change, update, [example])
        return change

    def _is_sure(self, heard: Heard) -> bool:
        """Accepted, and nobody said anything about it; also loud enough above the room."""
        detection, evidence = heard.detection, heard.evidence
        deviation = self._household.world.spread
        other = evidence.next_after(detection.command)
        return (
            detection.accepted
            and heard.mark is None
            and detection.score >= detection.threshold + SURE * deviation
            and (other is None or detection.score >= other[1] + CLEAR * deviation)
            and evidence.level - evidence.room >= SNR
        )
