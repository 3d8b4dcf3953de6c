"""The evaluation gives the figures that teaching and trying by hand would, on the draws that it writes down."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import LONGEST, SHORTEST, frames_of, utterances
from speakerd.config import Config
from speakerd.demo.truth import STREAM
from speakerd.evaluation.controls import CONTROLS
from speakerd.evaluation.episodes import Episode, Task
from speakerd.evaluation.few_shot import PRODUCT, Draw, Promised, figures
from speakerd.evaluation.material import Ear, Material
from speakerd.evaluation.metrics import accuracy_at, interval, rejects_saved, threshold_at
from speakerd.evaluation.study import Plan, Study
from speakerd.house import Mind
from speakerd.recognition.scoring import Matcher
from tests.cli.conftest import Call
from tests.evaluation.material import folder_of, quietly
from tests.running import CLIPS

SHOTS, DRAWS, SEED = 2, 2, 5

Written = tuple[dict[str, Any], dict[str, Any]]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def arguments(data: Path, speech: Path, *more: object) -> list[object]:
    return ["eval", "few-shot", "--data", data, "--speech", speech, "--draws", DRAWS, "--seed", SEED, *more]


@pytest.fixture(scope="module")
def written(
    data: Path, speech: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the evaluation says, and the draws that it wrote down."""
    from click.testing import CliRunner

    from speakerd.cli import main

    file = tmp_path_factory.mktemp("draws") / "episodes.json"
    told = arguments(data, speech, "--shots", SHOTS, "--episodes", file, "--json")
    result = CliRunner().invoke(main, [*map(str, told)])
    assert result.exit_code == 0, result.output
    (line,) = lines(result.stdout)
    return line, json.loads(file.read_text())


@dataclass(frozen=True)
class ByHand:
    """What the commands of the program say of one draw."""

    scored: list[dict[str, Any]]
    words: list[str]
    heard: list[dict[str, Any]]
    learned: list[dict[str, Any]]

    @property
    def named(self) -> list[bool]:
        return [item["command"] == word for item, word in zip(self.scored, self.words, strict=True)]


@pytest.fixture(scope="module")
def by_hand(mind: Mind, written: Written, tmp_path_factory: pytest.TempPathFactory) -> list[ByHand]:
    """The same draws with `enroll` and `score`."""
    from click.testing import CliRunner

    from speakerd.cli import main

    found = []
    for episode in written[1]["episodes"]:
        state = tmp_path_factory.mktemp("state")

        def call(*words: object, state: Path = state) -> str:
            result = CliRunner().invoke(main, [*map(str, words), "--json", "--state", str(state)])
            assert result.exit_code == 0, result.output
            return result.stdout

        for name, files in episode["support"].items():
            call("enroll", name, *files)
        listing = state / "files.txt"
        listing.write_text("".join(f"{path}\n" for path, _ in episode["queries"]))
        scored = lines(call("score", "--list", listing))
        heard = list(between_pauses(mind, state))
        found.append(ByHand(scored, [word for _, word in episode["queries"]], heard, lines(call("commands"))))
    return found


def between_pauses(mind: Mind, state: Path) -> Iterator[dict[str, Any]]:
    """What `score` would say of each piece of the stream, had it been recorded by itself."""
    matcher = Matcher(mind.world, mind.household(state, Config()).knowledge.commands)
    for utterance in utterances(frames_of(read_audio(STREAM))):
        match = matcher.match(mind.encoder.embed(utterance))
        if match is not None and SHORTEST <= utterance.seconds <= LONGEST:
            yield {"score": match.score, "accepted": match.accepted}


@pytest.fixture(scope="module")
def drawn(material: Material, ear: Ear, data: Path) -> list[tuple[Episode, Draw, Promised]]:
    """The same draws again, from within."""
    (trial,) = ear.trials.values()
    rows = material.corpora[data.name]
    task = Task(material.sounds, data.name, rows, ear.usable, material.outside, SHOTS)
    return [(episode, *trial.product(episode)) for episode in task.episodes(DRAWS, SEED)]


