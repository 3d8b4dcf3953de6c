"""What people give that is no command, no recording or no name: said so, ended with 1, and nothing lost."""

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.running import LAMP, lines, speakerd

# What enroll says of a file that it refuses. All but the silent ones cannot be scored either.
REFUSED = {
    "text.wav": "not audio that can be read",
    "cut-off.wav": "",
    "no-bytes.wav": "empty: the file has no bytes",
    "no-samples.wav": "empty: it holds no samples",
    "nan.wav": "damaged: it holds values that are not numbers",
    "infinite.wav": "damaged: it holds values that are not numbers",
    "folder.wav": "a folder, not an audio file",
    "not-there.wav": "no such file",
    "silent.wav": "no speech found in 2.0 s",
    "tenth.wav": "0.",  # too short, or no speech in it
    "ten-minutes.flac": "600 s long; an example holds one utterance, in at most 10 s",
}
WITHOUT_SPEECH = {"silent.wav", "tenth.wav"}
UNREADABLE = REFUSED.keys() - WITHOUT_SPEECH - {"ten-minutes.flac"}
TAKEN = ["good.wav", "8k.wav", "48k-stereo.wav", "good.flac", "good.ogg"]


def told(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def known(state: Path) -> list[Any]:
    """Everything that must not change: what is known, and by how much."""
    with sqlite3.connect(state / "speakerd.sqlite") as database:
        return [
            database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("version", "trained", "version_trained", "trained_example", "example")
        ]


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_an_example(call: Call, state: Path, recordings: Path, name: str) -> None:
    before = known(state)
    for command in (LAMP, "new"):
        for replace in ([], ["--replace"]):
            result = call("enroll", command, recordings / name, *replace, "--state", state, "--json")
            assert result.exit_code == 1
            (item,) = told(result)
            assert (item["example"], item["accepted"]) == (str(recordings / name), False)
            assert REFUSED[name] in item["reason"]
            assert result.stderr == f"speakerd: {command}: no example could be used, nothing was changed\n"
    assert known(state) == before


def test_good_files_among_bad_ones_are_learned_from(call: Call, state: Path, recordings: Path) -> None:
    files = [*REFUSED, *TAKEN]
    result = call("enroll", "new", *(recordings / name for name in files), "--state", state, "--json")
    assert result.exit_code == 0
    *examples, command = told(result)
    assert [item["accepted"] for item in examples] == [False] * len(REFUSED) + [True] * len(TAKEN)
    assert all(item["reason"] for item in examples[: len(REFUSED)])
    assert command["examples"] == len(TAKEN)


def test_what_may_be_a_poor_example_is_taken_with_a_doubt(call: Call, state: Path, recordings: Path) -> None:
    result = call("enroll", "new", recordings / "clipped.wav", "--state", state, "--json")
    assert result.exit_code == 0
    assert "clipped" in told(result)[0]["reason"]
    words = call("enroll", "newer", recordings / "clipped.wav", "--state", state).stdout
    assert "clipped.wav: taken, with a doubt: clipped" in words


@pytest.mark.parametrize("name", TAKEN)
def test_any_rate_and_kind_scores_alike(call: Call, state: Path, recordings: Path, name: str) -> None:
    good, other = told(call("score", recordings / "good.wav", recordings / name, "--state", state, "--json"))
    assert (other["command"], other["accepted"]) == (LAMP, True)
    lost = 0.25 if name == "8k.wav" else 0.1  # half of the spectrum is not there
    assert other["score"] == pytest.approx(good["score"], rel=lost)


@pytest.mark.parametrize("name", REFUSED)
def test_scoring_and_listening_to_it(call: Call, state: Path, recordings: Path, name: str) -> None:
    result = call("score", recordings / name, recordings / "good.wav", "--state", state, "--json")
    item, good = told(result)
    assert item["file"] == str(recordings / name)
    assert good["accepted"] is True, "the rest goes on"
    if name in UNREADABLE:
        assert result.exit_code == 1
        assert set(item) == {"file", "error"}
        assert REFUSED[name] in item["error"]
    else:
        assert result.exit_code == 0
        assert all(math.isfinite(value) for value in (item["score"], *item["scores"].values()))
        assert item["command"] == LAMP
    if name in WITHOUT_SPEECH:
        assert item["accepted"] is False
        assert item["reason"]
    listening = call("listen", recordings / name, "--state", state, "--json")
    assert listening.exit_code == (name in UNREADABLE)
    if name in UNREADABLE:
        assert listening.stdout == ""
        assert listening.stderr.startswith(f"speakerd: {recordings / name}: {REFUSED[name]}")
    if name in WITHOUT_SPEECH:
        assert listening.stdout == ""


def test_no_daemon_without_its_sound(call: Call, state: Path, tmp_path: Path) -> None:
    result = call("run", "--input", tmp_path / "not-there.wav", "--state", state)
    assert result.exit_code == 1
    assert result.stderr == f"speakerd: {tmp_path}/not-there.wav: no such file\n"


def test_a_recording_without_the_name_of_a_command(call: Call, state: Path, recordings: Path) -> None:
    before = known(state)
    result = call("enroll", recordings / "good.wav", "--state", state)
    assert result.exit_code == 2
    assert "good.wav is a recording: the name of the command comes first, as in: enroll NAME " in result.stderr
    assert known(state) == before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "this one is empty"),
        (" \t ", "this one is empty"),
        ("x" * 300, "300 characters long, at most 80"),
        ("ä" * 81, "81 characters long"),
        ("line\nbreak", "control characters"),
        ("tab\there", "control characters"),
        ("\x1b[31mred", "control characters"),
        ("line\u2028separator", "control characters"),
    ],
)
def test_a_name_that_cannot_be(call: Call, state: Path, recordings: Path, name: str, why: str) -> None:
    before = known(state)
    for arguments in (["enroll", name, recordings / "good.wav"], ["rename", LAMP, name]):
        result = call(*arguments, "--state", state, "--json")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert why in result.stderr
        assert "\x1b" not in result.stderr
    assert known(state) == before


