"""Whether a microphone that gives sound also hears: one that is muted, turned down or overdriven is as good as dead."""

import logging
from collections import deque
from collections.abc import Iterator
from enum import Enum

import numpy as np

from speakerd.audio.segmenter import FRAME, Room, Segmenter, decibels
from speakerd.audio.sources import Behind, Source
from speakerd.events import Samples, Waiting

log = logging.getLogger(__name__)

EVERY = 5  # frames between two looks, 100 ms: speech lasts longer
PER_SECOND = 16000 / FRAME / EVERY
LOUD = Room.QUIETEST + Segmenter.SOUND  # dBFS; what is softer never opens the gate
SILENT_AFTER = 10.0  # seconds
QUIET_AFTER = 600.0  # seconds from the beginning; where it has been loud once, a night must have passed
QUIET_LATER = 86400.0
OVERDRIVEN_AFTER = 10.0
FULL = 0.99  # of what the microphone can give


class Fault(Enum):
    """What is wrong with it, and what to do."""

    SILENT = ("digital silence: it is muted", "unmute it: `alsamixer -V capture`, F4, space")
    QUIET = (
        "as good as dead: nothing was loud enough to be speech",
        "turn its gain up (`alsamixer -V capture`), come closer, or choose another with audio.device",
    )
    OVERDRIVEN = ("overdriven: it clips all the time", "turn its gain down: `alsamixer -V capture`")

    def __init__(self, words: str, remedy: str) -> None:
        self.words, self.remedy = words, remedy


class Condition:
    """Judges a stream, frame by frame; ``fault`` is what is wrong at present."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self._frames = 0
        self._silent = self._quiet = 0.0  # seconds without any sound, and without a loud one
        self._patience = QUIET_AFTER
        self._full: deque[bool] = deque(maxlen=round(OVERDRIVEN_AFTER * PER_SECOND))
        self._told: set[Fault] = set()

    def look(self, frame: Samples) -> None:
        """Take the next frame, (320,). Each fault is written to the log once."""
        self._frames += 1
        if self._frames % EVERY:
            return
        low, high = float(frame.min()), float(frame.max())
        self._full.append(max(high, -low) >= FULL)
        self._silent = 0.0 if high > low else self._silent + 1 / PER_SECOND
        if high - low > 10 ** (LOUD / 20) and decibels(frame - np.mean(frame)) > LOUD:
            self._quiet, self._patience = 0.0, QUIET_LATER
        else:
            self._quiet += 1 / PER_SECOND
        fault = self._found()
        if fault is not None and fault not in self._told:
            self._told.add(fault)
            log.warning("the microphone is of no use, %s; %s", fault.words, fault.remedy)
        elif fault is None and self.fault is not None:
            log.info("the microphone hears again")
        self.fault = fault

    def _found(self) -> Fault | None:
        if self._silent > SILENT_AFTER:
            return Fault.SILENT
        if self._quiet > self._patience:
            return Fault.QUIET
        often = len(self._full) == self._full.maxlen and sum(self._full) > len(self._full) / 2
        return Fault.OVERDRIVEN if often else None


class Watched(Behind):
    """A source whose sound is looked at on the way."""

    def __init__(self, source: Source, condition: Condition) -> None:
        super().__init__(source)
        self._condition = condition

    def __iter__(self) -> Iterator[Samples | Waiting]:
        for sound in self._source:
            if not isinstance(sound, Waiting):
                self._condition.look(sound)
            yield sound
