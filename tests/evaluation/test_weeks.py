"""`speakerd eval weeks` on recorded words of one person."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.config import Config
from speakerd.errors import SpeakerdError
from speakerd.evaluation.material import Material
from speakerd.evaluation.weeks import COMMANDS, DAILY, KEPT, TAUGHT, Arm, Person, course, people
from speakerd.house import Mind
from tests.cli.conftest import Call
from tests.evaluation.material import quietly
from tests.recordings import clips

WORDS = ("process", "close", "print", "signal", "open")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of one person, each often enough, and a few of somebody else."""
    folder = tmp_path_factory.mktemp("weeks") / "words"
    for word in WORDS:
        (folder / word).mkdir(parents=True)
        for take, samples in enumerate(clips(word, 14, "dsp20")):  # the first twelve are of one person
            soundfile.write(folder / word / f"{'anna' if take < 12 else 'jo'}_nohash_{take}.wav", samples, 16000)
    return folder


@pytest.fixture
def anna(corpus: Path) -> Person:
    (found,) = people(Material.of(corpus, [], [], quietly, Config().gate), 5, 0)
    return found


def test_household_has_takes_for_everything_and_no_one_twice(anna: Person) -> None:
    assert anna.name == "anna"
    assert len(anna.taught) == COMMANDS
    for word, takes in anna.taught.items():
        each = takes + anna.daily[word] + anna.kept[word]
        assert len({*each}) == len(each) == TAUGHT + DAILY + KEPT
        assert all(path.parent.name == word and path.name.startswith("anna") for path in each)
    others = {path.parent.name for path in anna.television + anna.strangers}
    assert others and others.isdisjoint(anna.taught)


def test_same_seed_is_the_same_course_and_only_growth_learns(mind: Mind, anna: Person) -> None:
    grown = course(mind, Config(), anna, Arm.GROWN, 2, 1)
    assert course(mind, Config(), anna, Arm.GROWN, 2, 1) == grown
    taught = course(mind, Config(), anna, Arm.TAUGHT, 2, 1)
    assert taught.own == taught.foreign == 0
    assert grown.foreign == 0
    assert grown.missed_first == taught.missed_first


def test_nobody_who_says_enough_is_said(tmp_path: Path, call: Call) -> None:
    (tmp_path / "one").mkdir()
    soundfile.write(tmp_path / "one/x_nohash_0.wav", np.zeros(16000, np.float32), 16000)
    with pytest.raises(SpeakerdError, match="nobody in these recordings says 3 words 10 times each"):
        people(Material.of(tmp_path, [], [], quietly, Config().gate), 1, 0)
