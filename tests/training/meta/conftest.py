"""People's words as the bundled encoder hears them: few, but real."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from speakerd.events import Samples
from speakerd.recognition.encoder import BUNDLED, TrunkEncoder
from speakerd.recognition.head import Matrix
from speakerd.training.data import Clip, Corpora, Pcm
from speakerd.training.meta.cache import Cache, hear
from speakerd.training.meta.episodes import Episodes
from speakerd.training.meta.export import export
from speakerd.training.meta.inner import Params, first_params
from speakerd.training.meta.space import first_space
from tests.recordings import clips, room, talk
from tests.training.meta.tasks import DIMENSION

STEPS = 2  # to export more of the same takes longer and shows no more
HELD = ("hadouken", "dracarys", "trick_or_treat", "joke", "archie")
ONCE = ("ar_digit", "ar_disable", "ar_forward", "ar_four", "ar_nine", "ar_ok", "ar_one", "ar_right", "ar_rotate")
SEEN = ("happy", "right", "zero")


@dataclass(frozen=True)
class Heard:
    """A cache, and the first space of its embeddings."""

    cache: Cache
    mean: Matrix
    matrix: Matrix

    def episodes(self, seed: int = 0) -> Episodes:
        return Episodes(self.cache, self.mean, self.matrix, seed)


def _pcm(samples: Samples) -> Pcm:
    return np.asarray(np.clip(samples, -1, 1) * 32767, np.int16)


def _said(corpus: str, word: str, many: int) -> list[Clip]:
    return [Clip(corpus, word, f"{word} {i}", _pcm(said)) for i, said in enumerate(clips(word, many, corpus))]


@pytest.fixture(scope="session")
def corpora() -> Corpora:
    """Wake phrases that the encoder never heard, words that were said once, and words that pass for learned."""
    speech = [_pcm(samples) for samples in talk(6)]
    return Corpora(
        words=[clip for word in SEEN for clip in _said("gsc", word, 8)],
        held_words=[clip for word in HELD for clip in _said("wake-phrases", word, 10)]
        + [clip for word in ONCE for clip in _said("arabic", word, 1)],
        held_speech=speech,
        overheard=speech,
        noise=[_pcm(room(15.0, seed=5, level=-30.0))],
    )


@pytest.fixture(scope="session")
def heard(corpora: Corpora) -> Heard:
    cache = hear(TrunkEncoder(BUNDLED), corpora)
    return Heard(cache, *first_space(cache))


@pytest.fixture(scope="session")
def params() -> Params:
    """Parameters in the middle of training: large steps, so that a mistake would show."""
    draw = torch.Generator().manual_seed(1)
    first = first_params(DIMENSION, STEPS)
    return first | {
        "metric": 0.02 * torch.randn(DIMENSION, DIMENSION, generator=draw),
        "step_w": torch.linspace(-2.5, -1.5, STEPS),
        "step_b": torch.linspace(-3.5, -2.5, STEPS),
    }


@pytest.fixture(scope="session")
def shipped(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """adapt.onnx of these parameters."""
    path = tmp_path_factory.mktemp("adapt") / "adapt.onnx"
    export(params, "some encoder", path)
    return path
