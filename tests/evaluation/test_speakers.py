"""Who is speaking, measured: three voices, each as loud as it happens to be."""

from pathlib import Path

import pytest
import soundfile

from tests.cli.conftest import Call
from tests.evaluation.test_few_shot import lines
from tests.running import LAMP, NIGHT, clip


@pytest.fixture
def said(tmp_path: Path) -> Path:
    for word in (LAMP, NIGHT):
        (tmp_path / "data" / word).mkdir(parents=True)
        for voice in range(3):
            for take, gain in enumerate((1.0, 0.8, 0.6, 0.4)):
                file = tmp_path / "data" / word / f"p{voice}_nohash_{take}.wav"
                soundfile.write(file, gain * clip(word, voice), 16000)
    return tmp_path / "data"


def test_two_who_taught_are_told_apart_and_from_a_stranger(call: Call, said: Path) -> None:
    arguments = ["eval", "speakers", "--data", said, "--people", 2, "--draws", 6]
    (line,) = lines(call(*arguments, "--json").stdout)
    assert (line["corpus"], line["people"], line["shots"], line["draws"]) == ("data", 2, 3, 6)
    assert (line["utterances"], line["strangers"]) == (6 * 2, 6 * 4)
    assert line["closed_set"]["mean"] == 1
    assert line["wrong"]["mean"] == 0
    assert line["right"]["mean"] > line["strangers_named"]["mean"]
    table = call(*arguments).stdout.splitlines()
    assert table[0].startswith("| corpus | people |")
    assert table[2].startswith("| data | 2 | 3 | 12, 24 | 1.000 ")


def test_where_too_few_people_speak_it_is_said(call: Call, said: Path) -> None:
    done = call("eval", "speakers", "--data", said)
    assert done.exit_code == 1
    assert "nowhere do 4 people say a word more than 3 times each" in done.stderr
