"""What tells a voice from an even sound, be it a fan, rain or an engine: in speech the spectrum changes its shape."""

import numpy as np

from speakerd.audio.features import HOP, MELS, Samples, log_mel

BLOCK = 4  # feature frames in each look at the spectrum, 40 ms
RANGE = 12.0  # how far below the loudest band the quietest counts, nepers of energy (52 dB)


def liveliness(samples: Samples, begin: int, end: int) -> float:
    """How much the shape of the spectrum changes in ``samples[begin:end]``, of at least 80 ms: the deviation over time
    of what each band has above the mean of all, in nepers of energy, root mean square over the bands."""
    bands = log_mel(samples)[begin // HOP : end // HOP]
    blocks = np.maximum(bands, bands.max() - RANGE)[: len(bands) // BLOCK * BLOCK].reshape(-1, BLOCK, MELS).mean(axis=1)
    shapes = blocks - blocks.mean(axis=1, keepdims=True)
    return float(np.sqrt(shapes.var(axis=0, ddof=1).mean()))
