"""The two commands of the README. (That the tests run at all is script/test's own test.)"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import lacking

ROOT = Path(__file__).resolve().parents[1]


def _script(name: str, **where: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([ROOT / "script" / name], env=os.environ | where, capture_output=True, text=True, timeout=120)


def test_setup_turns_a_32_bit_system_away(tmp_path: Path) -> None:
    getconf = tmp_path / "getconf"
    getconf.write_text("#!/bin/sh\necho 32\n")
    getconf.chmod(0o755)
    done = _script("setup", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "this system is 32-bit" in done.stderr


def test_run_shows_the_demonstration_where_there_is_no_microphone(tmp_path: Path) -> None:
    if not (ROOT / ".venv/.set-up-with-").exists():
        lacking("what script/setup sets up (script/test runs it)")
    if "capture" in _read(Path("/proc/asound/pcm")):
        pytest.skip("this machine has a microphone")
    nothing = tmp_path / "asound.conf"
    nothing.touch()
    done = _script("run", ALSA_CONFIG_PATH=str(nothing), XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("No microphone")
    assert "Teaching" in done.stdout
    assert last.strip() == "speakerd enroll NAME"


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
