"""Other systems are tried on the draws that speakerd was tried on; speakerd gets the figures that `eval` gave it."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from speakerd.cli import main as speakerd
from speakerd.config import Config
from speakerd.house import Mind
from tests.evaluation.conftest import data, speech
from tests.script.loading import SCRIPT, load

__all__ = ["data", "speech"]

FIGURES = ("closed_set", "acc_at_1", "acc_at_5", "auroc")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load("compare-baselines")


@pytest.fixture(scope="module")
def evaluated(data: Path, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What `eval` says, and the draws that it wrote."""
    file = tmp_path_factory.mktemp("draws") / "draws.json"
    given = ["--data", data, "--speech", speech, "--draws", 3, "--shots", 2, "--episodes", file, "--json"]
    result = CliRunner().invoke(speakerd, ["eval", "few-shot", *map(str, given)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), file


def compare(script: ModuleType, *arguments: object) -> tuple[str, str]:
    """Standard output and error of the script."""
    result = CliRunner().invoke(script.main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_speakerd_gets_the_figures_that_eval_gave_it(
    script: ModuleType, evaluated: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    told, draws = evaluated
    text, _ = compare(script, "--episodes", draws, "--no-peers", "--json", tmp_path / "figures.json")
    (line,) = json.loads((tmp_path / "figures.json").read_text())["lines"]
    for name in ("corpus", "words", "shots", "draws", "queries", "negatives"):
        assert line[name] == told[name]
    for name in FIGURES:
        for bound in ("mean", "low", "high"):
            assert line[name][bound] == pytest.approx(told[name][bound], abs=1e-6)
    assert told["acc_at_1"]["mean"] > 0, "a case in which the figures say something"
    head, rule, row = text.splitlines()
    assert {part.count("|") for part in (head, rule, row)} == {12}
    assert f"{line['acc_at_1']['mean']:.3f} [" in row


def test_a_peer_that_cannot_be_installed_is_named_and_left_out(
    script: ModuleType, evaluated: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = script.Peer("raven", (("--no-index", "a-package-of-no-index"),), (2, 5, 5))
    monkeypatch.setitem(script.PEERS, "Raven", nowhere)
    text, errors = compare(script, "--episodes", evaluated[1], "--system", "Raven", "--home", tmp_path)
    assert "left out: Raven: ERROR: No matching distribution" in errors
    assert "Could not be run here: Raven (" in text.splitlines()[-1]
    assert "| speakerd |" in text, "the others are there"


def test_a_peer_in_a_python_of_its_own_answers_what_it_was_asked(
    script: ModuleType, evaluated: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines/trials.py").symlink_to(SCRIPT / "baselines/trials.py")
    (tmp_path / "baselines/length.py").write_text(LENGTH)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    (tmp_path / "script").symlink_to(tmp_path)
    clips, episodes = script.read_episodes(evaluated[1])
    asked = script.only_needed(clips, script.some(episodes, 2, 3, 4))
    answers = script.ask(script.Peer("length", (), (0, 0, 0), ("100",)), Path(sys.executable), asked)
    assert [found.shape for found in answers] == [(7, 3), (7, 3)]
    for draw, found in zip(asked.draws, answers, strict=True):
        tried = np.array([len(asked.clips[clip].samples) for clip in draw.tried])
        words = np.array([np.mean([len(asked.clips[clip].samples) for clip in clips]) for clips in draw.support])
        np.testing.assert_allclose(found, -np.abs(tried[:, None] - words) / 100)


LENGTH = '''
"""A clip fits a word by its length."""

import sys
from pathlib import Path

import numpy as np

from baselines.trials import System, serve


class Length(System):
    def learn(self, clips):
        return np.mean([self.hear(clip) for clip in clips])

    def hear(self, clip):
        return len(clip.samples)

    def score(self, word, heard):
        return -np.abs(np.array(heard) - word) / float(sys.argv[3])


serve(Length(), Path(sys.argv[1]), Path(sys.argv[2]))
'''


def test_some_of_the_trials_are_the_same_clips_in_every_draw(
    script: ModuleType, evaluated: tuple[dict[str, Any], Path]
) -> None:
    clips, episodes = script.read_episodes(evaluated[1])
    few, more = script.some(episodes, 2, 4, 3), script.some(episodes, 3, 8, 6)
    assert [len(few), len(more)] == [2, 3]
    for small, large, whole in zip(few, more, episodes, strict=False):
        asked, rest = small.draw.tried[:4], small.draw.tried[4:]
        assert set(asked) <= set(large.draw.tried[:8]) <= set(whole.draw.tried[: len(whole.truth)])
        assert set(rest) <= set(large.draw.tried[8:]) <= set(whole.draw.tried[len(whole.truth) :])
        words = sorted(Path(clips[support[0]].path).parent.name for support in small.draw.support)
        assert [whole.draw.tried[row] for row in small.rows] == small.draw.tried
        assert [words[i] for i in small.truth] == [Path(clips[i].path).parent.name for i in asked]
    assert set(few[0].draw.tried[4:]) == set(few[1].draw.tried[4:])


def test_speakerd_has_no_lead_over_itself_on_some_of_the_trials(
    script: ModuleType, evaluated: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config()
    mind = Mind.load(config)
    monkeypatch.setitem(script.PEERS, "Raven", script.Peer("itself", (), (2, 5, 7)))
    monkeypatch.setattr(script, "set_up", lambda *_: Path(sys.executable))
    monkeypatch.setattr(script, "ask", lambda peer, python, asked: script.own.answers(mind, config, asked))
    compare(script, "--episodes", evaluated[1], "--system", "Raven", "--json", tmp_path / "figures.json")
    (line,) = [x for x in json.loads((tmp_path / "figures.json").read_text())["lines"] if x["system"] == "Raven"]
    assert (line["draws"], line["queries"], line["negatives"]) == (2, 5, 7)
    assert line["closed_set"]["mean"] > 0.5, "a case in which a lead of another clip's score would show"
    for lead in ("gain_at_1", "gain_at_5"):
        assert [line[lead][bound] for bound in ("mean", "low", "high")] == [0, 0, 0]


def test_the_lead_is_taken_draw_by_draw(script: ModuleType) -> None:
    def episode(many: int) -> Any:
        return script.Episode("c", script.Draw([[0], [1]], list(range(many))), np.array([0, 1]), 0, np.arange(many))

    good = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.2, 0.1]])
    swapped, deaf = good[:, ::-1], np.zeros((4, 2))
    episodes = [episode(4), episode(4)]
    (line,) = script.lines_of("other", episodes, [good, swapped], [good, good])
    assert (line.queries, line.negatives, line.draws) == (2, 2, 2)
    assert line.closed_set.mean == line.acc_at_1.mean == 0.5
    assert line.auroc.mean == 1.0
    assert (line.gain_at_1.mean, line.gain_at_1.low, line.gain_at_1.high) == (0.5, 0.0, 1.0)
    assert line.rejects_saved.mean == pytest.approx(1.0)
    (line,) = script.lines_of("deaf", episodes, [deaf, deaf], [good, good])
    assert (line.acc_at_5.mean, line.auroc.mean, line.gain_at_5.mean) == (0.0, 0.5, 1.0)
