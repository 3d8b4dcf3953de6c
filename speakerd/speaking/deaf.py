"""Deafness: while the speaker speaks, what the microphone hears is itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from speakerd.audio.sources import Behind, Source
from speakerd.events import Samples, Waiting

WAITED = 0.01  # seconds for a frame that was not there yet
MOST_LATE = 100  # frames: two seconds, for sources that are never waited for


class Deafness:
    """How many sounds are being played at the moment."""

    def __init__(self) -> None:
        self._playing = 0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return self._playing > 0

    @contextmanager
    def while_playing(self) -> Iterator[None]:
        with self._lock:
            self._playing += 1
        try:
            yield
        finally:
            with self._lock:
                self._playing -= 1


class Deafened(Behind):
    """A source that gives no sound while there is ``deafness``, nor afterwards what was captured meanwhile and is only
    now read, because the machine is slow: that is over as soon as a frame has to be waited for."""

    def __init__(self, source: Source, deafness: Deafness) -> None:
        super().__init__(source)
        self._deafness = deafness

    def __iter__(self) -> Iterator[Samples | Waiting]:
        late = 0
        asked = time.monotonic()
        for sound in self._source:
            if self._deafness:
                late = MOST_LATE
            elif time.monotonic() - asked > WAITED:
                late = 0
            if late:
                late -= 1
                yield Waiting("speakerd is speaking")
            else:
                yield sound
            asked = time.monotonic()
