"""Rooms: what becomes of a recording that is played in one, by impulse responses that are measured or made.

Those made here are of rooms like boxes, by the image-source method (Allen and Berkley 1979): every wall is a mirror
that gives back a part of the sound, so that each mirrored source adds an echo.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.errors import SpeakerdError
from speakerd.evaluation.sounds import recordings
from speakerd.events import Samples
from speakerd.learning.enlarge import in_room

SOUND = 343.0  # m/s
NEAR = 0.5  # m from the microphone, where commands are taught
LOWEST = 100.0  # Hz, below which mirrors, which know no phase, add up to a rumble that no room has

Place = tuple[float, float, float]
Places = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A room: its size and who is where, in m; ``decay``: seconds in which an echo dies away by 60 dB."""

    size: Place
    voice: Place
    microphone: Place
    decay: float

    def response(self) -> Samples:
        """The impulse response (samples,) from the first sound on; 1 is the loudness of a voice at 0.5 m."""
        volume, (x, y, z) = float(np.prod(self.size)), self.size
        kept = np.exp(-0.161 * volume / (4 * (x * y + y * z + z * x) * self.decay))  # by a wall; after Eyring
        reach = SOUND * self.decay
        axes = [_mirrored(*axis, reach) for axis in zip(self.size, self.voice, self.microphone, strict=True)]
        squares = [places**2 for places, _ in axes]
        distance = np.sqrt(np.add.outer(np.add.outer(squares[0], squares[1]), squares[2]))
        bounces = np.add.outer(np.add.outer(axes[0][1], axes[1][1]), axes[2][1])
        heard = distance < reach
        distance, bounces = distance[heard], bounces[heard]
        delay = np.round((distance - distance.min()) / SOUND * SAMPLE_RATE).astype(np.intp)
        response = np.bincount(delay, NEAR * kept**bounces / distance)
        size = 2 * len(response)  # what would come before the first sound does not come around to the last
        rising = (np.fft.rfftfreq(size, 1 / SAMPLE_RATE) / LOWEST) ** 2
        passed = np.fft.irfft(np.fft.rfft(response, size) * rising / (1 + rising), size)
        return np.asarray(passed[: len(response)], np.float32)


def _mirrored(length: float, voice: float, microphone: float, reach: float) -> tuple[Places, Places]:
    """Along one side of a room: how far mirrored voices are from the microphone, and over how many walls."""
    often = np.arange(-int(reach / (2 * length)) - 1, int(reach / (2 * length)) + 2)
    places = np.concatenate([2 * often * length + voice, 2 * often * length - voice]) - microphone
    return places, np.concatenate([np.abs(2 * often), np.abs(2 * often - 1)])


ROOMS = {
    "kitchen": Box((3.5, 2.8, 2.5), (2.6, 1.9, 1.6), (1.2, 0.4, 1.1), 0.6),
    "across-the-room": Box((6.0, 4.5, 2.5), (5.2, 3.5, 1.6), (1.3, 1.2, 0.9), 0.5),
}


def softer(decibels: float) -> Callable[[Samples, str], Samples]:
    """The same, so much louder (or softer, where negative), as 16 bits hold it."""

    def heard(samples: Samples, _: str) -> Samples:
        louder = np.clip(samples * 10 ** (decibels / 20), -1, 1)
        return np.asarray(np.round(louder * 32767) / 32767, np.float32)

    return heard


def room(name: str) -> Callable[[Samples, str], Samples]:
    """The same in a room: one of ROOMS, or an impulse response, or one of a folder of them, drawn for each recording.

    Raises:
        SpeakerdError: there is no such room.
    """
    responses = _responses(name)

    def heard(samples: Samples, key: str) -> Samples:
        return in_room(samples, responses[crc32(key.encode()) % len(responses)])

    return heard


@cache
def _responses(name: str) -> list[Samples]:
    if name in ROOMS:
        return [ROOMS[name].response()]
    path = Path(name)
    files = recordings(path) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise SpeakerdError(
            f"{name}: no room; there are {', '.join(ROOMS)}, or give a file or folder of impulse responses"
        )
    return [_from_first(read_recording(file)) for file in files]


def _from_first(response: Samples) -> Samples:
    """From its loudest sample on, the direct sound, which counts 1."""
    begin = int(np.abs(response).argmax())
    return response[begin:] / max(1e-9, float(np.abs(response[begin])))
