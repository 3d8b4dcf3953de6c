"""Noise: as loud as was asked, the same at each ratio, and another for another clip or seed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.errors import SpeakerdError
from speakerd.evaluation.conditions import CLEAN, Noise, shown
from tests.recordings import room
from tests.running import CLIPS, clip


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for i, seconds in enumerate((0.5, 3.0)):
        soundfile.write(tmp_path / f"{i}.wav", room(seconds, seed=i, level=-30 - 20 * i), 16000)
    return sorted(tmp_path.iterdir())


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples)))


@pytest.mark.parametrize("ratio", [20.0, 0.0, -5.0])
def test_the_ratio_is_that_to_the_utterance(files: list[Path], ratio: float) -> None:
    samples, speech = 0.1 * clip(next(iter(CLIPS))), (6000, 14000)
    mixed = Noise(files, 1).mixed(samples, speech, ratio, "a")
    assert len(mixed) == len(samples)
    found = 10 * np.log10(power(samples[slice(*speech)]) / power(mixed - samples))
    assert found == pytest.approx(ratio, abs=0.3)  # the level of the noise is that of its whole recording


def test_one_noise_at_all_ratios(files: list[Path]) -> None:
    noise, samples = Noise(files, 1), 0.1 * clip(next(iter(CLIPS)))
    loud, soft = (noise.mixed(samples, (6000, 14000), ratio, "a") - samples for ratio in (0, 20))
    np.testing.assert_allclose(loud, 10 * soft, atol=1e-5)
    again = Noise(files, 1).mixed(samples, (6000, 14000), 0, "a") - samples
    np.testing.assert_array_equal(again, loud)
    for seed, key in ((1, "b"), (2, "a")):
        other = Noise(files, seed).mixed(samples, (6000, 14000), 0, key) - samples
        assert abs(np.corrcoef(other, loud)[0, 1]) < 0.5


def test_nothing_clips(files: list[Path]) -> None:
    samples = clip(next(iter(CLIPS)))
    loud = samples / np.abs(samples).max()
    assert np.abs(Noise(files, 1).mixed(loud, (6000, 14000), -20, "a")).max() == pytest.approx(1)


def test_noise_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpeakerdError, match="no recordings of noise"):
        Noise([], 0)
    soundfile.write(tmp_path / "silent.wav", np.zeros(1600), 16000)
    with pytest.raises(SpeakerdError, match="nothing to hear"):
        Noise([tmp_path / "silent.wav"], 0)


def test_in_words() -> None:
    assert [shown(CLEAN), shown(5.0), shown(-2.5)] == ["clean", "5 dB", "-2.5 dB"]
