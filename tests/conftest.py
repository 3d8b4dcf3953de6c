"""Fixtures for every test."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import speakerd.cli  # noqa: F401  # before numpy: one thread, as the program has it; a second one would only wait
from speakerd.config import Config
from speakerd.house import Mind
from tests.audio.recorder import record
from tests.needs import lacking
from tests.system.pulse import null_devices, pulse

__all__ = ["mind", "null_devices", "pulse", "record"]


@pytest.fixture(scope="session")
def mind() -> Mind:
    """The bundled models, loaded once."""
    return Mind.load(Config())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True)
    if made.returncode != 0:
        lacking("the right to mount a small disk, as root has it")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
