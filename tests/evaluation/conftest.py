"""What several tests try the evaluation on."""

from pathlib import Path

import pytest
import soundfile

from speakerd.audio.files import read_audio
from speakerd.config import Config
from speakerd.demo.truth import STREAM
from speakerd.evaluation.material import Conditions, Ear, Material
from speakerd.house import Mind
from tests.cli.conftest import call
from tests.evaluation.material import quietly, three_words

__all__ = ["call"]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See :func:`three_words`."""
    return three_words(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks."""
    folder = tmp_path_factory.mktemp("speech")
    (folder / STREAM.name).symlink_to(STREAM)
    return folder


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A word that is none of the three, three times."""
    folder = tmp_path / "strange"
    (folder / "word").mkdir(parents=True)
    for i, begin in enumerate((2.0, 8.0, 14.0)):
        samples = read_audio(STREAM)[int(begin * 16000) :][:24000]
        soundfile.write(folder / "word" / f"p{i}_nohash_0.wav", samples, 16000)
    return folder


@pytest.fixture(scope="session")
def material(data: Path, speech: Path) -> Material:
    return Material.of(data, [], [speech], quietly, Config().gate)


@pytest.fixture(scope="session")
def ear(mind: Mind, material: Material) -> Ear:
    """All of it, heard in quiet."""
    return Ear(mind, material.sounds, Conditions(), Config(), quietly)
