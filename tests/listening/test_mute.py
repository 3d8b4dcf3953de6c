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
from speakerd.listening import mute as mute_module
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
    assert (again.on, again.until) == (True, pytest.approx(mute.until, abs=1))
    assert mute.words == f"muted until {time.strftime('%H:%M', time.localtime(mute.until))}"
    eventually(lambda: not mute.on)
    assert not again.on
    assert not MuteSwitch(tmp_path).on


YEAR = 365 * 86400.0


class Clocks:
    """The clock on the wall, which people and the network set, and the steady one: seconds added to both."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set = self.passed = 0.0
        wall, steady = time.time, mute_module.steady
        monkeypatch.setattr(time, "time", lambda: wall() + self.set + self.passed)
        monkeypatch.setattr(mute_module, "steady", lambda: steady() + self.passed)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.mark.parametrize("set_by", [YEAR, -YEAR])
def test_a_clock_that_is_set_meanwhile_neither_ends_nor_prolongs_it(
    tmp_path: Path, clocks: Clocks, set_by: float
) -> None:
    mute = MuteSwitch(tmp_path)
    mute.begin(60)
    clocks.set = set_by
    clocks.passed = 3590
    assert (mute.on, mute.until) == (True, pytest.approx(time.time() + 10, abs=5))
    clocks.passed = 3601
    assert (mute.on, mute.until) == (False, None)


def test_a_start_with_an_old_time_mutes_no_longer_than_was_asked_for(tmp_path: Path, clocks: Clocks) -> None:
    MuteSwitch(tmp_path).begin(60)
    clocks.set = -YEAR
    mute = MuteSwitch(tmp_path)
    assert mute.on
    clocks.passed = 3601
    assert not mute.on


def test_once_it_has_run_out_a_start_with_an_older_time_is_not_muted(tmp_path: Path, clocks: Clocks) -> None:
    mute = MuteSwitch(tmp_path)
    mute.begin(60)
    clocks.passed = 3601
    assert not mute.on
    clocks.passed = 0
    assert not MuteSwitch(tmp_path).on
    assert list(tmp_path.iterdir()) == []


def test_it_runs_out_also_where_nothing_can_be_written(clocks: Clocks) -> None:
    with open_folder() as folder:
        MuteSwitch(folder).begin(60)
        (folder / "muted").chmod(0o644)
        clocks.passed = 3601
        assert without_rights(lambda: str([MuteSwitch(folder).on for _ in range(2)])) == "[False, False]"
        assert (folder / "muted").exists()


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
