"""The gate's network: numpy computes what torch learned, and it learns from the moments at which it is asked."""

import numpy as np
import pytest
import torch

from speakerd.audio.features import log_mel
from speakerd.audio.segmenter import FRAME, LOOK
from speakerd.audio.voice import shapes
from speakerd.events import Samples
from speakerd.training import voice
from speakerd.training.data import Pcm
from speakerd.training.voice import Moments, Net, highest, learn, moments
from tests.recordings import clips, noises, room, talk


@pytest.fixture(scope="module")
def seen() -> Moments:
    voices = [_pcm(clip) for word in ("hadouken", "goodnight") for clip in clips(word, 10)] + [_pcm(t) for t in talk(3)]
    return moments(voices, [_pcm(noise) for kind in ("dog", "rain", "clock") for noise in noises(kind)], (40, 40), 0)


def test_the_daemon_computes_what_was_learned() -> None:
    torch.manual_seed(0)
    net = Net().eval()
    for frames in (LOOK // 2, LOOK):
        samples = room(1)[: frames * FRAME]
        with torch.no_grad():
            wanted = float(net(torch.from_numpy(shapes(log_mel(samples)))[None]))
        assert net.voice().score(samples) == pytest.approx(wanted, abs=1e-4)
        assert net.voice(0.5).score(samples) == pytest.approx(wanted - 0.5, abs=1e-4)


def test_moments_are_those_at_which_the_gate_asks(seen: Moments) -> None:
    assert seen.looks.shape[1:] == (LOOK, 40)
    assert 20 < len(np.unique(seen.scene[seen.voice])) <= 40
    assert len(np.unique(seen.scene[~seen.voice])) > 5
    assert np.bincount(seen.scene).max() <= voice.EACH


def test_it_learns_to_tell_them_apart(seen: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "STEPS", 150)
    scores, somebody = highest(learn(seen), seen)
    assert scores[somebody].mean() > scores[~somebody].mean() + 2


def _pcm(samples: Samples) -> Pcm:
    return np.asarray(np.round(samples * 32767), np.int16)
