"""Mute: the house does not want to be listened to, and that outlasts a restart and a power cut."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from speakerd.audio.sources import Behind, Source
from speakerd.errors import SpeakerdError
from speakerd.events import Samples, Waiting

log = logging.getLogger(__name__)


def steady() -> float:
    """Seconds that nobody sets: a Pi has no clock of its own, and learns from the network what time it is."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class MuteSwitch:
    """Muted or not. For the next start a file in the folder of state says it: seconds since 1970 until when, or nothing
    for no end. Safe to use from several threads."""

    def __init__(self, state: Path) -> None:
        """Raises:
        SpeakerdError: whether it is muted cannot be read, so that it must not be guessed.
        """
        self._file = state / "muted"
        self._lock = threading.Lock()
        left = _left(self._file)
        self._end = None if left is None else steady() + left

    @property
    def on(self) -> bool:
        end = self._end
        if end is not None and end <= steady():
            self._run_out(end)
            return False
        return end is not None

    @property
    def until(self) -> float | None:
        """Seconds since 1970 when it ends, to the second; None where it is not muted, or does not end by itself."""
        end = self._end
        return None if end is None or end == float("inf") or not self.on else float(round(time.time() + end - steady()))

    @property
    def words(self) -> str:
        if not self.on:
            return "not muted"
        if self.until is None:
            return "muted until `speakerd unmute`"
        day = "" if self.until - time.time() < 12 * 3600 else "%Y-%m-%d "
        return f"muted until {time.strftime(f'{day}%H:%M', time.localtime(self.until))}"

    def begin(self, minutes: float | None) -> None:
        """From now on, for so many minutes, or until it is ended; it is on the disk on return.

        Raises:
            SpeakerdError: it cannot be written. Then it is muted all the same, until the daemon ends.
        """
        with self._lock:
            self._end = float("inf") if minutes is None else steady() + 60 * minutes
            _write(self._file, "" if minutes is None else f"{time.time() + 60 * minutes:.3f}")

    def end(self) -> None:
        """Raises:
        SpeakerdError: it cannot be removed; it stays muted.
        """
        with self._lock:
            try:
                self._file.unlink(missing_ok=True)
                _sync(self._file.parent)
            except OSError as error:
                raise _cannot(self._file, error) from error
            self._end = None

    def _run_out(self, end: float) -> None:
        """The file goes, lest a start with an older time takes it for muted; where it may not be removed, that start
        keeps the longer silence."""
        with self._lock, suppress(OSError):
            if self._end == end:  # nobody has muted it anew
                self._end = None
                self._file.unlink(missing_ok=True)


class Muted(Behind):
    """A source as the house wants it heard: while muted, nothing of its sound gets through to be looked at."""

    def __init__(self, source: Source, mute: MuteSwitch) -> None:
        super().__init__(source)
        self._mute = mute

    def __iter__(self) -> Iterator[Samples | Waiting]:
        was = False
        for sound in self._source:
            on = self._mute.on
            if on and not was:
                log.info("%s: nothing is listened to", self._mute.words)
            elif was and not on:
                log.info("no longer muted")
            was = on
            yield Waiting(self._mute.words) if on else sound


def _left(file: Path) -> float | None:
    """For how many seconds it is muted; None where there is no such file. By a clock that is behind it is not longer
    than was asked for, which was when the file was written."""
    try:
        with file.open(encoding="ascii") as reading:
            text, asked = reading.read().strip(), os.fstat(reading.fileno()).st_mtime
        return float(text) - max(time.time(), asked) if text else float("inf")
    except FileNotFoundError:
        return None
    except ValueError:  # whatever else is there, somebody wanted it muted
        return float("inf")
    except OSError as error:
        raise SpeakerdError(f"{file}: whether the speaker is muted cannot be read: {error.strerror}") from error


def _write(file: Path, text: str) -> None:
    """All of it or nothing, also through a power cut."""
    half = file.with_suffix(".new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with half.open("w", encoding="ascii") as writing:
            writing.write(text)
            writing.flush()
            os.fsync(writing.fileno())
        half.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise _cannot(file, error) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(file: Path, error: OSError) -> SpeakerdError:
    return SpeakerdError(f"{file} cannot be written: {error.strerror}. A restart will not know what you asked for")
