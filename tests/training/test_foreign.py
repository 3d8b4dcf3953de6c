"""`speakerd encoder` on a real encoder of another make, and on a small one; then it is used."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from speakerd.recognition.frames_encoder import FramesEncoder
from speakerd.recognition.world import World
from tests.cli.conftest import Call, call
from tests.recognition.foreign import ABOUT, write
from tests.running import CLIPS, LAMP, NIGHT
from tests.training.test_run import TEACHER, data

__all__ = ["call", "data"]


def test_a_published_encoder_is_made_usable_by_one_command(data: Path, call: Call, tmp_path: Path) -> None:
    path = Path(shutil.copy(TEACHER, tmp_path))
    about = ["--name", "speech_embedding", "--window", 12400, "--hop", 1280]
    result = call("encoder", path, "--data", data, *about, "--json")
    assert result.exit_code == 0, result.stderr
    world = tmp_path / "speech_embedding.world.npz"
    assert json.loads(result.stdout) == {"encoder": str(path), "world": str(world)}
    encoder = FramesEncoder(path)
    assert (encoder.name, encoder.dimension) == ("speech_embedding", 96)
    assert len(World.load(world, tmp_path / "speech_embedding.adapt.onnx", encoder.id).genuine) == 10

    config = tmp_path / "speakerd.yaml"
    config.write_text(f"recognition: {{encoder: '{path}'}}")
    at = ["--state", tmp_path / "state", "--config", config, "--json"]
    for name in (LAMP, NIGHT):
        assert call("enroll", name, *CLIPS[name], *at).exit_code == 0
    for name in (LAMP, NIGHT):
        (item,) = (json.loads(line) for line in call("score", CLIPS[name][0], *at).stdout.splitlines())
        assert item["command"] == name


def test_a_file_that_says_what_it_is_stays_as_it_is(data: Path, call: Call, tmp_path: Path) -> None:
    path = write(tmp_path / "bands.onnx")
    before = path.read_bytes()
    assert call("encoder", path, "--data", data).exit_code == 0
    assert path.read_bytes() == before
    World.load(tmp_path / "bands.world.npz", tmp_path / "bands.adapt.onnx", FramesEncoder(path).id)


def test_metadata_are_added_to_those_that_are_there(call: Call, tmp_path: Path) -> None:
    path, empty = write(tmp_path / "bands.onnx", {"licence": "Apache-2.0"}), tmp_path / "empty"
    empty.mkdir()
    result = call("encoder", path, "--data", empty, "--name", "bands", "--window", 4000, "--hop", 800)
    assert result.exit_code == 1
    assert "no recordings like" in result.stderr
    assert {p.key: p.value for p in onnx.load(path).metadata_props} == ABOUT | {"licence": "Apache-2.0"}
    assert FramesEncoder(path).dimension == 16


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--name", "bands"], 2, "give all of --name, --window and --hop"),
        (["--name", "bands", "--window", 10, "--hop", 5], 1, "does not take a waveform (1, 10)"),
        ([], 1, "its metadata lack name, sample_rate, window, hop, dimension"),
    ],
)
def test_what_is_not_enough_is_said(call: Call, tmp_path: Path, options: list[object], status: int, words: str) -> None:
    path = write(tmp_path / "bands.onnx", {})
    result = call("encoder", path, "--data", tmp_path, *options)
    assert result.exit_code == status
    assert words in result.stderr


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['torch'] = None; from speakerd.cli import main; main()"
    arguments = ["encoder", str(write(tmp_path / "bands.onnx")), "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert "script/setup train" in done.stderr
