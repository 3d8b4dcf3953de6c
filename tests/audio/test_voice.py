"""What the gate takes for a voice: people's recordings against animals, clocks and machines."""

from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME, LOOK, Segmenter, frames_of
from speakerd.audio.voice import Voice, shipped
from speakerd.events import Samples
from tests.recordings import clips, noises, room, talk

SPAN = LOOK * FRAME
SHORTEST = 7 * FRAME  # 140 ms


def highest(samples: Samples) -> float:
    """Over runs as long as the gate asks about."""
    return max(shipped().score(samples[at : at + SPAN]) for at in range(0, len(samples) - SPAN, SPAN // 4))


def test_words_and_sentences_of_people_are_voices() -> None:
    words = [clip for word in ("hadouken", "goodnight", "dracarys") for clip in clips(word, 10)]
    assert min(highest(np.pad(word, SPAN)) for word in words) > 0
    assert min(highest(sentence) for sentence in talk(5)) > 3


@pytest.mark.parametrize("kind", ["rooster", "clock-tick", "chainsaw", "sea-waves", "dog-bark", "rain", "helicopter"])
def test_animals_clocks_and_machines_are_not(kind: str) -> None:
    found = [
        shipped().score(noise[at : at + SPAN]) for noise in noises(kind) for at in range(0, len(noise) - SPAN, SPAN)
    ]
    assert len(found) > 80
    assert np.mean(np.array(found) > 0) < 0.1


def test_silence_and_noise_are_not() -> None:
    assert shipped().score(np.zeros(SPAN, np.float32)) < 0
    assert max(highest(room(3, level=level)) for level in (-60, -40, -20)) < 0


def test_a_louder_voice_is_as_much_a_voice() -> None:
    word = clips("goodnight", 1)[0][:SPAN]
    assert shipped().score(3 * word) == pytest.approx(shipped().score(word), abs=0.05)


def test_the_shortest_that_it_takes() -> None:
    assert np.isfinite(shipped().score(room(1)[:SHORTEST]))


def test_kept_in_a_file(tmp_path: Path) -> None:
    shipped().save(tmp_path / "voice.npz")
    word = clips("goodnight", 1)[0][:SPAN]
    assert Voice.load(tmp_path / "voice.npz").score(word) == shipped().score(word)


def test_the_gate_opens_for_whom_it_is_told() -> None:
    nobody, anything = (Voice(*(part * 0 for part in _layers()), np.float32(said)) for said in (-1, 1))
    sentence = talk(1)[0][: 4 * SAMPLE_RATE]
    for voice, opens in ((nobody, False), (anything, True)):
        segmenter = Segmenter(voice=voice)
        heard = []
        for frame in frames_of(sentence):
            segmenter.push(frame)
            heard.append(segmenter.open)
        assert any(heard) == opens


def _layers() -> tuple[Samples, Samples, Samples, Samples, Samples]:
    voice = shipped()
    return voice.first, voice.first_bias, voice.second, voice.second_bias, voice.last
