import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.errors import SpeakerdError
from speakerd.events import Samples, Waiting
from speakerd.listening.mute import Muted, MuteSwitch
from tests.listening.taught import CLIPS, LAMP
from tests.running import eventually
from tests.somebody import open_folder, without_rights


class Recording:
    """A source of one recording."""

    def __init__(self, samples: Samples) -> None:
        self.frames = list(frames_of(samples))
        self.closed = False

    def __iter__(self) -> Iterator[Samples]:
        return iter(self.frames)

    def be_patient(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_nothing_of_the_sound_gets_through_while_muted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mute, source = MuteSwitch(tmp_path), Recording(CLIPS[LAMP][0])
    heard: list[Samples | Waiting] = []
    with caplog.at_level(logging.INFO):
        for frame in Muted(source, mute):
            heard.append(frame)
            if len(heard) == 10:
                mute.begin(None)
            if len(heard) == 30:
                mute.end()
    assert len(heard) == len(source.frames)
    assert [isinstance(frame, Waiting) for frame in heard[:40]] == [False] * 10 + [True] * 20 + [False] * 10
    assert heard[15] == Waiting("muted until `speakerd unmute`")
    assert heard[30] is source.frames[30]
    assert [line for line in caplog.messages if "muted" in line] == [
        "muted until `speakerd unmute`: nothing is listened to",
        "no longer muted",
    ]


def test_closing_closes_the_source(tmp_path: Path) -> None:
    source = Recording(CLIPS[LAMP][0])
    Muted(source, MuteSwitch(tmp_path)).close()
    assert source.closed


def test_it_ends_by_itself_after_its_time_also_after_a_restart(tmp_path: Path) -> None:
    mute = MuteSwitch(tmp_path)
    assert (mute.on, mute.until, mute.words) == (False, None, "not muted")
    mute.begin(0.01)
    assert mute.on
    again = MuteSwitch(tmp_path)
    assert (again.on, again.until) == (True, pytest.approx(mute.until, abs=0.01))
    assert mute.words == f"muted until {time.strftime('%H:%M', time.localtime(mute.until))}"
    eventually(lambda: not mute.on)
    assert not again.on
    assert not MuteSwitch(tmp_path).on


def test_it_is_on_the_disk_when_begin_returns(tmp_path: Path) -> None:
    """Whoever is killed at that moment has muted, or ended it, for good."""
    for do, is_on in (("begin(None)", True), ("begin(60)", True), ("end()", False)):
        program = f"""
from pathlib import Path; import os, signal
from speakerd.listening.mute import MuteSwitch
MuteSwitch(Path({str(tmp_path)!r})).{do}
os.kill(os.getpid(), signal.SIGKILL)"""
        killed = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert MuteSwitch(tmp_path).on is is_on


def test_half_written_or_damaged_it_stays_muted(tmp_path: Path) -> None:
    (tmp_path / "muted.new").write_text("17")  # a power cut before it took its place: nobody was told that it is muted
    assert not MuteSwitch(tmp_path).on
    (tmp_path / "muted").write_text("\0\0\0")
    assert MuteSwitch(tmp_path).words == "muted until `speakerd unmute`"


def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with open_folder() as folder:

        def try_it() -> str:
            mute = MuteSwitch(folder)
            try:
                mute.begin(5)
            except SpeakerdError as error:
                return f"{error}, and muted: {mute.on}"
            return "no error"

        said = without_rights(try_it)
    assert said == (
        f"{folder}/muted cannot be written: Permission denied. A restart will not know what you asked for, "
        "and muted: True"
    )
