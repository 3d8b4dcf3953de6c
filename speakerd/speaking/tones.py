"""Tones: for what needs no words, and for everything where no synthesiser is installed."""

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.events import Samples

LENGTH, GAP, FADE = 0.12, 0.03, 0.01  # seconds of each tone, between two, and of swelling and fading
LOUDNESS = 0.4

# Frequencies, Hz: rising asks or is content, falling refuses or ends.
READY = (880.0,)
HEARD = (1318.5,)
ASKING = (523.3, 659.3)
REFUSING = (392.0, 311.1)
LEARNED = (523.3, 659.3, 784.0, 1046.5)
ENDING = (523.3, 392.0, 261.6)

_REFUSALS = ("too_quiet", "too_loud", "too_short", "too_long", "cut_off", "noise", "different", "check_failed", "close")
_INSTEAD = (
    dict.fromkeys(_REFUSALS, REFUSING)
    | dict.fromkeys(("learned", "learned_doubtful"), LEARNED)
    | dict.fromkeys(("stopped", "nobody", "gave_up"), ENDING)
)


def instead_of(key: str) -> Samples:
    """What is heard where the phrase ``key`` cannot be spoken."""
    return tones(*_INSTEAD.get(key, ASKING))


def tones(*frequencies: float) -> Samples:
    """Pure tones one after the other, (samples,)."""
    times = np.arange(round(LENGTH * SAMPLE_RATE)) / SAMPLE_RATE
    edges = np.minimum(1, np.minimum(times, LENGTH - times) / FADE)  # without them each tone begins with a click
    gap = np.zeros(round(GAP * SAMPLE_RATE))
    sounds = [part for f in frequencies for part in (LOUDNESS * edges * np.sin(2 * np.pi * f * times), gap)]
    return np.concatenate(sounds).astype(np.float32)
