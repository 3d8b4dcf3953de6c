"""What this household's own talk says of its commands: how often it comes near to being taken for them.

Of what was heard and not acted upon nothing is kept but counts, day by day: how much talk there was, how often it came
near a threshold, and how often that of strangers would have. From these, thresholds are set anew now and then, as if
there were so many times as many strangers. What was nearly heard and then said again was a command, and is not counted,
nor is what somebody said was right.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from speakerd.events import Detection
from speakerd.learning.calibration import TALK_HOURS, Likeness
from speakerd.learning.growth import DELAY
from speakerd.learning.household import Household, heeds_room
from speakerd.listening.journal import AGAIN, DAY, MOST, Journal
from speakerd.store.knowledge import NOTHING, Command, Overheard

SAVE = 600.0  # seconds; so much talk is lost in a power cut
RISE = 0.25  # deviations of genuine scores, by which a threshold may rise in a day
# How few times as often as strangers' talk this household's may be taken to sound like a command: music and machines
# that the gate takes for talk never do. And how many times at most: more is somebody who is not heard.
LEAST, MOST_ALIKE = 0.5, 10.0


class _Near(NamedTuple):
    id: str
    command: str
    at: float


class Room:
    """Safe to use from several threads. ``clock`` gives seconds since 1970."""

    def __init__(self, household: Household, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._household, self._derivation = household, household.derivation
        self._deviation = household.world.spread
        self._journal, self._clock = journal, clock
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._talk = 0.0  # seconds since the last look
        self._waiting: deque[_Near] = deque(maxlen=MOST)  # near misses of which somebody may still say something
        self._nearly: dict[str, float] = {}  # when each command was nearly heard last
        self._counted: dict[int, Overheard] = {}  # by the first example of a command, and not yet saved
        self._saved = clock()
        self._rates: dict[int | None, float] = {}

    def talk(self, seconds: float) -> None:
        """Somebody has spoken for so long, and not to teach."""
        with self._lock:
            self._talk += seconds

    def note(self, detection: Detection) -> None:
        """Something was taken for a command, or nearly."""
        with self._lock:
            if detection.accepted:
                self._nearly.pop(detection.command, None)
                again = [
                    near
                    for near in self._waiting
                    if near.command == detection.command and detection.at - near.at <= AGAIN
                ]
                for near in again:
                    self._waiting.remove(near)
            elif detection.rule is None and detection.score >= detection.threshold - self._deviation:
                self._note_near(_Near(detection.id, detection.command, detection.at))

    def _note_near(self, near: _Near) -> None:
        """What sounds nearly like a command several times within seconds counts once: it may be somebody who is not
        heard, and says it again."""
        before, self._nearly[near.command] = self._nearly.get(near.command), near.at
        if before is None or not 0 <= near.at - before <= AGAIN:  # a clock may have been put back
            self._waiting.append(near)

    def look(self, quiet: bool) -> str | None:
        """Count what was heard since the last look. Now and then it is saved, and where that is ``quiet``, thresholds
        follow it, in a version of their own: what that changed, in words."""
        with self._counting:
            self._count()
        if not quiet or 0 <= self._clock() - self._saved < SAVE:
            return None
        self.save()
        return self._recalibrated()

    def save(self) -> None:
        """Put on the disk what was heard until now."""
        with self._counting:
            self._count()
            self._saved = self._clock()
            counted, self._counted = self._counted, {}
        if counted:
            self._household.overhear(counted)

    def _count(self) -> None:
        ripe = self._clock() - DELAY
        with self._lock:
            hours, self._talk = self._talk / 3600, 0.0
            near = []
            while self._waiting and self._waiting[0].at <= ripe:
                near.append(self._waiting.popleft())
        if not hours and not near:
            return
        marks = {heard.id: heard.mark for heard in self._journal.entries()}
        near = [one for one in near if marks.get(one.id) is None]
        commands = self._household.knowledge.commands
        self._rates = {command.id: self._rates.get(command.id) or self._rate(command) for command in commands}
        for command in commands:
            many = sum(one.command == command.name for one in near)
            more = Overheard(hours, many, hours * self._rates[command.id])
            first = command.examples[0]
            self._counted[first] = self._counted.get(first, NOTHING) + more

    def _rate(self, command: Command) -> float:
        """How many near misses an hour of strangers' talk makes."""
        impostors = self._derivation.impostors(command)
        return impostors.rate(command.threshold - self._deviation) - impostors.rate(command.threshold)

    def _recalibrated(self) -> str | None:
        """Thresholds follow what was heard: at most once a day, and where that says something new."""
        last = next((one.made for one in self._household.history() if heeds_room(one.change)), None)
        if last is not None and 0 <= self._clock() - last < DAY:
            return None
        commands = self._household.knowledge.commands
        news = {command.name: alike for command in commands if (alike := self._news(command)) is not None}
        return self._household.heed(news) if news else None

    def _news(self, command: Command) -> float | None:
        """How many times as often as strangers' talk this household's is to be taken to sound like a command; None
        where what was heard since the last time does not say otherwise, nor much more surely."""
        heard, impostors = self._derivation.overheard(command), self._derivation.impostors(command)
        likeness = Likeness.of(heard, impostors, command.threshold - self._deviation)
        risen = command.threshold + RISE * self._deviation
        most = command.alike * impostors.rate(command.threshold) / impostors.rate(risen)
        alike = max(LEAST, min(likeness.mean, most, MOST_ALIKE))
        low, high = likeness.between()
        otherwise = alike != command.alike and not low <= command.alike <= high
        surer = heard.hours >= max(TALK_HOURS, 2 * (command.fa_hours - impostors.hours))
        return alike if otherwise or surer else None
