"""``speakerd config check`` on settings that are not wrong and yet do nothing."""

import json
from pathlib import Path

from speakerd.config import Config
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from tests.cli.conftest import Call
from tests.recordings import speech

SETTINGS = """outputs:
  actions:
    lamp: {shell: [/nonexistent/lamp]}
    date: {shell: [date]}
  on:
    godnight: [lamp]
    GOODNIGHT: [date]
    "*": [date]
"""


def test_untaught_commands_and_absent_programs_are_named(mind: Mind, call: Call, tmp_path: Path) -> None:
    config, state = tmp_path / "speakerd.yaml", tmp_path / "state"
    config.write_text(SETTINGS)
    mind.household(state, Config()).enroll("goodnight", [judge_recording("here", speech(1.5), Config().gate)])
    done = call("config", "check", "--config", config, "--state", state, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "good": True,
        "notes": [
            f"{config}:3: '/nonexistent/lamp' is not a program that can be run here",
            f"{config}:5: no command 'godnight' has been taught; did you mean 'goodnight'?",
        ],
    }


def test_a_requirement_that_nobody_can_meet_is_an_error(mind: Mind, call: Call, tmp_path: Path) -> None:
    config, state = tmp_path / "speakerd.yaml", tmp_path / "state"
    config.write_text("listening:\n  requires:\n    lights off: {command: goodnigt, within: 8}\n")
    mind.household(state, Config()).enroll("goodnight", [judge_recording("here", speech(1.5), Config().gate)])
    done = call("config", "check", "--config", config, "--state", state)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"speakerd: {config}:3: no command 'lights off' has been taught",
        f"{config}:3: no command 'goodnigt' has been taught, so 'lights off' cannot be heard; did you mean goodnight?",
    ]
    config.write_text("listening: {requires: {'*': {command: Goodnight}}}")
    assert call("config", "check", "--config", config, "--state", state).exit_code == 0
