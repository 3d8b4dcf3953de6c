"""One example makes several, and always the same ones."""

import numpy as np
import pytest

from speakerd.audio.segmenter import decibels, find_utterance
from speakerd.events import Samples, Utterance
from speakerd.house import Mind
from speakerd.learning.enlarge import ROOMS, SNRS, SOFTER, SPEEDS, VARIANTS, enlarge
from tests.recordings import room
from tests.running import CLIPS, clip

NOISY = slice(len(SPEEDS) + 1, len(SPEEDS) + 1 + len(SNRS))
ECHOING = slice(NOISY.stop, None)


def utterance(name: str, take: int = 0) -> Utterance:
    found = find_utterance(clip(name, take))
    assert found is not None
    return found


def speech(one: Utterance) -> Samples:
    return one.samples[one.begin : one.end]


@pytest.mark.parametrize("name", CLIPS)
def test_variants_are_what_they_say(name: str) -> None:
    one = utterance(name)
    variants = list(enlarge(one))
    assert len(variants) == VARIANTS <= 8
    for speed, variant in zip(SPEEDS, variants, strict=False):
        assert variant.seconds == pytest.approx(one.seconds / speed, rel=0.01)
        assert decibels(speech(variant)) == pytest.approx(decibels(speech(one)), abs=0.5)
    assert decibels(speech(variants[len(SPEEDS)])) == pytest.approx(decibels(speech(one)) + SOFTER, abs=0.01)
    for snr, variant in zip(SNRS, variants[NOISY], strict=True):
        assert (variant.begin, variant.end, len(variant.samples)) == (one.begin, one.end, len(one.samples))
        added = variant.samples - one.samples
        assert decibels(speech(one)) - decibels(added) == pytest.approx(snr, abs=1.0)
    for (decay, above), variant in zip(ROOMS, variants[ECHOING], strict=True):
        assert (variant.begin, variant.end, len(variant.samples)) == (one.begin, one.end, len(one.samples))
        echoes = variant.samples - one.samples
        assert np.abs(echoes[: one.begin]).max() < 0.1 * np.abs(echoes).max(), "they come after the voice"
        energy = np.square(echoes).sum() / np.square(one.samples).sum()
        assert -10 * np.log10(energy) == pytest.approx(above, abs=4.0), "some are cut off, and sounds last"
        assert np.abs(echoes[round(decay * 16000) + one.end :]).max(initial=0) < 0.05 * np.abs(echoes).max()
    assert all(np.abs(variant.samples).max() <= 1.05 for variant in variants)


@pytest.mark.parametrize("name", CLIPS)
def test_the_same_example_makes_the_same_variants(name: str) -> None:
    for one, again in zip(enlarge(utterance(name)), enlarge(utterance(name)), strict=True):
        assert np.array_equal(one.samples, again.samples)


def test_another_example_gets_another_noise() -> None:
    name = next(iter(CLIPS))
    one, other = (list(enlarge(utterance(name, i)))[NOISY][-1].samples - utterance(name, i).samples for i in (0, 1))
    most = min(len(one), len(other))
    assert abs(np.corrcoef(one[:most], other[:most])[0, 1]) < 0.1


@pytest.mark.parametrize("hum", [150.0, 2000.0])
def test_noise_sounds_like_the_room(hum: float) -> None:
    one = utterance(next(iter(CLIPS)))
    time = np.arange(16000) / 16000
    humming = (0.01 * np.sin(2 * np.pi * hum * time)).astype(np.float32) + room(1.0)
    added = list(enlarge(one, humming))[NOISY][-1].samples - one.samples
    spectrum = np.abs(np.fft.rfft(added)) ** 2
    frequency = np.fft.rfftfreq(len(added), 1 / 16000)
    assert spectrum[abs(frequency - hum) < 60].sum() > 0.7 * spectrum.sum()


def test_a_silent_room_has_no_sound_of_its_own() -> None:
    one = utterance(next(iter(CLIPS)))
    for variant in enlarge(one, np.zeros(16000, np.float32)):
        assert np.isfinite(variant.samples).all()


@pytest.mark.parametrize("name", CLIPS)
def test_variants_stay_what_was_said(mind: Mind, name: str) -> None:
    own = utterance(name)
    vector = mind.encoder.embed(own)
    other = [mind.encoder.embed(utterance(n)) for n in CLIPS if n != name]
    for variant in enlarge(own):
        assert mind.encoder.embed(variant) @ vector > max(mind.encoder.embed(variant) @ o for o in other)
