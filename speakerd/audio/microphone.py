"""The microphone as it is: captured at its own rate, brought to 16 kHz mono frames, and waited for when it is gone."""

import logging
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, Literal

import numpy as np
import soxr

from speakerd.audio.devices import Device, DeviceError, find_device, portaudio, refresh
from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME
from speakerd.audio.sources import HEARTBEAT
from speakerd.events import Samples, Waiting

log = logging.getLogger(__name__)

Channel = int | Literal["mix"]

OTHER_RATES = (48000, 44100, 16000)  # for a device that refuses the rate it calls its own
BLOCK = 0.1  # seconds of sound a callback: each one wakes two threads, which is most of what listening costs
LATENCY = 0.2  # seconds that the device may buffer: a busy machine is late by more than the usual 35 ms
QUEUE = 5.0  # seconds of sound that wait for a reader before it is dropped
GONE_AFTER = 2.0  # seconds without a callback after which a device counts as gone
STARTS_WITHIN = 5.0  # the same for one that has just been opened: sound servers and Bluetooth take their time
LONGEST_PAUSE = 30.0  # seconds between two attempts
MOST_CHANNELS = 8  # more than that (32, 128) is what a virtual device says, which gives as many as it is asked for

# PortAudio's error codes: for a device that another program holds, and for a rate that it does not have.
DEVICE_UNAVAILABLE, INVALID_SAMPLE_RATE = -9985, -9997


class Microphone:
    """A source that never ends by itself: a device that is missing, busy or gone is tried again and again.

    ``channel`` counts from 0; "mix" is the mean of all. ``overflows`` counts the times that sound was lost because
    the machine was too busy.

    Raises:
        DeviceError: PortAudio is not installed, for which there is no use in waiting.
    """

    def __init__(self, device: str | int | None = None, channel: Channel = 0) -> None:
        portaudio()
        self._wanted = device
        self._channel: Channel = channel
        # Simple, because put() on it is safe in a signal handler too. An empty block wakes the reader up.
        self._blocks: SimpleQueue[bytes] = SimpleQueue()
        self._closed = False
        self.overflows = 0
        self._reported = 0
        self._report_after = 0.0

    def __iter__(self) -> Iterator[Samples | Waiting]:
        pause, trouble = 1.0, ""
        while not self._closed:
            try:
                if trouble:
                    refresh()
                for sound in self._capture():
                    if not isinstance(sound, Waiting):
                        if trouble:
                            log.info("the microphone is back")
                        pause, trouble = 1.0, ""
                    yield sound
            except DeviceError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("no microphone (trying again, every %d s at the latest): %s", LONGEST_PAUSE, trouble)
            yield from self._wait(pause, trouble)
            pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        self._closed = True
        self._blocks.put(b"")

    def _wait(self, seconds: float, reason: str) -> Iterator[Waiting]:
        until = time.monotonic() + seconds
        while not self._closed and (left := until - time.monotonic()) > 0:
            yield Waiting(reason)
            time.sleep(min(HEARTBEAT, left))

    def _capture(self) -> Iterator[Samples | Waiting]:
        device = find_device(self._wanted)
        while not self._blocks.empty():  # of a stream that has ended
            self._blocks.get()
        stream, channels = self._open(device)
        try:
            framer = _Framer(round(stream.samplerate), channels, self._channel)
            stream.start()
            log.info(
                "listening on '%s', %d Hz, channel %s of %d", device.name, stream.samplerate, self._channel, channels
            )
            heard, patience = time.monotonic(), STARTS_WITHIN
            while not self._closed:
                try:
                    block = self._blocks.get(timeout=HEARTBEAT)
                except Empty:
                    if time.monotonic() > heard + patience:
                        raise DeviceError(f"'{device.name}' has gone silent: it is open but gives no sound") from None
                    yield Waiting(f"no sound arrives from '{device.name}'")
                    continue
                if not block and not self._closed:
                    raise DeviceError(f"'{device.name}' is gone: it stopped by itself (unplugged?)")
                heard, patience = time.monotonic(), GONE_AFTER
                yield from framer.push(block)
                self._report_overflows(heard)
        except portaudio().PortAudioError as error:
            raise DeviceError(_why_refused(device, error)) from error
        finally:
            stream.abort()
            stream.close()

    def _open(self, device: Device) -> tuple[Any, int]:
        """A stream, and how many channels it has."""
        sounddevice = portaudio()
        offered = device.channels if device.channels <= MOST_CHANNELS else 2
        if self._channel == "mix":
            channels = offered
        elif self._channel < device.channels:
            # Never only one of several: a sound server would mix them instead of giving the first.
            channels = max(self._channel + 1, min(2, offered))
        else:
            raise DeviceError(f"there is no channel {self._channel} (the first is 0): {device}")
        refusal: Exception | None = None
        for rate in dict.fromkeys((device.rate, *OTHER_RATES)):
            try:
                stream = sounddevice.RawInputStream(
                    device=device.index,
                    samplerate=rate,
                    channels=channels,
                    dtype="float32",
                    blocksize=round(rate * BLOCK),
                    latency=LATENCY,
                    callback=self._take,
                    finished_callback=lambda: self._blocks.put(b""),
                )
                return stream, channels
            except sounddevice.PortAudioError as error:
                refusal = refusal or error
                if error.args[-1] != INVALID_SAMPLE_RATE:
                    break
        raise DeviceError(_why_refused(device, refusal)) from refusal

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


def _why_refused(device: Device, error: Any) -> str:
    if error.args[-1] == DEVICE_UNAVAILABLE:
        return f"'{device.name}' is in use by another program (`fuser -v /dev/snd/*` shows which)"
    return f"'{device.name}' does not open: {error}"
