"""Features are the same in training as in the daemon; what rooms and microphones do to scenes."""

import numpy as np
import pytest
import torch

from speakerd.audio.features import HOP, MELS, log_mel
from speakerd.training.augment import Augment, features
from tests.recordings import room
from tests.running import CLIPS, clip

SECOND = 16000


@pytest.mark.parametrize("name", CLIPS)
def test_features_are_those_of_the_daemon(name: str) -> None:
    samples = np.stack([clip(name, i)[:SECOND] * gain for i, gain in ((0, 1.0), (1, 0.01), (2, 3.0))])
    batch = features(torch.from_numpy(samples)).numpy()
    assert batch.shape == (3, SECOND // HOP, MELS)
    for one, frames in zip(samples, batch, strict=True):
        np.testing.assert_allclose(frames, log_mel(one), atol=1e-4)


@pytest.mark.parametrize("length", [160, 399, 16001])
def test_features_of_any_length(length: int) -> None:
    samples = room(length / SECOND)[:length]
    np.testing.assert_allclose(features(torch.from_numpy(samples)[None])[0].numpy(), log_mel(samples), atol=1e-4)


def test_features_of_silence() -> None:
    silence = np.zeros(SECOND, np.float32)
    np.testing.assert_allclose(features(torch.from_numpy(silence)[None])[0].numpy(), log_mel(silence), atol=1e-6)


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    clips = [clip(name, i)[: 2 * SECOND] for name in CLIPS for i in range(3)]
    padded = [np.pad(one, (0, 2 * SECOND - len(one))) for one in clips]
    return torch.from_numpy(np.stack(padded * 8))


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.from_numpy(room(5.0, seed=3, level=-20.0))


def test_the_same_seed_makes_the_same_rooms(scenes: torch.Tensor, noise: torch.Tensor) -> None:
    one, same, other = (Augment(noise, seed)(scenes) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-3)


def test_scenes_are_changed_within_reason(scenes: torch.Tensor, noise: torch.Tensor) -> None:
    heard = Augment(noise, 4)(scenes)
    assert heard.shape == scenes.shape
    assert torch.isfinite(heard).all()
    assert heard.abs().max() <= 1
    before, after = (20 * torch.log10(batch.square().mean(dim=1).sqrt()) for batch in (scenes, heard))
    change = (after - before).numpy()
    assert change.min() > -26  # the gain is at least -25 dB, and noise only adds to it
    assert change.max() < 8 + 4  # at most 8 dB, and noise as loud as the voice
    assert change.max() - change.min() > 15
    # the spectrum of what is heard still goes along with that of what was said, louder or softer
    said, got = (features(batch)[:, :, 10:30].mean(dim=2) for batch in (scenes, heard))
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(said.numpy(), got.numpy(), strict=True)]
    assert np.median(alike) > 0.6


def test_noise_is_drawn_from_the_recordings(scenes: torch.Tensor) -> None:
    """Two of three times, where there is noise at all."""
    hum = 0.1 * torch.sin(2 * torch.pi * 1000 * torch.arange(5 * SECOND) / SECOND)
    spectrum = torch.fft.rfft(Augment(hum, 5)(scenes)).abs()
    at = 1000 * scenes.shape[1] // SECOND
    hums = spectrum[:, at] > 10 * spectrum[:, at + 20 : at + 200].median(dim=1).values
    assert 0.3 < hums.float().mean() < 0.75


def test_a_scene_may_be_longer_than_any_noise(scenes: torch.Tensor, noise: torch.Tensor) -> None:
    long = scenes.flatten()[None].repeat(1, 1 + 31 * 16000 // scenes.numel())  # who trains may have long recordings
    heard = Augment(noise[:8000], 6)(torch.cat([long, torch.zeros_like(long)]))
    assert heard.shape == (2, long.shape[1])
    assert torch.isfinite(heard).all()
    assert heard[0, -8000:].abs().max() > 0