def test_a_draw_is_what_teaching_and_trying_gives(
    drawn: list[tuple[Episode, Draw, Promised]], by_hand: list[ByHand]
) -> None:
    for (_, draw, promised), hand in zip(drawn, by_hand, strict=True):
        np.testing.assert_allclose(draw.best, [item["score"] for item in hand.scored], atol=1e-3)
        assert draw.right.tolist() == hand.named
        hits = [item["accepted"] and good for item, good in zip(hand.scored, hand.named, strict=True)]
        assert promised.hits == pytest.approx(np.mean(hits))
        np.testing.assert_allclose(draw.negatives, [item["score"] for item in hand.heard], atol=1e-3)
        assert promised.false_accepts == pytest.approx(np.mean([item["accepted"] for item in hand.heard]))
        expected = [item["expected_frr"] for item in hand.learned]
        assert promised.expected_frr == pytest.approx(np.mean(expected), abs=1e-3)
        assert np.mean(hits) > 0 and 0 < promised.false_accepts < 1, "a case in which all this says something"


def test_what_is_reported_is_what_teaching_and_trying_gives(written: Written, by_hand: list[ByHand]) -> None:
    line, _ = written
    measured: dict[str, list[float]] = {}
    for hand in by_hand:
        scores = np.array([item["score"] for item in hand.scored])
        against = np.array([item["score"] for item in hand.heard])
        named = np.array(hand.named)
        taken = np.array([item["accepted"] for item in hand.scored])
        for key, value in {
            "closed_set": named.mean(),
            "acc_at_1": accuracy_at(scores, named, against, 0.01),
            "acc_at_5": accuracy_at(scores, named, against, 0.05),
            "auroc": np.mean([np.mean(score > against) for score in scores]),
            "calibrated_hit": np.mean(taken & named),
            "calibrated_far": np.mean([item["accepted"] for item in hand.heard]),
            "expected_frr": np.mean([item["expected_frr"] for item in hand.learned]),
        }.items():
            measured.setdefault(key, []).append(float(value))
    for key, values in measured.items():  # `score` rounds, which may move one of 60 queries across an oracle threshold
        assert line[key]["mean"] == pytest.approx(np.mean(values), abs=0.02 if key.startswith("acc") else 2e-3), key
    assert (line["corpus"], line["words"], line["shots"], line["draws"], line["snr"], line["method"]) == (
        line["corpus"], len(CLIPS), SHOTS, DRAWS, None, PRODUCT)  # fmt: skip
    assert line["queries"] == np.mean([len(hand.scored) for hand in by_hand])
    assert line["negatives"] == len(by_hand[0].heard)


def test_those_who_taught_are_not_asked(written: Written) -> None:
    for episode in written[1]["episodes"]:
        asked = {(word, Path(path).name.split("_")[0]) for path, word in episode["queries"]}
        taught = {(word, Path(p).name.split("_")[0]) for word, paths in episode["support"].items() for p in paths}
        assert len(taught) == len(CLIPS) * SHOTS, "each by somebody else"
        assert not asked & taught
        assert len(asked) + len(taught) == 9 * len(CLIPS), "and everybody else is, whatever they said"


def test_the_same_seed_the_same_figures(call: Call, data: Path, strange: Path) -> None:
    told = ["eval", "few-shot", "--data", data, "--negatives", strange, "--draws", 3, "--seed"]
    first, file = call(*told, 1, "--markdown", strange / "table.md").stdout, (strange / "table.md").read_text()
    assert first == call(*told, 1).stdout == file != call(*told, 2).stdout


def test_the_table(call: Call, data: Path, speech: Path, tmp_path: Path) -> None:
    told = arguments(data, speech, "--shots", 1, "--shots", SHOTS, "--controls", "--markdown", tmp_path / "a.md")
    found = lines(call(*told, "--json").stdout)
    assert [(line["shots"], line["method"]) for line in found] == [
        (k, method) for k in (1, SHOTS) for method in (PRODUCT, *CONTROLS)
    ]
    for line in found:
        for value in line.values():
            if isinstance(value, dict):
                assert value["low"] <= value["mean"] <= value["high"]
        assert line["acc_at_1"]["mean"] <= line["acc_at_5"]["mean"] <= line["closed_set"]["mean"]
        assert (line["calibrated_hit"] is None) == (line["method"] != PRODUCT) == (line["over_at_1"] is not None)
    main, gains = (tmp_path / "a.md").read_text().split("\n\n")
    assert {row.count("|") for row in main.splitlines()} == {20}
    assert {row.count("|") for row in gains.splitlines()} == {11}
    assert [len(text.splitlines()) for text in (main, gains)] == [2 + len(found), 2 + 2 * len(CONTROLS)]
    assert f"{found[0]['closed_set']['mean']:.3f} [" in main


