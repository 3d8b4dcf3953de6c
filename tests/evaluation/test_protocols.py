"""On a small folder of Speech Commands' layout: words, splits, shots and numbers of queries are as the papers say."""

import json
import shutil
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile

from speakerd.cli.evaluate import few_shot
from speakerd.errors import SpeakerdError
from speakerd.evaluation.protocols import (
    COMMANDS,
    OTHERS,
    PROTOCOLS,
    SILENCE,
    TESTING,
    TRAINING,
    UNKNOWN_WORDS,
    VALIDATION,
    SpeechCommands,
    compact,
)
from tests.cli.conftest import Call
from tests.recordings import room
from tests.running import CLIPS, clip

WORDS = (*COMMANDS, *OTHERS, *UNKNOWN_WORDS)
TAUGHT, ASKED, VALIDATED = 30, 4, 6  # clips of each word in each split


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 36 words of the folder, each a clip of ours many times over; some speakers speak twice."""
    folder = tmp_path_factory.mktemp("speech_commands")
    source = folder.parent / "clips"
    source.mkdir(exist_ok=True)
    for i, name in enumerate(CLIPS):
        soundfile.write(source / f"{i}.wav", clip(name)[:16000], 16000)
    listed: dict[str, list[str]] = {"testing_list.txt": [], "validation_list.txt": []}
    number = count()
    for i, word in enumerate(WORDS):
        (folder / word).mkdir()
        for j in range(TAUGHT + ASKED + VALIDATED):
            name = f"{word}/{next(number) // 2:08x}_nohash_{j}.wav"
            (folder / name).symlink_to(source / f"{i % len(CLIPS)}.wav")
            if j < ASKED:
                listed["testing_list.txt"].append(name)
            elif j < ASKED + VALIDATED:
                listed["validation_list.txt"].append(name)
    for file, names in listed.items():
        (folder / file).write_text("".join(f"{name}\n" for name in names))
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_/hum.wav", room(40.5, level=-50), 16000)
    return folder


def words_of(corpus: SpeechCommands, rows: np.ndarray) -> Counter[str]:
    return Counter(corpus.sounds.words[rows].tolist())


def splits_of(corpus: SpeechCommands, rows: np.ndarray) -> set[str]:
    return set(corpus.split[rows].tolist())


def test_rusci(corpus: Path) -> None:
    found = SpeechCommands(corpus)
    episodes = PROTOCOLS["rusci"].episodes(found, 10, None, 10, 0)
    assert PROTOCOLS["rusci"].draws == len(episodes) == 10
    commands = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"}
    more = {"backward", "forward", "visual", "follow", "learn"}
    others = {"bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin"}
    others |= {"nine", "one", "seven", "sheila", "six", "three", "tree", "two", "wow", "zero"}
    for episode in episodes:
        assert len(episode.names) == 10 and set(episode.names) == commands
        known, unknown = (episode.support[episode.owners >= 0], episode.support[episode.owners < 0])
        assert words_of(found, known) == dict.fromkeys(episode.names, 10)
        assert len(unknown) == 10 and set(words_of(found, unknown)) <= more
        assert splits_of(found, episode.support) == {TRAINING}
        assert words_of(found, episode.queries) == dict.fromkeys(episode.names, ASKED), "the whole test split"
        assert found.sounds.words[episode.queries].tolist() == [episode.names[i] for i in episode.truth]
        assert set(words_of(found, episode.negatives)) == others
        assert len(episode.negatives) == 20 * ASKED
        assert splits_of(found, episode.queries) == splits_of(found, episode.negatives) == {TESTING}
    assert len({episode.support.tobytes() for episode in episodes}) == 10


def test_gok(corpus: Path) -> None:
    found = SpeechCommands(corpus)
    (episode,) = PROTOCOLS["gok"].episodes(found, 10, None, 1, 0)
    assert PROTOCOLS["gok"].draws == 100
    assert set(episode.names) == {*COMMANDS, SILENCE} and not (episode.owners < 0).any()
    assert words_of(found, episode.support) == dict.fromkeys(episode.names, 10)
    assert set(words_of(found, episode.negatives)) == {*OTHERS, *UNKNOWN_WORDS} and len(episode.negatives) == 25 * ASKED
    silence = episode.support[found.sounds.words[episode.support] == SILENCE]
    asked = episode.queries[found.sounds.words[episode.queries] == SILENCE]
    assert len(asked) == 20 and not set(silence) & set(asked)


@pytest.mark.parametrize("shots", [1, 5])
def test_splitgsc(corpus: Path, shots: int) -> None:
    found = SpeechCommands(corpus)
    episodes = PROTOCOLS["splitgsc"].episodes(found, shots, None, 5, 0)
    for episode in episodes:
        assert len(episode.names) == 5
        assert words_of(found, episode.support) == dict.fromkeys(episode.names, shots)
        assert words_of(found, episode.queries) == dict.fromkeys(episode.names, 15)
        assert words_of(found, episode.negatives) == dict.fromkeys(set(COMMANDS) - set(episode.names), 15)
        assert not set(episode.support) & set(episode.queries)
    assert len({episode.names for episode in episodes}) > 1


@pytest.mark.parametrize(("ways", "shots"), [(None, 1), (2, 5)])
def test_parnami(corpus: Path, ways: int | None, shots: int) -> None:
    found = SpeechCommands(corpus)
    for name, more in (("parnami", set()), ("parnami-open", {"_unknown_", SILENCE})):
        (episode,) = PROTOCOLS[name].episodes(found, shots, ways, 1, 0)
        core = set(episode.names) - more
        assert len(core) == (ways or 4) and core <= {*COMMANDS, *OTHERS} and more <= set(episode.names)
        assert len(episode.negatives) == 0, "closed set"
        assert Counter(episode.truth.tolist()) == dict.fromkeys(range(len(episode.names)), 15)
        assert Counter(episode.owners.tolist()) == dict.fromkeys(range(len(episode.names)), shots)
        for word in core:
            rows = np.concatenate([episode.support, episode.queries])
            who = found.sounds.speakers[rows[found.sounds.words[rows] == word]].tolist()
            assert len(set(who)) == len(who) == shots + 15, "one clip a speaker"
        if more:
            rows = episode.queries[episode.truth == episode.names.index("_unknown_")]
            assert set(words_of(found, rows)) <= set(UNKNOWN_WORDS) and splits_of(found, rows) == {TESTING}


def test_without_lists_the_speaker_decides(corpus: Path, tmp_path: Path) -> None:
    # From the lists that Speech Commands comes with; the last two are in neither.
    known = {
        TESTING: ["go/ffa76c4a_nohash_0.wav", "go/022cd682_nohash_1.wav", "go/85834399_nohash_0.wav"],
        VALIDATION: ["go/6a27a9bf_nohash_0.wav", "go/dca2797e_nohash_4.wav", "go/d197e3ae_nohash_2.wav"],
        TRAINING: ["go/0a7c2a8d_nohash_0.wav", "go/0ff728b5_nohash_3.wav"],
    }
    (tmp_path / "go").mkdir()
    for names in known.values():
        for name in names:
            shutil.copy(next((corpus / "go").glob("*.wav")), tmp_path / name)
    found = SpeechCommands(tmp_path)
    by_name = {f"go/{p.path.name}": str(split) for p, split in zip(found.sounds.pieces, found.split, strict=True)}
    assert by_name == {name: split for split, names in known.items() for name in names}


def test_only_what_occurs_is_heard(corpus: Path) -> None:
    found = SpeechCommands(corpus)
    episodes = PROTOCOLS["rusci"].episodes(found, 1, None, 2, 0)
    sounds, moved = compact(found.sounds, episodes)
    assert len(sounds) <= 2 * 11 + 30 * ASKED < len(found.sounds)
    for before, after in zip(episodes, moved, strict=True):
        for part in ("support", "queries", "negatives"):
            pieces = [found.sounds.pieces[row] for row in getattr(before, part)]
            assert [sounds.pieces[row] for row in getattr(after, part)] == pieces


def test_it_runs_from_the_command_line(call: Call, corpus: Path, tmp_path: Path) -> None:
    told = ["eval", "few-shot", "--data", corpus, "--protocol", "rusci", "--shots", 1, "--draws", 2, "--json"]
    result = call(*told, "--episodes", tmp_path / "draws.json")
    assert result.exit_code == 0, result.stderr
    ours, papers = (json.loads(line) for line in result.stdout.splitlines())
    assert [line["method"] for line in (ours, papers)] == ["speakerd", "paper's rule"]
    assert ours["queries"] == 10 * ASKED and ours["negatives"] == 20 * ASKED
    written: dict[str, Any] = json.loads((tmp_path / "draws.json").read_text())
    assert set(written["episodes"][0]["support"]) == {*COMMANDS, "_unknown_"}
    for more in (["--speech", corpus], ["--support", "same"], ["--personal"]):
        assert call(*told, *more).exit_code == 2


@pytest.mark.parametrize(("name", "commands", "negatives"), [("gok", 11, 25 * ASKED), ("parnami-open", 6, 0)])
def test_with_silence_and_without_negatives(call: Call, corpus: Path, name: str, commands: int, negatives: int) -> None:
    told = ["eval", "few-shot", "--data", corpus, "--protocol", name, "--shots", 1, "--draws", 2, "--json"]
    for line in map(json.loads, call(*told).stdout.splitlines()):
        assert (line["corpus"], line["support"], line["words"]) == (name, "paper", commands)
        assert line["negatives"] == negatives and line["closed_set"]["mean"] > 1 / commands
        assert (line["acc_at_1"] is None) == (line["auroc"] is None) == (negatives == 0)
        assert line["heard"] < 1, "silence is asked, too"


def test_the_command_line_offers_them_all() -> None:
    (option,) = (option for option in few_shot.params if option.name == "protocol")
    assert isinstance(option.type, click.Choice) and list(option.type.choices) == list(PROTOCOLS)


def test_a_folder_without_the_words(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SpeakerdError, match="no recordings like yes/"):
        SpeechCommands(tmp_path)
    (tmp_path / "yes").symlink_to(corpus / "yes")
    with pytest.raises(SpeakerdError, match="has no training clips of 'no': is it Speech Commands v2"):
        PROTOCOLS["rusci"].episodes(SpeechCommands(tmp_path), 1, None, 1, 0)
