"""How long the pieces of running speech are that are compared with commands: the same steps for all, to be shared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST
from speakerd.recognition.encoder import Encoder

RATIO = 1.25  # of neighbouring lengths
SHORTER, LONGER = 0.85, 1.15  # of the shortest and the longest example, what is tried

Fits = NDArray[np.bool_]


def lengths(encoder: Encoder) -> list[int]:
    """All lengths, in trunk frames, the shortest first."""
    found, longest = [_frames(encoder, SHORTEST)], _frames(encoder, LONGEST)
    while found[-1] < longest:
        found.append(max(round(found[-1] * RATIO), found[-1] + 1))
    return found


def fitting(encoder: Encoder, seconds: Sequence[float]) -> Fits:
    """Which of the :func:`lengths` are tried for a command whose examples are so long."""
    spans = sorted(_frames(encoder, one) for one in seconds)
    tried = np.array(lengths(encoder))
    fits = (tried >= SHORTER * spans[0]) & (tried <= LONGER * spans[-1])
    fits[int(np.argmin(np.abs(tried - spans[len(spans) // 2])))] = True
    return np.asarray(fits)


def _frames(encoder: Encoder, seconds: float) -> int:
    """How many trunk frames speech of a length is pooled from."""
    begin = SAMPLE_RATE  # somewhere in a stream
    run = encoder.run_of(begin, begin + round(seconds * SAMPLE_RATE))
    return int(run.stop - run.start)
