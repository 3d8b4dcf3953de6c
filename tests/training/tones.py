"""Corpora in which every word is a tone of its own, so that anybody can hear which word it is."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speakerd.events import Samples
from speakerd.training.data import Clip, Corpora
from tests.recordings import room

LOWEST, STEP = 200.0, 1.5  # Hz, and how far apart words are: more than the 20 % by which voices are changed


def tone(word: int, seconds: float = 0.7) -> Samples:
    """A tone between two margins of 150 ms."""
    time = np.arange(round(seconds * 16000)) / 16000
    sound = 0.3 * np.sin(2 * np.pi * LOWEST * STEP**word * time)
    return np.pad(sound, 2400).astype(np.float32)


def word_of(samples: NDArray[np.floating]) -> int:
    """Which word it is."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    frequency = spectrum.argmax() * 16000 / len(samples)
    return round(float(np.log(frequency / LOWEST) / np.log(STEP)))


def corpora() -> Corpora:
    """Words 0 to 5 said six times each, and 6 and 7 once."""
    said = [(word, take) for word in range(6) for take in range(6)] + [(6, 0), (7, 0)]
    words = [
        Clip("tones", f"word {word}", f"voice {take}", (tone(word, 0.4 + 0.1 * take) * 32767).astype(np.int16))
        for word, take in said
    ]
    return Corpora(words=words, speech=[(room(8.0, seed=7, level=-25.0) * 32767).astype(np.int16)])


def write(folder: Path, words: int, takes: int = 2) -> None:
    """A folder of data as `speakerd train` reads it."""
    for word in range(words):
        for take in range(takes):
            path = folder / "words/train/tones" / f"w{word}" / f"v{take}_nohash_0.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(word % 8), 16000)
    for kind, level in (("speech", -25.0), ("noise", -40.0)):
        for number in range(12):
            path = folder / kind / "train" / "somewhere" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, room(1.0, seed=number, level=level), 16000)
