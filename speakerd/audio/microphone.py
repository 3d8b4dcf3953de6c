"""The microphone as it is: captured at its own rate, brought to 16 kHz mono frames, and waited for when it is gone."""

import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import soxr

from speakerd.audio.devices import (
    BLOCK,
    Channel,
    Device,
    DeviceError,
    HungError,
    aside,
    find_device,
    open_stream,
    portaudio,
    refresh,
    surroundings,
)
from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME
from speakerd.audio.sources import HEARTBEAT
from speakerd.events import Samples, Waiting

log = logging.getLogger(__name__)

QUEUE = 5.0  # seconds of sound that wait for a reader before it is dropped
GONE_AFTER = 2.0  # seconds without a callback after which a device counts as gone
STARTS_WITHIN = 5.0  # the same for one that has just been opened: sound servers and Bluetooth take their time
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between two attempts
# Seconds after which a lasting want of a microphone makes PortAudio list the devices anew, though no card or sound
# server seems to have come. Not at each attempt: ALSA leaks 12 kB every time where there is no card, 35 MB a day.
LOOK_AGAIN = 300.0


class Microphone:
    """A source that never ends by itself: a device that is missing, busy or gone is tried again and again.

    ``channel`` counts from 0; "mix" is the mean of all. ``overflows`` counts the times that sound was lost because
    the machine was too busy.

    Raises:
        DeviceError: PortAudio is not installed, for which there is no use in waiting.
    """

    def __init__(self, device: str | int | None = None, channel: Channel = 0) -> None:
        with contextlib.suppress(HungError):  # which is waited for
            portaudio()
        self._wanted = device
        self._channel: Channel = channel
        # Simple, because put() on it is safe in a signal handler too. An empty block wakes the reader up.
        self._blocks: SimpleQueue[bytes] = SimpleQueue()
        self._ending: Future[None] | None = None  # of the last stream
        self._pause = FIRST_PAUSE  # before the next attempt
        self._saw, self._looked = surroundings(), time.monotonic()
        self._patience = 0.0
        self._closed = False
        self.overflows = 0
        self._reported = 0
        self._report_after = 0.0

    def __iter__(self) -> Iterator[Samples | Waiting]:
        trouble = ""
        while not self._closed:
            try:
                for sound in self._capture():
                    if not isinstance(sound, Waiting):
                        if trouble:
                            log.info("the microphone is back")
                        self._pause, trouble = FIRST_PAUSE, ""
                    yield sound
            except DeviceError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("no microphone (trying again, every %d s at the latest): %s", LONGEST_PAUSE, trouble)
            yield from self._wait(self._pause, trouble)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def be_patient(self, seconds: float) -> None:
        self._patience = seconds

    def close(self) -> None:
        self._closed = True
        self._blocks.put(b"")

    def _wait(self, seconds: float, reason: str) -> Iterator[Waiting]:
        until = time.monotonic() + seconds
        while not self._closed and (left := until - time.monotonic()) > 0:
            yield Waiting(reason)
            time.sleep(min(HEARTBEAT, left))

    def _capture(self) -> Iterator[Samples | Waiting]:
        # Opening and closing wait for the sound server, which may have hung: never here.
        opening = aside(self._open)
        while not wait([opening], HEARTBEAT).done:
            if self._closed:
                return
            yield Waiting("the sound system does not answer")
        device, stream, channels = opening.result()
        log.info("listening on '%s', %d Hz, channel %s of %d", device.name, stream.samplerate, self._channel, channels)
        try:
            framer = _Framer(round(stream.samplerate), channels, self._channel)
            heard, patience = time.monotonic(), STARTS_WITHIN
            while not self._closed:
                if self._patience and self._blocks.empty():
                    time.sleep(self._patience)
                try:
                    block = self._blocks.get(timeout=HEARTBEAT)
                except Empty:
                    if time.monotonic() > heard + patience:
                        raise DeviceError(f"'{device.name}' has gone silent: it is open but gives no sound") from None
                    yield Waiting(f"no sound arrives from '{device.name}'")
                    continue
                if not block:
                    if self._closed:
                        return
                    raise DeviceError(f"'{device.name}' is gone: it stopped by itself (unplugged?)")
                heard, patience = time.monotonic(), GONE_AFTER
                yield from framer.push(block)
                self._report_overflows(heard)
        finally:
            self._ending = aside(lambda: _end(stream))
            wait([self._ending], HEARTBEAT)

    def _open(self) -> tuple[Device, Any, int]:
        """The device, a stream from it, and how many channels that has."""
        if self._ending is not None:
            self._ending.result()
        if self._pause > FIRST_PAUSE:
            self._look_again()
        while not self._blocks.empty():  # of the stream that has ended
            self._blocks.get()
        device = find_device(self._wanted)
        return device, *open_stream(device, self._channel, self._take, lambda: self._blocks.put(b""))

    def _look_again(self) -> None:
        seen, now = surroundings(), time.monotonic()
        if self._pause < LONGEST_PAUSE or seen != self._saw or now > self._looked + LOOK_AGAIN:
            refresh()
            self._saw, self._looked = seen, now

    def _take(self, data: Any, frames: int, when: Any, status: Any) -> None:
        """PortAudio's thread gives a block; it must never wait."""
        if status.input_overflow:
            self.overflows += 1
        if self._blocks.qsize() < QUEUE / BLOCK:
            self._blocks.put(bytes(data))
        else:
            self.overflows += 1

    def _report_overflows(self, now: float) -> None:
        if self.overflows > self._reported and now >= self._report_after:
            log.warning(
                "sound lost %d times (%d in all): the machine is too busy",
                self.overflows - self._reported,
                self.overflows,
            )
            self._reported, self._report_after = self.overflows, now + 60


class _Framer:
    """Blocks of interleaved float32 from the device in, frames out."""

    def __init__(self, rate: int, channels: int, channel: Channel) -> None:
        self._channels, self._channel = channels, channel
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32")
        self._rest: Samples = np.zeros(0, np.float32)

    def push(self, block: bytes) -> Iterator[Samples]:
        sound = np.frombuffer(block, np.float32).reshape(-1, self._channels)
        mono = sound.mean(axis=1) if self._channel == "mix" else np.ascontiguousarray(sound[:, self._channel])
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        samples = np.concatenate([self._rest, mono])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        for at in range(0, whole, FRAME):
            yield samples[at : at + FRAME]


def _end(stream: Any) -> None:
    stream.abort()
    stream.close()
