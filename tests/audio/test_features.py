import numpy as np
import pytest

from speakerd.audio.features import FLOOR, HOP, MELS, SAMPLE_RATE, WINDOW, LogMel, log_mel
from tests.recordings import room, speech


def sine(hertz: float, seconds: float = 1.0, amplitude: float = 0.1) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 7, 159, 160, 161, 399, 401, 1000, 16000])
def test_any_block_size_gives_the_features_of_the_whole(block: int) -> None:
    samples = speech(1.5)
    mel = LogMel()
    pieces = [mel.push(samples[at : at + block]) for at in range(0, len(samples), block)]
    assert np.abs(np.concatenate(pieces) - log_mel(samples)).max() < 1e-4


def test_blocks_of_changing_size_and_none_at_all_give_the_features_of_the_whole() -> None:
    samples, mel, pieces, at = speech(3), LogMel(), [], 0
    for size in np.random.default_rng(1).integers(0, 900, 200):
        pieces.append(mel.push(samples[at : at + size]))
        at += size
    assert at > len(samples)
    assert np.abs(np.concatenate(pieces) - log_mel(samples)).max() < 1e-4


def test_frame_covers_the_last_25_ms_and_nothing_that_comes_later() -> None:
    samples, frame = speech(1), 50
    end = HOP * (frame + 1)
    whole = log_mel(samples)
    for at, changed in ((end - 80, True), (end - WINDOW + 80, True), (end, False), (end - WINDOW - 1, False)):
        other = samples.copy()
        other[at] += 0.5
        assert (not np.array_equal(log_mel(other)[frame], whole[frame])) is changed, at
    assert np.allclose(log_mel(samples[:end]), whole[: frame + 1], atol=1e-5)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (159, 0), (160, 1), (319, 1), (16000, 100), (16159, 100)])
def test_one_frame_for_each_hop_that_is_complete(samples: int, frames: int) -> None:
    features = log_mel(np.zeros(samples, np.float32))
    assert features.shape == (frames, MELS)
    assert features.dtype == np.float32


def test_digital_silence_looks_like_a_quiet_room() -> None:
    silence = log_mel(np.zeros(16000, np.float32))
    assert np.allclose(silence, np.log(FLOOR))
    assert np.abs(log_mel(room(1, level=-100)) - silence).max() < 0.5  # a tenth of what a decibel more of speech does


def test_louder_is_a_constant_more_in_every_band() -> None:
    noise = room(2, level=-40)
    assert np.allclose(log_mel(10 * noise) - log_mel(noise), np.log(100), atol=0.05)


@pytest.mark.parametrize("hertz", [150, 440, 1000, 2500, 7000])
def test_tone_is_in_its_band_of_the_mel_scale(hertz: float) -> None:
    mel = [2595 * np.log10(1 + f / 700) for f in (60, hertz, 7600)]
    expected = (mel[1] - mel[0]) / (mel[2] - mel[0]) * (MELS + 1) - 1  # bands are evenly spaced, the first at 0
    assert abs(int(np.argmax(log_mel(sine(hertz))[50])) - expected) < 1
