"""Deafness: while the speaker speaks, what the microphone hears is itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from speakerd.audio.sources import Source
from speakerd.events import Samples, Waiting


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


class Deafened:
    """A source that gives no sound while there is ``deafness``."""

    def __init__(self, source: Source, deafness: Deafness) -> None:
        self._source, self._deafness = source, deafness

    def __iter__(self) -> Iterator[Samples | Waiting]:
        for sound in self._source:
            yield Waiting("speakerd is speaking") if self._deafness else sound

    def close(self) -> None:
        self._source.close()
