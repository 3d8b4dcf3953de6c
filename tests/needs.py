"""Tests that need something the machine may not have: they skip and say what, unless everything must run."""

import os
import shutil
from typing import NoReturn

import pytest

PACKAGES = {
    "amixer": "alsa-utils",
    "arecord": "alsa-utils",
    "chromedriver": "chromium-driver",
    "espeak-ng": "espeak-ng",
    "mpd": "mpd",
    "pulseaudio": "pulseaudio",
    "pacat": "pulseaudio-utils",
    "pactl": "pulseaudio-utils",
    "paplay": "pulseaudio-utils",
    "parec": "pulseaudio-utils",
    "systemd-nspawn": "systemd-container",
}


def need(*programs: str) -> None:
    """Go on only if all these programs are installed."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        packages = sorted({PACKAGES.get(program, program) for program in absent})
        lacking(f"{', '.join(absent)} (sudo apt install {' '.join(packages)})")


def lacking(what: str) -> NoReturn:
    """Skip the test for want of ``what``; with SPEAKERD_TEST_ALL=1 in the environment it fails instead."""
    if os.environ.get("SPEAKERD_TEST_ALL") == "1":
        pytest.fail(f"needs {what}, and SPEAKERD_TEST_ALL=1 says that every test must run", pytrace=False)
    pytest.skip(f"needs {what}")