def test_controls_are_compared_on_the_same_draws(mind: Mind, material: Material) -> None:
    said: list[object] = []
    study = Study(Plan(shots=(SHOTS,), draws=4, controls=CONTROLS), said.append)
    study.corpora(mind, Config(), material, quietly)
    (result,) = study.results
    assert said == study.figures
    ours = [draw.accuracy(0.05) for draw in result.draws[PRODUCT]]
    for line in study.figures[1:]:
        theirs = [draw.accuracy(0.05) for draw in result.draws[line.method]]
        assert line.over_at_5 == interval([a - b for a, b in zip(ours, theirs, strict=True)])
        first = result.draws[line.method][0]
        limit = threshold_at(first.impostors, 0.01)
        hits, let_in = np.mean((first.best >= limit) & first.right), np.mean(first.negatives >= limit)
        assert first.calibrated(0.01) == (pytest.approx(hits), pytest.approx(let_in))
        assert line.rejects_saved_at_1 == rejects_saved(
            [draw.accuracy(0.01) for draw in result.draws[PRODUCT]],
            [draw.accuracy(0.01) for draw in result.draws[line.method]],
        )
        assert line.rejects_saved_at_own_1 == rejects_saved(
            [draw.accuracy_with_own(0.01) for draw in result.draws[PRODUCT]],
            [draw.accuracy_with_own(0.01) for draw in result.draws[line.method]],
        )


def test_what_holds_no_utterance_is_rejected() -> None:
    episode = Episode("c", 0, ("on",), *(np.zeros(3, np.intp) for _ in range(5)))
    best = np.array([0.9, -np.inf, 0.2], np.float32)
    only = np.zeros(3, np.intp)
    negatives = np.array([0.5, -np.inf, -np.inf], np.float32)
    draw = Draw(best, only, np.ones(3, bool), negatives, only, np.zeros(10, np.float32), 1)
    line = figures([episode], [draw, draw], "m", "cross", 1, np.inf, 2 / 3)
    assert line.closed_set.mean == 1
    assert line.acc_at_1 == line.own_acc_at_1 and line.acc_at_1.mean == pytest.approx(1 / 3)
    assert line.auroc is not None and line.auroc.mean == pytest.approx((1 + 1 / 3 + 2 / 3) / 3)


def test_noise(call: Call, data: Path, strange: Path, tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    (folder / "talk.opus").symlink_to(STREAM)
    told = ["eval", "few-shot", "--data", data, "--negatives", strange, "--draws", 5, "--json"]
    noise = ["--noise", folder, "--snr", 60, "--snr", -10]
    clean, faint, loud = lines(call(*told, *noise).stdout)
    assert [line["snr"] for line in (clean, faint, loud)] == [None, 60, -10]
    assert faint["closed_set"]["mean"] == pytest.approx(clean["closed_set"]["mean"], abs=0.1)
    assert loud["closed_set"]["mean"] < clean["closed_set"]["mean"] - 0.2
    taught = lines(call(*told, *noise, "--noisy-support").stdout)
    assert taught[0] == clean and taught[2] != loud
    for given in (noise[:2], noise[2:]):
        assert call(*told, *given).exit_code == 2, "one without the other"


# -- what cannot be measured


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: None, "no recordings like WORD/SPEAKER_nohash_0.wav here"),
        (lambda folder: folder_of(folder, ["on/a_nohash_0.wav", "off/b_nohash_0.wav"]), "nothing could be measured"),
    ],
)
def test_too_little(call: Call, speech: Path, tmp_path: Path, prepare: Callable[[Path], object], words: str) -> None:
    prepare(tmp_path)
    result = call("eval", "few-shot", "--data", tmp_path, "--speech", speech, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


def test_nothing_to_reject(call: Call, data: Path, tmp_path: Path) -> None:
    for more in ([], ["--speech", tmp_path]):
        result = call("eval", "few-shot", "--data", data, *more)
        assert result.exit_code == 1
        assert "nothing to reject: give --negatives or --speech" in result.stderr


def test_several_corpora_are_each_others_negatives(call: Call, data: Path, tmp_path: Path) -> None:
    for corpus, word in (("one", 0), ("two", 1)):
        name = sorted(CLIPS)[word]
        (tmp_path / corpus).mkdir()
        (tmp_path / corpus / name).symlink_to(data / name)
    result = call("eval", "few-shot", "--data", tmp_path, "--draws", "2", "--json")
    assert result.exit_code == 0, result.stderr
    told = lines(result.stdout)
    assert [(line["corpus"], line["words"], line["negatives"]) for line in told] == [("one", 1, 12), ("two", 1, 12)]
