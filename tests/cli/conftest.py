"""Recordings that are good and that are not, and a house in which a command is known."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner, Result

from speakerd.cli import main
from speakerd.events import Samples
from tests.running import CLIPS, LAMP, clip

Call = Callable[..., Result]


@pytest.fixture
def call() -> Call:
    """Calls a command in this process, quicker than in one of its own; what it does not catch fails the test."""

    def call(*arguments: object, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state in which LAMP is known; copy it with :func:`state`."""
    path = tmp_path_factory.mktemp("taught") / "state"
    arguments = ["enroll", LAMP, *map(str, CLIPS[LAMP]), "--state", str(path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return path


@pytest.fixture
def state(taught: Path, tmp_path: Path) -> Path:
    """A state in which LAMP is known."""
    return Path(shutil.copytree(taught, tmp_path / "state"))


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings of LAMP, and of files that are something else."""
    folder = tmp_path_factory.mktemp("recordings")
    good = clip(LAMP)

    def write(name: str, samples: Samples, rate: int = 16000, subtype: str = "PCM_16") -> None:
        soundfile.write(folder / name, samples, rate, subtype=subtype)

    write("good.wav", good)
    write("8k.wav", soxr.resample(good, 16000, 8000), 8000)
    wide = soxr.resample(good, 16000, 48000)
    write("48k-stereo.wav", np.stack([wide, 0.5 * wide], axis=1), 48000)
    write("good.flac", good)
    soundfile.write(folder / "good.ogg", good, 16000, format="OGG", subtype="VORBIS")
    write("clipped.wav", np.clip(good * 50, -1, 1))
    write("silent.wav", np.zeros(32000, np.float32))
    write("tenth.wav", good[8000:9600])
    write("ten-minutes.flac", np.tile(good, 600 * 16000 // len(good) + 1)[: 600 * 16000])
    for name, value in (("nan.wav", np.nan), ("infinite.wav", np.inf)):
        broken = good.copy()
        broken[len(good) // 2] = value
        write(name, broken, subtype="FLOAT")
    write("no-samples.wav", np.zeros(0, np.float32))
    (folder / "no-bytes.wav").touch()
    (folder / "text.wav").write_text("This is not a recording, whatever its name says.")
    (folder / "cut-off.wav").write_bytes((folder / "good.wav").read_bytes()[:30])
    (folder / "folder.wav").mkdir()
    return folder
