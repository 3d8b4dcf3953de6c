"""Switches that people turn: `speakerd mute` and `unmute`, with and without a daemon."""

import json
from pathlib import Path

import pytest
import soundfile

from speakerd.control.messages import Forget, Mute, Status
from tests.cli.conftest import Call
from tests.recordings import said
from tests.running import CLIPS, LAMP, NIGHT, clip, eventually, lines, speaker, speakerd


def test_muted_without_a_daemon_nothing_is_heard_until_unmuted(call: Call, state: Path) -> None:
    asked = ("listen", CLIPS[LAMP][0], "--state", state)
    assert LAMP in call(*asked).stdout
    assert "muted until `speakerd unmute`: nothing is listened to" in call("mute", "--state", state).stdout
    refused = call(*asked)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "speakerd: the speaker is muted until `speakerd unmute`" in refused.stderr
    assert call("enroll", LAMP, "--state", state).exit_code == 1
    assert "muted until" in call("mute", "--for", "30", "--state", state).stdout
    assert call("score", CLIPS[LAMP][0], "--state", state).exit_code == 0, "that is not listening"
    assert call("unmute", "--state", state).exit_code == 0
    assert LAMP in call(*asked).stdout


def test_what_is_not_armed_is_shown_with_the_rule_in_a_file_and_by_a_daemon(
    tmp_path: Path, call: Call, state: Path
) -> None:
    config = tmp_path / "speakerd.yaml"
    config.write_text(f"listening: {{requires: {{{LAMP}: {{command: {NIGHT}}}}}}}")
    assert call("enroll", NIGHT, *CLIPS[NIGHT], "--state", state).exit_code == 0
    stream = tmp_path / "stream.flac"
    soundfile.write(stream, said(1, clip(LAMP), 1, clip(NIGHT), 1, clip(LAMP), 1), 16000)
    by = f"armed by '{NIGHT}' in the 8 s before"
    expected = [(LAMP, False, f"not {by}"), (NIGHT, True, None), (LAMP, True, by)]
    told = call("listen", stream, "--all", "--config", config, "--state", state, "--json").stdout.splitlines()
    assert [(one["command"], one["accepted"], one["rule"]) for one in map(json.loads, told)] == expected
    words = call("listen", stream, "--config", config, "--state", state).stdout
    assert f"not {by}" not in words
    assert by in words
    with speaker(tmp_path, "--config", config, state=state) as running:
        watching = running.watch(everything=True)
        running.say(said(clip(LAMP), 1, clip(NIGHT), 1, clip(LAMP), 1))
        seen = [watching.until("command") for _ in expected]
        assert [(one["command"], one["accepted"], one["rule"]) for one in seen] == expected
        assert f"'{LAMP}' was turned away [{seen[0]['id']}]: not {by}" in running.log()
        assert speakerd("why", seen[0]["id"], "--state", state).stdout.splitlines()[1] == f"  not {by}"
        running.ask(Forget(NIGHT))
        running.await_log(f"listening.requires: no command '{NIGHT}' has been taught, so '{LAMP}' cannot be heard")


def test_while_it_plays_the_daemon_wants_commands_to_be_surer(tmp_path: Path, state: Path) -> None:
    config = tmp_path / "speakerd.yaml"
    config.write_text("listening: {playing_margin: 50}")  # more than anybody can be
    with speaker(tmp_path, "--config", config, state=state) as running:
        watching = running.watch(everything=True)
        for turned, accepted in (("on", False), ("off", True)):
            assert speakerd("playing", turned, "--state", state).returncode == 0
            assert running.ask(Status())[0]["playing"] is not accepted
            running.say(clip(LAMP))
            heard = watching.until("command")
            assert (heard["accepted"], heard["command"]) == (accepted, LAMP)
            assert str(heard["rule"]).startswith("playing: 50 more") is not accepted
        assert speakerd("playing", "on", "--for", "1", "--state", state).returncode == 0
        eventually(lambda: not running.ask(Status())[0]["playing"])


def test_without_a_daemon_there_is_nobody_to_tell_that_it_plays(call: Call, tmp_path: Path) -> None:
    done = call("playing", "on", "--state", tmp_path)
    assert (done.exit_code, done.stderr) == (1, "speakerd: no speakerd is running that could be told\n")


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "1e9", "soon"])
def test_a_time_that_is_none_is_refused(call: Call, tmp_path: Path, minutes: str) -> None:
    done = call("mute", "--for", minutes, "--state", tmp_path / "state")
    assert done.exit_code == 2
    assert not (tmp_path / "state").exists()


def test_a_muted_daemon_hears_nothing_also_after_a_restart(tmp_path: Path, state: Path) -> None:
    with speaker(tmp_path, state=state) as running:
        running.say(clip(LAMP))
        running.await_log(f"heard '{LAMP}'")
        assert lines(speakerd("mute", "--state", state, "--json"))[0]["muted"] == "muted until `speakerd unmute`"
        heard = running.ask(Status())[0]["heard_seconds"]
        running.say(clip(LAMP))
        running.await_log("nothing is listened to")
        eventually(lambda: running.ask(Status())[0]["waiting"])
        assert running.ask(Status())[0]["heard_seconds"] - heard < 0.5
        running.process.kill()  # as by a power cut
        running.process.wait()
    with speaker(tmp_path, state=state) as running:
        watching = running.watch(everything=True)
        running.say(clip(LAMP))
        assert watching.quiet(1)
        (status,) = running.ask(Status())
        assert (status["muted"], status["heard_seconds"]) == ("muted until `speakerd unmute`", 0)
        told = {item["what"]: item for item in lines(speakerd("doctor", "--state", state, "--json"))}
        assert "muted until" in told["mute"]["words"]
        assert told["daemon"]["good"] is True, "that is as it should be"
        assert speakerd("unmute", "--state", state).returncode == 0
        running.say(clip(LAMP))
        found = watching.next()
        assert found is not None
        assert (found["command"], found["accepted"]) == (LAMP, True)
        assert running.log().count("no longer muted") == 1
        running.ask(Mute(0.02))
        eventually(lambda: running.log().count("no longer muted") == 2)
