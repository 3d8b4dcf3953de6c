"""What is left without a part of the training is told by the words that an encoder never heard."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from speakerd.demo.truth import STREAM
from speakerd.evaluation.material import Material
from speakerd.events import Utterance
from speakerd.house import Mind
from speakerd.recognition.course import unit
from speakerd.recognition.head import Matrix
from speakerd.training.data import Clip, Corpora, Pcm, read_pcm
from speakerd.training.run import LEVERS
from tests.evaluation.conftest import data, material, speech
from tests.script.loading import load

__all__ = ["data", "material", "speech"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load("ablation")


class Deaf:
    """An encoder to which every sound is a new one."""

    dimension = 16

    def embed(self, utterance: Utterance) -> Matrix:
        chance = np.random.default_rng(len(utterance.samples))
        return unit(np.asarray(chance.standard_normal((1, self.dimension)), np.float32))[0]


def test_an_encoder_that_hears_is_told_from_one_that_does_not(
    script: ModuleType, mind: Mind, material: Material, data: Path
) -> None:
    talk = read_pcm(STREAM)
    strangers = Corpora(held_words=_pieces(talk), held_speech=[talk[: 30 * 16000]])
    hears, deaf = (script.tried(encoder, strangers, material, 4) for encoder in (mind.encoder, Deaf()))
    for corpus, accuracies in hears.items():
        assert len(accuracies) == len(deaf[corpus]) == 4
        assert np.mean(accuracies) > 0.2
        assert np.mean(deaf[corpus]) < 0.1


def _pieces(talk: Pcm) -> list[Clip]:
    return [Clip("talk", str(at), "who", talk[at : at + 16000]) for at in range(0, len(talk) - 16000, 16000)]


def test_tables_compare_the_same_draws(script: ModuleType) -> None:
    corpora = ("arabic", "dsp20", "gsc", "wake-phrases")
    worse = {name: 0.0 if name == script.ALL else 0.1 for name in script.VARIANTS | script.LANGUAGES}
    found = {name: {corpus: [0.9 - less, 0.7 - less] for corpus in corpora} for name, less in worse.items()}
    found["Mandarin"]["dsp20, Mandarin"] = [0.5, 0.5]
    first, second = script.levers(found)[2:4]
    assert first.startswith("| nothing | 0.800 [0.700, 0.900] |")
    assert second.endswith("| -0.100 [-0.100, -0.100] |"), "draws differ by 0.2, runs by 0.1 in each"
    arabic, _, mandarin = script.languages(found)[2:]
    assert arabic == "| Arabic | arabic | 0.700 [0.600, 0.800] | 0.700 [0.600, 0.800] | +0.000 [+0.000, +0.000] |"
    assert mandarin == "| Mandarin | dsp20, Mandarin |  | 0.500 [0.500, 0.500] |  |"


def test_every_lever_can_be_pulled(script: ModuleType) -> None:
    pulled = {lever for variant in script.VARIANTS.values() for lever in variant.without}
    assert pulled == set(LEVERS)
    assert set(script.SPOKEN) == set(script.LANGUAGES)
