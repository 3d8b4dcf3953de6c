import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.speaking.phrases import Phrases
from speakerd.speaking.tones import ENDING, GAP, LEARNED, LENGTH, READY, REFUSING, instead_of, tones
from tests.speaking.test_phrases import phrases


@pytest.mark.parametrize("frequencies", [READY, LEARNED])
def test_tones_have_their_frequencies_one_after_the_other(frequencies: tuple[float, ...]) -> None:
    sound = tones(*frequencies)
    step = round((LENGTH + GAP) * SAMPLE_RATE)
    assert len(sound) == step * len(frequencies)
    for number, frequency in enumerate(frequencies):
        spectrum = np.abs(np.fft.rfft(sound[number * step :][:step], SAMPLE_RATE))
        assert int(spectrum.argmax()) == pytest.approx(frequency, abs=4)


def test_tones_begin_and_end_without_a_click() -> None:
    steps = np.abs(np.diff(tones(*LEARNED), prepend=0))
    assert steps[:3].max() < 0.02
    assert np.abs(tones(*LEARNED)).max() < 0.5


def test_every_phrase_has_tones_in_its_stead() -> None:
    for key in phrases("en"):
        assert Phrases("en").text(key, name="x", number=1, action="y")
        assert 0.1 < len(instead_of(key)) / SAMPLE_RATE < 1
    refused, ended = instead_of("too_quiet"), instead_of("nobody")
    assert np.array_equal(refused, tones(*REFUSING))
    assert np.array_equal(ended, tones(*ENDING))
