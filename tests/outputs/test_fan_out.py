"""Which outputs and actions a detection goes to, and that none of them is waited for."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from speakerd.config import Outputs as Settings
from speakerd.config import ShellAction
from speakerd.events import Ambiguous
from speakerd.outputs import Outputs


@pytest.fixture
def touching(tmp_path):
    """An action that leaves a line in the file of its name."""
    return lambda name: ShellAction(["/bin/sh", "-c", f'echo "$SPEAKERD_ID" >> {tmp_path}/{name}'])


def ran(folder) -> dict[str, list[str]]:
    return {file.name: file.read_text().split() for file in folder.iterdir()}


def test_an_accepted_detection_goes_everywhere_once(heard, touching, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    outputs = Outputs(
        Settings(
            json=str(tmp_path / "json"),
            actions={name: touching(name) for name in ("taught", "mine", "folded", "every", "other")},
            on={
                " KU\u0308CHE hell 💡": ["folded", "taught"],
                "küche hell 💡": ["mine"],
                "*": ["every", "mine"],
                "x": ["other"],
            },
        )
    )
    outputs.send(heard(action="taught"))
    outputs.close(10)
    line = (tmp_path / "json").read_text()
    (tmp_path / "json").unlink()
    assert json.loads(line)["action"] == "taught"
    assert ran(tmp_path) == {name: ["d7"] for name in ("taught", "mine", "folded", "every")}
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["heard 'Küche hell 💡'"]


def test_what_was_turned_away_goes_nowhere(heard, touching, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    outputs = Outputs(Settings(json=str(tmp_path / "json"), actions={"a": touching("a")}, on={"*": ["a"]}))
    outputs.send(heard(accepted=False, action="a"))
    outputs.close(10)
    assert ran(tmp_path) == {}
    assert not caplog.records


def test_what_was_too_close_to_call_is_told_and_sets_nothing_off(heard, touching, tmp_path):
    outputs = Outputs(Settings(json=str(tmp_path / "json"), actions={"a": touching("a")}, on={"*": ["a"]}))
    outputs.send(Ambiguous(**dataclasses.asdict(heard(accepted=False, action="a")), other="Küche dunkel"))
    outputs.close(10)
    line = json.loads((tmp_path / "json").read_text())
    (tmp_path / "json").unlink()
    assert (line["command"], line["ambiguous_with"], line["accepted"]) == ("Küche hell 💡", "Küche dunkel", False)
    assert ran(tmp_path) == {}


def test_the_log_can_be_turned_off(heard, caplog):
    caplog.set_level(logging.INFO)
    outputs = Outputs(Settings(log=False))
    outputs.send(heard())
    outputs.close(1)
    assert not caplog.records


def test_without_outputs_there_is_no_thread(heard):
    before = {*threading.enumerate()}
    outputs = Outputs(Settings(actions={"a": ShellAction(["true"])}))
    outputs.send(heard())
    assert {*threading.enumerate()} <= before
    outputs.close(1)


def test_an_action_that_is_no_longer_in_the_settings(heard, touching, tmp_path, caplog):
    outputs = Outputs(Settings(actions={"a": touching("a")}, on={"*": ["a"]}))
    outputs.send(heard(action="lamp"))
    outputs.close(10)
    assert [record.getMessage() for record in caplog.records] == [
        "'Küche hell 💡' sets off the action 'lamp', which is not in the settings (outputs.actions): nothing done"
    ]
    assert ran(tmp_path) == {"a": ["d7"]}


def test_more_than_may_run_at_once_are_dropped(heard, caplog):
    outputs = Outputs(Settings(log=False, actions={"nap": ShellAction(["sleep", "0.5"])}, on={"*": ["nap"]}))
    for _ in range(3):
        outputs.send(heard())
    assert [record.getMessage() for record in caplog.records] == [
        "action 'nap' is still busy with 2: nothing done for 'Küche hell 💡'"
    ]
    outputs.close(10)


def test_a_stuck_output_neither_holds_up_the_loop_nor_the_other_outputs(heard, touching, tmp_path, caplog, eventually):
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)  # opening it waits for a reader
    outputs = Outputs(
        Settings(
            json=str(stuck), actions={"nap": ShellAction(["sleep", "60"]), "a": touching("a")}, on={"*": ["nap", "a"]}
        )
    )
    began = time.monotonic()
    outputs.send(heard())
    assert time.monotonic() - began < 0.2
    eventually(lambda: (tmp_path / "a").exists())
    began = time.monotonic()
    outputs.close(0.3)
    assert time.monotonic() - began < 1
    eventually(lambda: "sleep was killed, since speakerd ends" in caplog.text)
    with stuck.open() as reader:  # lets the thread go
        assert json.loads(reader.readline())["id"] == "d7"


def test_closing_waits_for_what_ends_in_time(heard, tmp_path, caplog):
    out = tmp_path / "out"
    action = ShellAction(["/bin/sh", "-c", f"sleep 0.4; : > {out}"])
    outputs = Outputs(Settings(actions={"a": action}, on={"*": ["a"]}))
    outputs.send(heard())
    outputs.close(10)
    assert out.exists()
    outputs.send(heard())
    assert not caplog.records


def test_closing_kills_what_does_not_end(heard, tmp_path, caplog, eventually):
    pid = tmp_path / "pid"
    action = ShellAction(["/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60"], timeout=100.0)
    outputs = Outputs(Settings(actions={"a": action}, on={"*": ["a"]}))
    outputs.send(heard())
    eventually(lambda: pid.exists() and pid.read_text().strip())
    outputs.close(0.2)
    assert "not finished within 0.2 s, given up: action 'a'" in caplog.text
    eventually(lambda: "was killed, since speakerd ends" in caplog.text)
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_an_output_that_never_ends_does_not_keep_the_program_from_ending(tmp_path):
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)
    code = f"""
from speakerd.config import Outputs as Settings
from speakerd.outputs import Outputs
from tests.outputs.conftest import HEARD
outputs = Outputs(Settings(json={str(stuck)!r}))
outputs.send(HEARD)
outputs.close(0.1)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, cwd=Path(__file__).parents[2])


def test_a_person_with_a_line_of_their_own_sets_off_something_else(heard, touching, tmp_path):
    outputs = Outputs(
        Settings(
            log=False,
            actions={name: touching(name) for name in ("taught", "all", "hers", "every")},
            on={"küche hell 💡": ["all"], "*": ["every"]},
            by={"ZOË": {"Küche hell 💡": ["hers"], "another": ["all"]}},
        )
    )
    for id, who in (("a", "Zoë"), ("b", "Bob")):
        outputs.send(heard(id=id, speaker=who, action="taught"))
    outputs.close(10)
    done = {name: sorted(ids) for name, ids in ran(tmp_path).items()}
    assert done == {"hers": ["a"], "all": ["b"], "taught": ["b"], "every": ["a", "b"]}
