"""Tells a voice from every other sound that makes the gate look up: a small network over a few tenths of a second, in
numpy, since it is asked only when something is loud and takes no longer than a call of onnxruntime.

Rain, engines, clocks, dogs and crying babies pass for speech with webrtcvad, which listens to 20 ms at a time. How it
was learned is in training/voice.py.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import MELS, Features, Samples, log_mel, runs

SHIPPED = Path(__file__).resolve().parents[1] / "models/voice.npz"
BLOCK = 2  # feature frames in each look at the spectrum, 20 ms
RANGE = 12.0  # how far below the loudest band the quietest counts, nepers of energy (52 dB)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """Two convolutions over time, their mean and maximum, and what these say: ``first`` (kernel * 40, channels),
    ``second`` (kernel * channels, channels), ``last`` (2 * channels,), each with its bias."""

    first: Array
    first_bias: Array
    second: Array
    second_bias: Array
    last: Array
    last_bias: Array

    def score(self, samples: Samples) -> float:
        """How much ``samples`` (n,), 140 ms at least and as many as it was learned from at best, sound like a voice:
        the logarithm of the odds, 0 where the gate should open."""
        looks = shapes(log_mel(samples))
        hidden = np.maximum(runs(looks.ravel(), len(self.first), MELS) @ self.first + self.first_bias, 0)
        hidden = np.maximum(runs(hidden.ravel(), len(self.second), hidden.shape[1]) @ self.second + self.second_bias, 0)
        pooled = np.concatenate([hidden.mean(axis=0), hidden.max(axis=0)])
        return float(pooled @ self.last + self.last_bias)

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as file:
            return cls(**file)


@cache
def shipped() -> Voice:
    """The one that came along."""
    return Voice.load(SHIPPED)


def shapes(features: Features) -> Array:
    """Feature frames (frames, 40) to looks at the spectrum (frames // 2, 40), by how loud a band is among the others
    and at that time: a louder sound is the same sound."""
    bands = features[: len(features) // BLOCK * BLOCK].reshape(-1, BLOCK, MELS).mean(axis=1)
    bands = np.maximum(bands, bands.max() - RANGE)
    return np.asarray((bands - bands.mean()) / 2, np.float32)
