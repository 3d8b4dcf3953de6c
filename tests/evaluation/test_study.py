"""Persons, languages and pictures, by way of the command that people call."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from speakerd.errors import SpeakerdError
from speakerd.evaluation.few_shot import Draw
from speakerd.evaluation.languages import together
from speakerd.evaluation.material import Ear, Material
from speakerd.evaluation.metrics import accuracy_at, accuracy_curve, interval
from speakerd.evaluation.personal import Person, Shares, personal, persons
from speakerd.evaluation.plots import embedding_map
from tests.cli.conftest import Call
from tests.running import CLIPS


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# -- persons


def test_everybody_who_says_enough_is_a_person(ear: Ear, material: Material, data: Path) -> None:
    rows = material.corpora[data.name]
    (found,) = persons(ear, data.name, rows, material.outside, 1, 3, 0).values()
    assert [person.speaker for person in found] == ["p00", "p10", "p20"], "those who said everything twice"
    for person in found:
        assert (person.words, person.queries, person.draws) == (len(CLIPS), len(CLIPS), 10)
        assert person.negatives == len(material.outside)
    assert np.mean([p.own.acc_at_5 for p in found]) > np.mean([p.others.acc_at_5 for p in found])
    assert np.mean([p.own.closed_set for p in found]) == 1, "their other take is the same recording, softer"


def test_the_worst_tenth_and_the_gain() -> None:
    def person(own: float, others: float) -> Person:
        shares = (Shares(1, value, 1, 1, 1 - value) for value in (own, others))
        return Person("c", "p", 2, 10, 5, 100, *shares)

    found = [person(0.5 + i / 40, 0.4 + (i * 7 % 20) / 40) for i in range(20)]
    line = personal("c", 3, 10.0, found)
    assert (line.speakers, line.draws, line.worst, line.snr, line.negatives) == (20, 200, 2, 10.0, 100)
    assert line.acc_at_1.worst_own == pytest.approx((0.5 + 0.525) / 2)
    assert line.acc_at_1.worst_others == pytest.approx((0.4 + 0.425) / 2)
    assert line.calibrated_far.worst_own == pytest.approx(1 - (0.5 + 0.525) / 2), "of false accepts, the most"
    assert line.acc_at_1.gain == interval([p.own.acc_at_1 - p.others.acc_at_1 for p in found])
    assert personal("c", 3, np.inf, found[:3]).worst == 1


def test_persons_in_the_table(call: Call, data: Path, strange: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = ["eval", "few-shot", "--data", data, "--negatives", strange, "--draws", 2, "--personal", "--markdown"]
    main, line, more = lines(call(*told, file := strange / "a.md", "--shots", 1, "--shots", 2, "--json").stdout)
    assert main["method"] == more["method"] == "speakerd" and line["speakers"] == 3 == len(line["persons"])
    _, table = file.read_text().split("\n\n")
    assert len(table.splitlines()) == 2 + 5
    assert {row.count("|") for row in table.splitlines()} == {13}
    assert "nobody says 2 words more than 2 times each" in caplog.text


# -- languages


def test_corpora_of_a_language_weigh_the_same(
    call: Call, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for corpus, words in (("one", 2), ("two", 1)):
        (tmp_path / corpus).mkdir()
        for name in sorted(CLIPS)[:words] if words > 1 else sorted(CLIPS)[-1:]:
            (tmp_path / corpus / name).symlink_to(data / name)
    told = ["eval", "few-shot", "--data", tmp_path, "--draws", 3, "--shots", 1]
    told += ["--language", "one=Tlön", "--language", "two=Tlön", "--language", "three=Uqbar"]
    result = call(*told, "--json", "--markdown", tmp_path / "a.md")
    one, two, both = lines(result.stdout)
    assert "--language names what was not tried: three" in caplog.text
    assert (both["language"], both["corpora"]) == ("Tlön", ["one", "two"])
    for figure in ("closed_set", "acc_at_1", "auroc"):
        assert both[figure]["mean"] == pytest.approx((one[figure]["mean"] + two[figure]["mean"]) / 2)
    assert both["queries"] == one["queries"] + two["queries"]
    assert "| Tlön | one, two | 1 | clean | speakerd |" in (tmp_path / "a.md").read_text()
    assert call(*told[:-1], "Uqbar").exit_code == 2, "not CORPUS=LANGUAGE"


def test_a_language_is_a_mean_of_draws() -> None:
    def draw(right: list[bool]) -> Draw:
        best, only, strange = np.ones(len(right), np.float32), np.zeros(len(right), np.intp), np.zeros(100, np.intp)
        negatives, impostors = np.zeros(100, np.float32), np.zeros(10, np.float32)
        return Draw(best, only, np.array(right), negatives, strange, impostors, 1)

    line = together("x", "m", 1, 5.0, {"a": [draw([True] * 4), draw([True, False])], "b": [draw([False])] * 2})
    assert line.closed_set == line.acc_at_1 == interval([0.5, 0.25])
    assert (line.queries, line.negatives, line.snr, line.draws) == ((5 + 3) / 2, 100, 5.0, 2)


# -- pictures


def test_a_curve_is_accuracy_at_every_rate() -> None:
    draw = np.random.default_rng(0)
    best, negatives = draw.integers(0, 30, 60) / 30, draw.integers(0, 25, 200) / 30
    right, rates = draw.random(60) < 0.7, np.array([0.005, 0.01, 0.05, 0.3, 1.0])
    best[3] = negatives[7] = -np.inf
    expected = [accuracy_at(best, right, negatives, rate) for rate in rates]
    np.testing.assert_allclose(accuracy_curve(best, right, negatives, rates), expected)


def test_pictures(call: Call, data: Path, strange: Path, tmp_path: Path) -> None:
    told = ["eval", "few-shot", "--data", data, "--negatives", strange, "--draws", 2, "--plots", tmp_path / "plots"]
    assert call(*told, "--controls", "--noise", strange, "--snr", 10).exit_code == 0
    files = sorted((tmp_path / "plots").iterdir())
    assert [file.name for file in files] == [f"{kind}.png" for kind in (
        f"map-{data.name}", f"noise-{data.name}-3", f"roc-{data.name}-3")]  # fmt: skip
    for file in files:
        with Image.open(file) as picture:
            assert min(picture.size) > 600
            assert len(set(picture.convert("RGB").tobytes())) > 100, "more than an empty frame"


@pytest.mark.parametrize("absent", ["matplotlib", "sklearn"])
def test_without_what_draws(tmp_path: Path, absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, {"matplotlib": "matplotlib.figure", "sklearn": "sklearn.manifold"}[absent], None)
    with pytest.raises(SpeakerdError, match=r"script/setup dev"):
        embedding_map(tmp_path / "x.png", "", np.eye(8, dtype=np.float32), np.array(list("aabbccdd")))
