"""`speakerd lesson` where no lesson can be; tests/system has one that can."""

from pathlib import Path

from tests.running import lines, speaker, speakerd


def test_without_a_daemon_it_is_said_who_speaks(tmp_path: Path) -> None:
    done = speakerd("lesson", "--state", tmp_path)
    assert done.returncode == 1
    assert "no daemon is running, and it is the daemon that speaks" in done.stderr


def test_a_daemon_that_does_not_speak_says_how_it_would(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        done = speakerd("lesson", "--state", running.state)
        assert done.returncode == 1
        assert "speaking.enabled" in done.stderr
        stopped = speakerd("lesson", "--stop", "--json", "--state", running.state)
        assert lines(stopped) == [{"stopped": False}]