@pytest.mark.parametrize(
    ("name", "kept", "other"),
    [
        ("an/aus", "an/aus", "AN/AUS"),
        ("../../etc/passwd", "../../etc/passwd", "../../ETC/passwd"),
        ("💡", "💡", " 💡 "),
        ("  Küche  ", "Küche", "KU\u0308CHE"),
        ("Straße", "Straße", "STRASSE"),
        ("Κύριος", "Κύριος", "ΚΎΡΙΟΣ"),
        ("x" * 80, "x" * 80, "X" * 80),
        ("-x", "-x", "-X"),
        ("[bold]'\"\\; rm -rf $HOME", "[bold]'\"\\; rm -rf $HOME", "[BOLD]'\"\\; RM -RF $HOME"),
        ("0", "0", "0"),
    ],
)
def test_names_that_people_use(call: Call, state: Path, recordings: Path, name: str, kept: str, other: str) -> None:
    result = call("enroll", "--state", state, "--json", "--", name, recordings / "good.wav")
    assert result.exit_code == 0, result.stderr
    assert told(result)[-1]["command"] == kept
    assert {item["command"] for item in told(call("commands", "--json", "--state", state))} == {LAMP, kept}
    assert kept in call("commands", "--state", state).stdout
    assert call("forget", "--state", state, "--", other).exit_code == 0
    assert {item["command"] for item in told(call("commands", "--json", "--state", state))} == {LAMP}


def test_a_command_that_is_not_known(call: Call, state: Path) -> None:
    for arguments in (["forget", "lamp"], ["forget", "lamp", "--erase"], ["rename", "lamp", "light"]):
        result = call(*arguments, "--state", state)
        assert result.exit_code == 1
        assert result.stderr == f"speakerd: lamp is not a known command. Known: {LAMP}\n"
    result = call("rollback", "77", "--state", state)
    assert (result.exit_code, result.stderr) == (1, "speakerd: there is no version 77; `speakerd history` lists them\n")


def test_before_anything_was_taught(call: Call, recordings: Path, tmp_path: Path) -> None:
    assert "Begin with: speakerd enroll NAME" in call("commands", "--state", tmp_path).stdout
    assert call("commands", "--json", "--state", tmp_path).stdout == ""
    assert call("listen", recordings / "good.wav", "--json", "--state", tmp_path).stdout == ""
    for arguments in (["score", recordings / "good.wav"], ["undo"], ["forget", "x"]):
        result = call(*arguments, "--state", tmp_path)
        assert result.exit_code == 1
        assert result.stderr.startswith("speakerd: ")


def test_a_list_of_files_of_any_name(call: Call, state: Path, recordings: Path, tmp_path: Path) -> None:
    """Names are bytes, and not always UTF-8."""
    good = (recordings / "good.wav").read_bytes()
    strange = tmp_path / b"caf\xe9.wav".decode(errors="surrogateescape")
    spaced = tmp_path / " spaces and 💡 .wav"
    for path in (strange, spaced):
        path.write_bytes(good)
    listing = tmp_path / "list"
    listing.write_bytes(b"\n".join([bytes(strange), b"", bytes(spaced), b"gone.wav", b""]))
    # in a process of its own, as it is written to a pipe
    done = speakerd("score", "--list", listing, "--state", state, "--json")
    assert done.returncode == 1
    first, second, gone = lines(done)
    assert (first["file"], second["file"], gone["file"]) == (str(strange), str(spaced), "gone.wav")
    assert first["accepted"] and second["accepted"]
    assert gone["error"] == "no such file"
    learned = speakerd("enroll", "café", strange, spaced, "--state", state, "--json")
    assert learned.returncode == 0, learned.stderr
    assert [item["accepted"] for item in lines(learned)[:2]] == [True, True]
    assert call("enroll", "café", strange, "--state", state).exit_code == 0


def test_tables_that_nobody_could_write_are_told_of_before_hours_of_work(call: Call, tmp_path: Path) -> None:
    for option in ("--markdown", "--episodes"):
        result = call("eval", "few-shot", "--data", tmp_path, option, tmp_path / "missing" / "table.md")
        assert result.exit_code == 2
        assert "cannot be written" in result.stderr and "missing" in result.stderr
