"""Log-mel features: the one definition that training and the running daemon share.

A feature frame is 40 mel bands of the last 25 ms, one every 10 ms. Frame ``t`` ends where its hop ends: it covers
samples ``[160 (t + 1) - 400, 160 (t + 1))``, so nothing looks ahead. There is no normalisation here: the encoder's
first filters each sum to zero, so a louder voice (a constant added to every band) changes nothing after them.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Features = NDArray[np.float32]

SAMPLE_RATE = 16000
HOP = 160
WINDOW = 400
FFT = 512
MELS = 40
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0
# Added to each band's energy before the logarithm: about white noise at -85 dBFS, the floor of a decent microphone,
# so that digital silence and a quiet room look alike.
FLOOR = 2e-6
AT_ONCE = 8000  # samples of a recording: the spectra of all of it would take a megabyte for a second


@cache
def window() -> NDArray[np.float32]:
    """Hann window, (400,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


@cache
def mel_matrix() -> NDArray[np.float32]:
    """Triangular mel filters, (257 frequency bins, 40 bands), HTK mel scale, unit peak."""
    mel = 2595 * np.log10(1 + np.array([LOWEST_HZ, HIGHEST_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(mel[0], mel[1], MELS + 2) / 2595) - 1)
    bins = np.arange(FFT // 2 + 1)[:, None] * SAMPLE_RATE / FFT
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def runs(numbers: NDArray[np.float32], size: int, hop: int) -> NDArray[np.float32]:
    """All whole runs of so many ``numbers`` (n,; contiguous), ``hop`` apart: a view (runs, size), as numpy's
    sliding_window_view gives, which takes as long as the spectrum of ten of them."""
    count = (len(numbers) - size) // hop + 1
    return np.ndarray((count, size), np.float32, numbers, strides=(4 * hop, 4))


class LogMel:
    """Turns samples into feature frames as they come; any split of a recording gives the same frames."""

    def __init__(self) -> None:
        self._tail: Samples = np.zeros(WINDOW - HOP, np.float32)

    def push(self, samples: Samples) -> Features:
        """Features of every hop that ``samples`` (n,) in -1..1 completes: (frames, 40), possibly none."""
        samples = np.concatenate([self._tail, samples])
        frames = max(0, (len(samples) - WINDOW) // HOP + 1)
        self._tail = samples[frames * HOP :]
        if frames == 0:
            return np.zeros((0, MELS), np.float32)
        blocks = runs(samples, WINDOW, HOP) * window()
        spectrum = np.fft.rfft(blocks, FFT)
        energy = np.square(spectrum.real) + np.square(spectrum.imag)
        return np.asarray(np.log(energy.astype(np.float32) @ mel_matrix() + np.float32(FLOOR)), np.float32)


def at_pace(features: Features, slower: float, frames: int) -> Features:
    """The first ``frames`` of features (n, 40) of what is said so many times as slowly, at the same pitch: between two
    frames something of both, after the last one that again."""
    last = np.array(len(features) - 1)
    return between(features, np.minimum(np.arange(frames) / slower, last), last)


def between(rows: NDArray[np.float32], at: NDArray[np.floating], last: NDArray[np.intp]) -> NDArray[np.float32]:
    """Of ``rows`` (n, width) what is at places ``at`` (...), 0 to ``last`` (broadcast to it): (..., width)."""
    before = np.floor(at).astype(np.intp)
    share = (at - before).astype(np.float32)[..., None]
    return np.asarray(rows[before] * (1 - share) + rows[np.minimum(before + 1, last)] * share, np.float32)


def log_mel(samples: Samples) -> Features:
    """Features of a whole recording: (samples // 160, 40)."""
    mel = LogMel()
    parts = [mel.push(samples[at : at + AT_ONCE]) for at in range(0, len(samples), AT_ONCE)]
    return np.concatenate([np.zeros((0, MELS), np.float32), *parts])
