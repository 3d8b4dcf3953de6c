"""What is done to recordings before they are tried: recorded noise at a signal to noise ratio, or anything else."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np

from speakerd.audio.files import read_recording
from speakerd.errors import SpeakerdError
from speakerd.events import Samples

CLEAN = math.inf  # the signal to noise ratio of a recording as it is


@dataclass(frozen=True)
class Changed:
    """A recording heard otherwise than it was made. ``change`` is given its samples (n,) and its key, by which may be
    drawn, and gives as many."""

    name: str
    change: Callable[[Samples, str], Samples] = field(compare=False)


Level = float | Changed  # a signal to noise ratio in dB, or a change


def shown(level: Level) -> str:
    if isinstance(level, Changed):
        return level.name
    return "clean" if level == CLEAN else f"{level:g} dB"


def snr_of(level: Level) -> float | None:
    """The signal to noise ratio; None: without added noise."""
    return None if isinstance(level, Changed) or level == CLEAN else level


def change_of(level: Level) -> str | None:
    """The name of the change; None: as recorded, but for noise."""
    return level.name if isinstance(level, Changed) else None


class Noise:
    """Recordings of noise. Which piece of which one is laid over a sound depends on the seed and that sound alone, so
    all ratios have the same noise, louder or softer."""

    def __init__(self, files: Iterable[Path], seed: int) -> None:
        """Raises:
        AudioFileError: a recording cannot be read.
        SpeakerdError: there is no recording, or one in which there is nothing to hear.
        """
        self._recordings = []
        for path in files:
            samples = read_recording(path)
            level = math.sqrt(float(np.mean(np.square(samples))))
            if level < 1e-6:
                raise SpeakerdError(f"{path}: there is nothing to hear in this noise")
            self._recordings.append(samples / np.float32(level))
        if not self._recordings:
            raise SpeakerdError("no recordings of noise: give --noise a folder with audio files")
        self._seed = seed

    def mixed(self, samples: Samples, speech: tuple[int, int], ratio: float, key: str) -> Samples:
        """``samples`` (n,) with noise ``ratio`` dB below the level that they have in ``speech`` (from, to), scaled down
        where the sum would clip. The level of the noise is that of its whole recording."""
        draw = np.random.default_rng([self._seed, crc32(key.encode())])
        noise = self._recordings[int(draw.integers(len(self._recordings)))]
        start = int(draw.integers(len(noise)))
        piece = np.take(noise, np.arange(start, start + len(samples)), mode="wrap")
        level = math.sqrt(float(np.mean(np.square(samples[slice(*speech)]))))
        mixed = samples + piece * np.float32(level * 10 ** (-ratio / 20))
        return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)
