"""The published protocol gives the figures that teaching and trying by hand would."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speakerd.config import Config
from speakerd.demo.truth import STREAM
from speakerd.evaluation.few_shot import Corpus, hear_speech, hear_words, is_corpus, one_draw
from speakerd.house import Mind
from tests.cli.conftest import Call, call
from tests.recordings import room
from tests.running import CLIPS, clip

__all__ = ["call"]

SHOTS, SEED = 2, 5


def quietly(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three words by nine people each, near, in the middle of the room, and far away."""
    folder = tmp_path_factory.mktemp("data")
    for name, takes in CLIPS.items():
        (folder / name).mkdir()
        for voice in range(len(takes)):
            for distance, gain in enumerate((1.0, 0.3, 0.1)):
                samples = gain * clip(name, voice)
                samples = samples + room(len(samples) / 16000, seed=distance, level=-75.0)[: len(samples)]
                soundfile.write(folder / name / f"p{voice}{distance}_nohash_0.wav", samples, 16000)
        for voice in range(len(takes)):  # some say it twice
            soundfile.write(folder / name / f"p{voice}0_nohash_1.wav", 0.5 * clip(name, voice), 16000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_/x.wav", room(1.0), 16000)
    (folder / "README.md").touch()
    return folder


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks."""
    folder = tmp_path_factory.mktemp("speech")
    (folder / STREAM.name).symlink_to(STREAM)
    return folder


@dataclass(frozen=True)
class ByHand:
    """What the commands of the program say."""

    scored: list[dict[str, Any]]
    words: list[str]
    heard: list[dict[str, Any]]
    learned: list[dict[str, Any]]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def by_hand(data: Path, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> ByHand:
    """The same draw with `enroll`, `score` and `listen`."""
    from click.testing import CliRunner

    from speakerd.cli import main

    def call(*arguments: object) -> str:
        result = CliRunner().invoke(main, [*map(str, arguments), "--json", "--state", str(state)])
        assert result.exit_code == 0, result.output
        return result.stdout

    state = tmp_path_factory.mktemp("state")
    draw = np.random.default_rng(SEED)
    queries: list[Path] = []
    for name in sorted(CLIPS):
        clips = sorted((data / name).iterdir())
        people = sorted({path.name.split("_")[0] for path in clips})
        chosen = draw.permutation(people)[:SHOTS]
        taught = [str(draw.choice([str(path) for path in clips if path.name.startswith(person)])) for person in chosen]
        call("enroll", name, *taught)
        queries += [path for path in clips if path.name.split("_")[0] not in chosen]
    return ByHand(
        lines(call("score", *queries)), [path.parent.name for path in queries], lines(call("listen", STREAM, "--all")),
        lines(call("commands")),
    )  # fmt: skip


def test_a_draw_is_what_teaching_and_trying_gives(mind: Mind, data: Path, speech: Path, by_hand: ByHand) -> None:
    corpus = hear_words(mind.encoder, mind.world, data, quietly)
    negatives = hear_speech(mind.encoder, mind.world, speech, quietly)
    draw = one_draw(mind.world, corpus, negatives, SHOTS, SEED, Config().listening)
    assert len(draw.best) == len(by_hand.scored) < 36 - 3 * SHOTS, "those who taught are not asked, whatever they said"
    np.testing.assert_allclose(draw.best, [item["score"] for item in by_hand.scored], atol=1e-3)
    named = [item["command"] == word for item, word in zip(by_hand.scored, by_hand.words, strict=True)]
    assert draw.right.tolist() == named
    hits = [item["accepted"] and good for item, good in zip(by_hand.scored, named, strict=True)]
    assert draw.hits == pytest.approx(np.mean(hits))
    assert len(draw.negatives) == len(by_hand.heard)
    np.testing.assert_allclose(draw.negatives, [item["score"] for item in by_hand.heard], atol=1e-3)
    assert draw.false_accepts == pytest.approx(np.mean([item["accepted"] for item in by_hand.heard]))
    assert draw.expected_frr == pytest.approx(np.mean([item["expected_frr"] for item in by_hand.learned]), abs=1e-3)
    assert np.mean(hits) > 0 and 0 < draw.false_accepts < 1, "a case in which all this says something"


def test_the_table_and_the_json(call: Call, data: Path, speech: Path, mind: Mind, by_hand: ByHand) -> None:
    arguments = [
        "eval",
        "few-shot",
        "--data",
        data,
        "--speech",
        speech,
        "--draws",
        "6",
        "--shots",
        "1",
        "--shots",
        SHOTS,
    ]
    result = call(*arguments, "--json")
    assert result.exit_code == 0
    one, two = (json.loads(line) for line in result.stdout.splitlines())
    assert [(line["corpus"], line["words"], line["shots"], line["draws"]) for line in (one, two)] == [
        (data.name, 3, 1, 6), (data.name, 3, SHOTS, 6)]  # fmt: skip
    assert 36 - 2 * 3 <= one["queries"] <= 36 - 3
    assert 36 - 2 * 3 * SHOTS <= two["queries"] <= 36 - 3 * SHOTS
    assert one["negatives"] == two["negatives"] == len(by_hand.heard)
    for figure in ("closed_set", "acc_at_1", "acc_at_5", "auroc", "calibrated_hit", "calibrated_far", "expected_frr"):
        for line in (one, two):
            assert 0 <= line[figure]["low"] <= line[figure]["mean"] <= line[figure]["high"] <= 1
    assert two["acc_at_1"]["mean"] <= two["acc_at_5"]["mean"] <= two["closed_set"]["mean"]
    corpus = hear_words(mind.encoder, mind.world, data, quietly)
    negatives = hear_speech(mind.encoder, mind.world, speech, quietly)
    draws = [one_draw(mind.world, corpus, negatives, SHOTS, seed, Config().listening) for seed in range(6)]
    assert two["calibrated_hit"]["mean"] == pytest.approx(np.mean([draw.hits for draw in draws]))
    head, rule, *rows = call(*arguments).stdout.splitlines()
    assert len(rows) == 2
    assert {line.count("|") for line in (head, rule, *rows)} == {13}
    assert f"{two['closed_set']['mean']:.3f} [" in rows[1]


# -- who said what


def folder_of(path: Path, names: list[str]) -> Path:
    for i, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / name, clip(next(iter(CLIPS)), i % 3), 16000)
    return path


def test_speakers_are_told_by_their_names(mind: Mind, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["on/a_nohash_0.wav", "on/a_nohash_1.wav", "on/b_nohash_0.wav", "off/c.flac"])
    corpus = hear_words(mind.encoder, mind.world, folder, quietly)
    assert corpus.words.tolist() == ["off", "on", "on", "on"]
    assert corpus.speakers.tolist()[1:] == ["a", "a", "b"]
    assert corpus.cut.all()
    np.testing.assert_allclose(np.linalg.norm(corpus.vectors, axis=1), 1, atol=1e-5)


def test_where_one_name_stands_for_everybody_each_clip_is_somebody(mind: Mind, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [f"on/unknown_nohash_{i}.wav" for i in range(3)] + ["off/a_nohash_0.wav"])
    corpus = hear_words(mind.encoder, mind.world, folder, quietly)
    assert len(set(corpus.speakers[corpus.words == "on"])) == 3


def test_a_clip_without_an_utterance_counts_as_missed(mind: Mind, data: Path, speech: Path) -> None:
    corpus = hear_words(mind.encoder, mind.world, data, quietly)
    negatives = hear_speech(mind.encoder, mind.world, speech, quietly)
    silent = np.zeros(2, bool)
    more = Corpus(
        corpus.name, np.concatenate([corpus.vectors, corpus.vectors[:2]]), np.concatenate([corpus.cut, silent]),
        np.concatenate([corpus.words, corpus.words[:2]]), np.concatenate([corpus.speakers, ["new", "newer"]]),
    )  # fmt: skip
    before, after = (one_draw(mind.world, c, negatives, SHOTS, SEED, Config().listening) for c in (corpus, more))
    assert len(after.best) == len(before.best) + 2
    assert (after.best < -1).sum() == 2
    assert after.hits == pytest.approx(before.hits * len(before.best) / len(after.best))


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
    assert not is_corpus(tmp_path) and is_corpus(tmp_path / "one")
    result = call("eval", "few-shot", "--data", tmp_path, "--draws", "2", "--json")
    assert result.exit_code == 0, result.stderr
    told = lines(result.stdout)
    assert [(line["corpus"], line["words"], line["negatives"]) for line in told] == [("one", 1, 12), ("two", 1, 12)]
