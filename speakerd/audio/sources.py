"""Where sound comes from: anything that gives 20 ms frames, one after the other. Here files and streams of raw PCM."""

import io
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from speakerd.audio.files import AudioFileError, read_audio
from speakerd.audio.segmenter import FRAME, frames_of
from speakerd.events import Samples, Waiting

# Seconds without sound after which a source gives Waiting, since whoever iterates has a watchdog to feed. Two of them
# in a row are still less than the second that is promised.
HEARTBEAT = 0.4


class Source(Protocol):
    """Frames of 320 samples, 16 kHz mono float32 in -1..1, or :class:`Waiting` at least once a second without sound."""

    def __iter__(self) -> Iterator[Samples | Waiting]: ...

    def be_patient(self, seconds: float) -> None:
        """From now on, where there is no sound yet, let it gather for so long before looking again: each time that a
        machine wakes up costs as much as a dozen frames."""

    def close(self) -> None:
        """End the iteration within a second; may be called from another thread or a signal handler."""


class Behind:
    """A source behind another one, which it leaves alone as long as it is to be left alone itself."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def be_patient(self, seconds: float) -> None:
        self._source.be_patient(seconds)

    def close(self) -> None:
        self._source.close()


class FileSource:
    """An audio file of any kind, as fast as it is read; the last frame is filled up with zeros.

    Raises:
        AudioFileError: the file is not usable audio.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._samples = read_audio(path)
        except AudioFileError as error:
            raise AudioFileError(f"{path}: {error}") from error
        self._closed = False

    def __iter__(self) -> Iterator[Samples | Waiting]:
        for frame in frames_of(self._samples):
            if self._closed:
                return
            yield frame

    def be_patient(self, seconds: float) -> None:
        """All of it is there."""

    def close(self) -> None:
        self._closed = True


class PcmSource:
    """Raw 16 kHz 16-bit little-endian mono PCM, as ``arecord -f S16_LE -r 16000 -c 1`` writes it to a pipe.

    Frames come out as their last byte comes in, however the bytes are portioned.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._patience = 0.0
        self._closed = False

    def __iter__(self) -> Iterator[Samples | Waiting]:
        pending = b""
        for data in self._reads():
            if not data:
                yield Waiting("no sound arrives on standard input")
                continue
            pending += data
            whole = len(pending) // (2 * FRAME) * (2 * FRAME)
            for frame in frames_of(_from_pcm(pending[:whole])):
                if self._closed:
                    return
                yield frame
            pending = pending[whole:]
        yield from frames_of(_from_pcm(pending[: len(pending) // 2 * 2]))

    def be_patient(self, seconds: float) -> None:
        self._patience = seconds

    def close(self) -> None:
        self._closed = True

    def _reads(self) -> Iterator[bytes]:
        """What has arrived, each time there is something; nothing (b"") when there was nothing for a while."""
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # in memory
            yield from iter(lambda: self._stream.read(2 * FRAME), b"")
            return
        # Past the stream's own buffer, which would wait until it is full.
        arrivals = select.poll()
        arrivals.register(descriptor, select.POLLIN)
        while not self._closed:
            if self._patience and not arrivals.poll(0):
                time.sleep(self._patience)
            if not arrivals.poll(HEARTBEAT * 1000):
                yield b""
            elif data := os.read(descriptor, 65536):
                yield data
            else:
                return


def _from_pcm(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
