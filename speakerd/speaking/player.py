"""The loudspeaker: plays one sound to its end, on the device that the settings name."""

import threading
import time
from concurrent.futures import wait
from typing import Any

import numpy as np
import soxr

from speakerd.audio.devices import ANSWERS_WITHIN, DeviceError, HungError, aside, find_loudspeaker, portaudio
from speakerd.audio.features import SAMPLE_RATE
from speakerd.events import Samples

BUFFERED = 0.3  # seconds of sound in the device's buffer: a busy machine is late by so much
ON_ITS_WAY = 0.05  # seconds from the device's buffer to the loudspeaker, with a sound server between


class Player:
    """``device`` as in the settings, ``volume`` from 0 to 1."""

    def __init__(self, device: str | int | None, volume: float) -> None:
        self.wanted, self._volume = device, volume

    def play(self, samples: Samples, hush: threading.Event) -> None:
        """Play 16 kHz mono ``samples`` (samples,); returns when they have been heard, or soon after ``hush`` is set.

        Raises:
            DeviceError: there is no such loudspeaker, or it is in use, or it goes.
            HungError: the sound system does not answer.
        """
        playing = aside(lambda: self._play(samples, hush))  # opening and closing wait for the sound server
        if not wait([playing], ANSWERS_WITHIN + len(samples) / SAMPLE_RATE).done:
            raise HungError
        playing.result()

    def _play(self, samples: Samples, hush: threading.Event) -> None:
        sounddevice = portaudio()
        device = find_loudspeaker(self.wanted)
        channels = min(2, device.channels)
        sound = np.clip(soxr.resample(self._volume * samples, SAMPLE_RATE, device.rate), -1, 1).astype(np.float32)
        rest = memoryview(np.repeat(sound, channels).tobytes())
        given = threading.Event()

        def give(block: Any, *_: Any) -> None:
            nonlocal rest
            part = rest[: len(block)]
            block[: len(part)] = part
            block[len(part) :] = bytes(len(block) - len(part))  # silence, also after the end: see below
            rest = rest[len(part) :]
            if not rest or hush.is_set():
                given.set()

        try:
            with sounddevice.RawOutputStream(
                device=device.index, samplerate=device.rate, channels=channels, dtype="float32", latency=BUFFERED,
                callback=give, finished_callback=given.set,
            ) as stream:  # fmt: skip
                given.wait()
                if not hush.is_set():
                    time.sleep(stream.latency + ON_ITS_WAY)  # draining would cut off the end (ALSA's pulse plugin)
                stream.abort()
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"'{device.name}' does not play: {error}") from error
