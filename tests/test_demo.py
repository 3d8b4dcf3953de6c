"""The bundled demonstration: its clips, its truth, and that what it shows is real."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import decibels
from speakerd.cli import main
from speakerd.demo.truth import FOLDER, STREAM, Said, compare, lessons, said_in_stream
from speakerd.events import Detection

SPEAKERD = Path(sys.executable).with_name("speakerd")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def shown(home: Path) -> list[dict[str, Any]]:
    """What ``speakerd demo --json`` prints."""
    done = _demo(home, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _demo(home: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    where = {"HOME": str(home), "XDG_STATE_HOME": str(home), "TMPDIR": str(home)}
    call = [SPEAKERD, "demo", *options]
    return subprocess.run(call, env=os.environ | where, capture_output=True, text=True, check=True, timeout=60)


def test_most_commands_are_heard_and_hardly_anything_else(shown: list[dict[str, Any]]) -> None:
    total = shown[-1]
    assert total["right"] >= 2 / 3 * total["commands"]
    assert total["false"] <= 1
    heard = {row["heard"]["command"] for row in shown if row.get("verdict") == "right" and row["heard"]}
    assert heard == set(lessons())


def test_json_has_the_lessons_then_everything_said_then_the_total(shown: list[dict[str, Any]]) -> None:
    assert [item["accepted"] for item in shown if "example" in item] == [True] * 9
    assert [(item["command"], item["examples"]) for item in shown if "examples" in item] == [(n, 3) for n in lessons()]
    rows = [item for item in shown if "verdict" in item]
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    said = {(one.begin, one.text, one.command) for one in said_in_stream()}
    assert said <= {(row["time"], row["said"], row["truth"]) for row in rows}
    assert shown[-1]["false"] == sum(row["verdict"] == "false" for row in rows)


def test_table_shows_the_truth_beside_what_was_heard(home: Path, shown: list[dict[str, Any]]) -> None:
    lines = _demo(home).stdout.splitlines()
    for row in (item for item in shown if "verdict" in item):
        (line,) = (line for line in lines if line.startswith(f"  {row['time']:4.1f} s"))
        assert row["said"] in line
        if row["heard"]:
            assert f"{row['heard']['command']} ({row['heard']['score']:.2f}" in line
            assert line.endswith(row["verdict"])
    assert f"{shown[-1]['right']} of {shown[-1]['commands']} commands heard, {shown[-1]['false']} false" in lines[-2]


def test_leaves_nothing_behind(home: Path, shown: list[dict[str, Any]]) -> None:
    assert list(home.iterdir()) == []


def test_hears_what_it_was_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same clips under each other's names: the same utterances come out under the other names."""
    names = list(lessons())
    turned = dict(zip(names[1:] + names[:1], lessons().values(), strict=True))
    monkeypatch.setattr("speakerd.cli.demo.lessons", lambda: turned)
    main(["demo", "--json", "--state", str(tmp_path)], standalone_mode=False)
    *rows, total = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    commands = [row for row in rows if row.get("truth") and row["heard"]]
    misled = [row for row in commands if row["heard"]["command"] != row["truth"]]
    assert len(misled) >= 2 / 3 * total["commands"]
    assert total["right"] <= 1


def test_clips_are_small_and_as_the_truth_says() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 400_000
    assert [len(clips) for clips in lessons().values()] == [3, 3, 3]
    assert all(0.5 < len(read_audio(clip)) / SAMPLE_RATE < 4 for clips in lessons().values() for clip in clips)
    samples, before = read_audio(STREAM), 0.0
    for one in said_in_stream():
        speech = samples[int(one.begin * SAMPLE_RATE) : int(one.end * SAMPLE_RATE)]
        pause = samples[int((one.begin - 0.3) * SAMPLE_RATE) : int((one.begin - 0.05) * SAMPLE_RATE)]
        assert before < one.begin - 0.5, "too little of a pause before: " + one.text
        assert decibels(speech) > decibels(pause) + 15, one.text
        before = one.end


LAMP, TALK = Said(1.0, 2.0, "lamp", "someone", "lamp"), Said(3.0, 4.0, "Nice weather.", "someone", None)


def _heard(command: str, start: float, score: float = 0.9) -> Detection:
    return Detection("id", start + 1.2, start, command, score, 0.5, score >= 0.5, None, 0.0)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([], ["missed", "right"]),
        ([_heard("lamp", 1.0)], ["right", "right"]),
        ([_heard("lamp", 1.0, 0.4)], ["missed", "right"]),  # not accepted
        ([_heard("door", 1.0)], ["false", "right"]),
        ([_heard("lamp", 1.0), _heard("lamp", 1.1)], ["right", "false", "right"]),  # it would have acted twice
        ([_heard("lamp", 1.0), _heard("lamp", 3.0)], ["right", "false"]),
        ([_heard("lamp", 6.0)], ["missed", "right", "false"]),
    ],
)
def test_comparing_with_the_truth(heard: list[Detection], expected: list[str]) -> None:
    assert [outcome.verdict for outcome in compare([LAMP, TALK], heard)] == expected
