"""The commands as programs outside use them: options, JSON fields, exit codes, and nothing else on stdout."""

import contextlib
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recordings import said
from tests.running import CLIPS, LAMP, NIGHT, QUIETER, clip, lines, speakerd

NAMES = {LAMP: "Licht aus", QUIETER: "你好吗", NIGHT: "gute Nacht/💡"}
LEARNED = {"command", "examples", "threshold", "expected_fa_per_hour", "expected_frr", "confusable_with"}
SCORED = {"file", "command", "score", "accepted", "scores"}
HEARD = {"id", "time", "start", "command", "score", "accepted", "speaker"}


def done(*arguments: object, code: int = 0, stdin: bytes = b"") -> list[dict[str, Any]]:
    """JSON lines of a command that must end with ``code``."""
    process = speakerd(*arguments, "--json", stdin=stdin)
    assert process.returncode == code, process.stderr
    assert "Traceback" not in process.stderr
    return lines(process)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three commands are known."""
    path = tmp_path_factory.mktemp("contract") / "state"
    for of, name in NAMES.items():
        told = done("enroll", name, *CLIPS[of], "--state", path)
        assert [set(item) for item in told[:3]] == [{"example", "accepted", "reason"}] * 3
        assert [item["example"] for item in told[:3]] == [str(clip) for clip in CLIPS[of]]
        assert set(told[3]) >= LEARNED
        assert (told[3]["command"], told[3]["examples"]) == (name, 3)
        assert len(told) == 4
    return path


def test_commands(state: Path) -> None:
    known = done("commands", "--state", state)
    assert {item["command"] for item in known} == set(NAMES.values())
    for item in known:
        assert item["examples"] == 3
        assert all(math.isfinite(item[key]) for key in ("threshold", "expected_fa_per_hour", "expected_frr"))
        assert 0 <= item["expected_frr"] <= 1
        assert item["expected_fa_per_hour"] >= 0


def test_score_in_order_and_listed(state: Path, tmp_path: Path) -> None:
    files = [str(path) for paths in CLIPS.values() for path in paths]
    listing = tmp_path / "list.txt"
    listing.write_text("\n".join(files[1:]) + "\n\n")
    scored = done("score", files[0], "--list", listing, "--state", state)
    assert [item["file"] for item in scored] == files
    for item, name in zip(scored, [name for name in NAMES.values() for _ in range(3)], strict=True):
        assert set(item) >= SCORED
        assert set(item["scores"]) == set(NAMES.values())
        assert item["score"] == item["scores"][item["command"]] == max(item["scores"].values())
        assert all(math.isfinite(value) for value in item["scores"].values())
        assert item["accepted"] == (item["score"] >= item["threshold"])
        assert item["command"] == name, "it was taught from this very file"


def test_a_bad_file_among_good_ones(state: Path, tmp_path: Path) -> None:
    good = CLIPS[LAMP][0]
    (tmp_path / "broken.wav").write_bytes(b"RIFF not audio")
    scored = done("score", tmp_path / "broken.wav", good, tmp_path / "none.wav", "--state", state, code=1)
    assert [set(item) for item in scored[::2]] == [{"file", "error"}] * 2
    assert [item["file"] for item in scored] == [str(tmp_path / "broken.wav"), str(good), str(tmp_path / "none.wav")]
    assert "not audio" in scored[0]["error"]
    assert scored[1]["command"] == NAMES[LAMP]
    assert "no such file" in scored[2]["error"]


def stream() -> bytes:
    """All three commands with pauses between, as raw PCM."""
    samples = said(0.5, clip(LAMP), 0.5, clip(QUIETER), 0.5, clip(NIGHT), 1.0)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def test_listen_to_a_stream_as_to_a_file(state: Path, tmp_path: Path) -> None:
    import soundfile

    pcm = stream()
    soundfile.write(tmp_path / "stream.wav", np.frombuffer(pcm, "<i2"), 16000)
    from_file = done("listen", tmp_path / "stream.wav", "--state", state)
    from_stdin = done("listen", "-", "--state", state, stdin=pcm)
    assert [item["command"] for item in from_file] == list(NAMES.values())
    for item, same in zip(from_file, from_stdin, strict=True):
        assert set(item) >= HEARD
        assert item["accepted"] is True
        assert {key: item[key] for key in HEARD - {"id"}} == {key: same[key] for key in HEARD - {"id"}}
    seconds = [0.5 + sum(len(clip(name)) / 16000 + 0.5 for name in (LAMP, QUIETER, NIGHT)[:i]) for i in range(3)]
    for item, begin, name in zip(from_file, seconds, (LAMP, QUIETER, NIGHT), strict=True):
        length = len(clip(name)) / 16000
        assert begin <= item["start"] < item["time"] <= begin + length + 0.5
    everything = done("listen", tmp_path / "stream.wav", "--all", "--state", state)
    assert [item["id"] for item in everything if item["accepted"]] != []
    assert len(everything) >= len(from_file)


def test_listening_and_scoring_change_nothing(state: Path) -> None:
    before = (done("history", "--state", state), (state / "speakerd.sqlite").read_bytes())
    done("score", CLIPS[LAMP][0], "--state", state)
    done("listen", CLIPS[LAMP][0], "--state", state)
    assert (done("history", "--state", state), (state / "speakerd.sqlite").read_bytes()) == before


def test_forget_undo_rename_and_rollback(state: Path) -> None:
    def known() -> set[str]:
        return {item["command"] for item in done("commands", "--state", state)}

    def scores() -> list[dict[str, Any]]:
        return done("score", *CLIPS[LAMP], "--state", state)

    before = scores()
    done("forget", "LICHT AUS", "--state", state)
    assert known() == set(NAMES.values()) - {"Licht aus"}
    assert scores() != before
    done("undo", "--state", state)
    assert scores() == before
    done("rename", "Licht aus", "Licht an", "--state", state)
    assert "Licht an" in known()
    newest, *_, oldest = done("history", "--state", state)
    assert {"version", "made", "change", "commands", "current"} <= set(newest)
    assert (newest["current"], oldest["current"]) == (True, False)
    done("rollback", oldest["version"] + 2, "--state", state)
    assert known() == set(NAMES.values())
    assert scores() == before


def test_replace_begins_anew_and_a_known_name_gains_examples(state: Path) -> None:
    assert done("enroll", "x", *CLIPS[LAMP], "--state", state)[-1]["examples"] == 3
    assert done("enroll", "X", CLIPS[NIGHT][0], "--state", state)[-1]["examples"] == 4
    assert done("enroll", "x", CLIPS[NIGHT][0], "--replace", "--state", state)[-1]["examples"] == 1
    done("forget", "x", "--state", state)


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["enroll"],
        ["forget"],
        ["rename", "only one"],
        ["rollback", "yesterday"],
        ["rollback", "9" * 30],
        ["score"],
        ["score", "--list", "/nowhere/list.txt"],
        ["commands", "--frobnicate"],
        ["enroll", "x", "--takes", "0"],
        ["listen", "one.wav", "two.wav"],
        ["bench", "--seconds", "1"],
        ["eval", "few-shot"],
        ["eval", "few-shot", "--data", "/nowhere"],
        ["eval", "frobnicate"],
        ["train"],
    ],
    ids=" ".join,
)
def test_what_was_called_wrongly_ends_with_2(arguments: list[str]) -> None:
    process = speakerd(*arguments)
    assert process.returncode == 2
    assert process.stdout == ""
    assert "Error: " in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["--version"], ["enroll", "--help"], ["eval", "few-shot", "-h"], ["config", "-h"]]
)
def test_help_is_quick(arguments: list[str]) -> None:
    process = speakerd(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert process.returncode == 0
    assert process.stdout
    imported = {line.rsplit("|", 1)[1].strip() for line in process.stderr.splitlines()}
    assert "speakerd.cli" in imported
    assert not {"torch", "sounddevice", "rich"} & imported


def test_a_reader_who_has_seen_enough_is_no_error(state: Path) -> None:
    from tests.running import SPEAKERD

    with subprocess.Popen(
        [SPEAKERD, "listen", "-", "--json", "--all", "--state", state],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as listening:  # fmt: skip
        assert listening.stdin is not None and listening.stdout is not None and listening.stderr is not None
        listening.stdin.write(stream())
        listening.stdin.flush()
        assert json.loads(listening.stdout.readline())["command"] == NAMES[LAMP]
        listening.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            listening.stdin.write(stream() * 3)
            listening.stdin.close()
        said_of_it = listening.stderr.read().decode()
    assert listening.returncode == 0
    assert "Traceback" not in said_of_it


def test_people_are_spoken_to_in_words(state: Path) -> None:
    for arguments, words in (
        (["commands"], ["gute Nacht/💡", "threshold"]),
        (["history"], ["learned 3 examples", "version"]),
        (["score", CLIPS[LAMP][0]], ["Licht aus", "accepted"]),
        (["listen", CLIPS[LAMP][0]], ["Licht aus", "threshold"]),
    ):
        process = speakerd(*arguments, "--state", state)
        assert process.returncode == 0, process.stderr
        assert all(word in process.stdout for word in words), process.stdout
