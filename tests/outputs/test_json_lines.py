"""Lines of words and of JSON, on files that come and go."""

import json
import logging
import os
import resource

import pytest

from speakerd.outputs.lines import JsonLines, record, write_log

FIELDS = ["id", "time", "start", "command", "score", "accepted", "speaker", "at", "action", "threshold", "rule"]


def test_a_line_holds_the_fields_of_the_contract_and_more(heard, tmp_path):
    file = tmp_path / "heard.jsonl"
    lines = JsonLines(str(file))
    lines.write(heard(speaker="Zoë", action="lamp"))
    lines.write(heard(id="d8"))
    first, second = map(json.loads, file.read_text().splitlines())
    assert list(first) == FIELDS
    assert first == record(heard(speaker="Zoë", action="lamp"))
    assert first["command"] == "Küche hell 💡"
    assert (second["id"], second["speaker"], second["action"]) == ("d8", None, None)


def test_standard_output(heard, capfd):
    JsonLines("-").write(heard())
    assert json.loads(capfd.readouterr().out) == record(heard())


def test_home_is_found(heard, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    JsonLines("~/heard.jsonl").write(heard())
    assert (tmp_path / "heard.jsonl").exists()


def test_a_rotated_file_is_begun_anew(heard, tmp_path):
    file = tmp_path / "heard.jsonl"
    lines = JsonLines(str(file))
    lines.write(heard(id="old"))
    file.rename(tmp_path / "heard.jsonl.1")
    lines.write(heard(id="new"))
    assert json.loads(file.read_text())["id"] == "new"


def test_a_vanished_folder_is_told_once_and_then_its_return(heard, tmp_path, caplog):
    file = tmp_path / "stick" / "heard.jsonl"
    lines = JsonLines(str(file))
    for _ in range(3):
        lines.write(heard())
    assert [each.getMessage() for each in caplog.records] == [
        f"outputs.json: {file} cannot be written: No such file or directory"
    ]
    file.parent.mkdir()
    lines.write(heard(id="back"))
    assert json.loads(file.read_text())["id"] == "back"
    assert caplog.records[-1].getMessage() == f"outputs.json: {file} can be written again; lines that are missing: 3"
    assert len(caplog.records) == 2


def test_a_full_disk(heard, tmp_path, caplog):
    file = tmp_path / "heard.jsonl"
    file.symlink_to("/dev/full")
    lines = JsonLines(str(file))
    lines.write(heard())
    assert "No space left on device" in caplog.text
    file.unlink()
    lines.write(heard())
    assert json.loads(file.read_text()) == record(heard())


def test_a_line_is_written_whole_or_not_at_all(heard, tmp_path, caplog):
    file = tmp_path / "heard.jsonl"
    lines = JsonLines(str(file))
    lines.write(heard(id="first"))
    size, limits = file.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        lines.write(heard(id="too much"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in caplog.text
    assert file.stat().st_size == size
    lines.write(heard(id="last"))
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["first", "last"]


def test_a_reader_that_went_away(heard, tmp_path, caplog):
    reader, writer = os.pipe()
    os.close(reader)
    saved = os.dup(1)
    os.dup2(writer, 1)
    try:
        JsonLines("-").write(heard())
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(writer)
    assert "outputs.json: - cannot be written: Broken pipe" in caplog.text


@pytest.mark.parametrize(("speaker", "said"), [(None, "needed 1.25)"), ("Zoë", "needed 1.25, spoken by Zoë)")])
def test_log_line(heard, caplog, speaker, said):
    caplog.set_level(logging.INFO)
    write_log(heard(speaker=speaker))
    assert caplog.records[0].getMessage() == f"heard 'Küche hell 💡' (score 3.50, {said} at 12.50 s [d7]"
