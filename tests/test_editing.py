"""Changing a setting in the file: it is changed, and nothing else is."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from speakerd.config import ConfigError, load
from speakerd.config.editing import SAFE, adjustable, change
from tests.somebody import open_folder, without_rights

SHIPPED = Path(__file__).parent.parent / "config" / "speakerd.yaml"


@dataclass
class Case:
    before: str
    after: str


@pytest.mark.parametrize(
    "case",
    [
        Case("", "enrolment:\n  takes: 5\n"),
        Case("# mine\n", "# mine\nenrolment:\n  takes: 5\n"),
        Case("gate: {}", "gate: {}\n\nenrolment:\n  takes: 5\n"),
        Case("enrolment:\n", "enrolment:\n  takes: 5\n"),
        Case("enrolment: # so\ngate: {}\n", "enrolment:\n  takes: 5 # so\ngate: {}\n"),
        Case("enrolment:\n    keep_audio: no  # never\n", "enrolment:\n    takes: 5\n    keep_audio: no  # never\n"),
        Case("enrolment:\n  takes: 2  # so\n  # end\n", "enrolment:\n  takes: 5  # so\n  # end\n"),
        Case("enrolment: {takes: 2, keep_audio: no} # a", "enrolment: {takes: 5, keep_audio: no} # a"),
        Case("enrolment: {keep_audio: no}", "enrolment: {takes: 5, keep_audio: no}"),
        Case("{gate: {}}", "{enrolment: {takes: 5}, gate: {}}"),
        Case("\ufeff# 灯 💡\nenrolment:\n  takes: 2\n", "\ufeff# 灯 💡\nenrolment:\n  takes: 5\n"),
    ],
)
def test_one_value_changes_and_the_rest_stays_as_it_was_written(tmp_path: Path, case: Case) -> None:
    file = tmp_path / "speakerd.yaml"
    file.write_text(case.before)
    change(file, "enrolment.takes", 5)
    assert file.read_text() == case.after
    assert load(file).enrolment.takes == 5


def test_every_safe_setting_can_be_changed_in_the_shipped_file(tmp_path: Path) -> None:
    file = tmp_path / "speakerd.yaml"
    file.write_text(SHIPPED.read_text())
    comments = [line for line in SHIPPED.read_text().splitlines() if "#" in line]
    for one in adjustable(load(file)):
        value = not one["value"] if isinstance(one["value"], bool) else one["value"] + (0.1 if one["value"] < 1 else 1)
        change(file, one["key"], value)
        assert one["description"]
    assert [one["value"] == one["default"] for one in adjustable(load(file))] == [False] * len(SAFE)
    assert [line for line in file.read_text().splitlines() if "#" in line] == comments


def test_a_value_that_cannot_be_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "speakerd.yaml"
    file.write_text("enrolment: {takes: 2}\n")
    with pytest.raises(ConfigError, match=r"enrolment\.takes is 11; it must be a whole number from 1 to 10"):
        change(file, "enrolment.takes", 11)
    with pytest.raises(ConfigError, match=r"http\.token cannot be changed from here; these can: listening"):
        change(file, "http.token", 1)
    assert file.read_text() == "enrolment: {takes: 2}\n"
    file.write_text("enrolment: {takes: 2\n")
    with pytest.raises(ConfigError, match="not YAML as they stand"):
        change(file, "enrolment.takes", 3)
    assert [path.name for path in tmp_path.iterdir()] == ["speakerd.yaml"]


def test_a_file_keeps_its_mode_and_one_that_is_not_there_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new" / "speakerd.yaml"
    change(file, "speaking.volume", 0.25)
    assert load(file).speaking.volume == 0.25
    file.chmod(0o640)
    change(file, "speaking.volume", 0.5)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_of_somebody_else_is_left_to_them() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with open_folder() as folder:
        file = folder / "speakerd.yaml"
        file.write_text("")
        file.chmod(0o644)

        def somebody() -> str:
            change(file, "enrolment.takes", 4)
            return "changed"

        told = without_rights(somebody)
    assert "cannot be written by the speaker (Permission denied): set enrolment.takes to 4 there yourself" in told
