"""`speakerd doctor`, and commands that want a microphone where there is none."""

import contextlib
import os
import subprocess
import threading
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from tests.needs import need
from tests.running import LAMP, SPEAKERD, Speaker, eventually, lines, speaker, speakerd
from tests.system.pulse import Pulse, need_portaudio

Finding = dict[str, object]


@pytest.fixture
def deaf(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that sees no microphone."""
    need_portaudio()
    nothing = tmp_path / "asound.conf"
    nothing.write_text("pcm.default { type hw card 31 }\n")  # without any "default" PortAudio 19.6 aborts
    return {"ALSA_CONFIG_PATH": str(nothing), "PULSE_SERVER": f"unix:{tmp_path}/none"}


def findings(*arguments: object, code: int, env: dict[str, str]) -> dict[str, Finding]:
    done = speakerd("doctor", *arguments, "--json", env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return {str(item["what"]): item for item in lines(done)}


def test_what_is_wrong_and_what_to_do(tmp_path: Path, deaf: dict[str, str]) -> None:
    found = findings("--state", tmp_path / "state", code=1, env=deaf)
    assert {name for name, finding in found.items() if finding["good"] is True} >= {"settings", "models", "state"}
    assert found["daemon"]["good"] is None
    assert found["microphone"]["good"] is False
    assert "no capture device" in str(found["microphone"]["words"])
    assert "plug one in" in str(found["microphone"]["remedy"])
    words = speakerd("doctor", "--state", tmp_path / "state", env=deaf)
    assert words.returncode == 1
    assert "FAULT microphone" in words.stdout
    assert "        do: plug one in" in words.stdout
    assert "ok    state" in words.stdout


def test_everything_that_is_wrong_at_once(tmp_path: Path, deaf: dict[str, str]) -> None:
    config, state = tmp_path / "speakerd.yaml", tmp_path / "state"
    state.write_text("no folder")
    config.write_text("gate:\n  hangover: 3\n")
    found = findings("--state", state, "--config", config, code=1, env=deaf)
    assert f"{config}:2" in str(found["settings"]["words"])
    assert found["settings"]["good"] is False
    assert found["models"]["good"] is True, "the defaults are used meanwhile"
    assert found["state"]["good"] is False
    assert str(state) in str(found["state"]["words"])
    config.write_text(f"recognition: {{models: '{tmp_path}'}}\naudio: {{device: Blue Yeti}}\n")
    found = findings("--state", tmp_path / "other", "--config", config, code=1, env=deaf)
    assert "encoder.onnx is missing" in str(found["models"]["words"])
    assert "recognition.models" in str(found["models"]["remedy"])
    assert f"{config}:2" in str(found["microphone"]["words"])


def test_a_running_daemon_is_asked_how_it_is(tmp_path: Path, deaf: dict[str, str]) -> None:
    with speaker(tmp_path) as running:
        found = findings("--state", running.state, code=1, env=deaf)
        assert found["daemon"]["good"] is True
        assert "commands: 0, level -6" in str(found["daemon"]["words"])
        assert "state" not in found, "it is the daemon's"
        running.hush()
        eventually(lambda: _hears_nothing(running, deaf))


def _hears_nothing(running: Speaker, deaf: dict[str, str]) -> bool:
    daemon = findings("--state", running.state, code=1, env=deaf)["daemon"]
    return daemon["good"] is False and "no sound arrives on standard input" in str(daemon["words"])


def test_teaching_without_a_microphone(tmp_path: Path, deaf: dict[str, str]) -> None:
    done = speakerd("enroll", LAMP, "--state", tmp_path / "state", env=deaf)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("speakerd: no microphone: no capture device at all")
    assert done.stderr.splitlines()[-1].endswith("Nothing was learned")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["listen", "run"])
def test_listening_waits_for_a_microphone_and_says_so(tmp_path: Path, deaf: dict[str, str], command: str) -> None:
    with subprocess.Popen(
        [SPEAKERD, command, "--state", tmp_path / "state"], env=os.environ | deaf, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stderr is not None
        for line in waiting.stderr:
            if "no microphone (trying again" in line:
                break
        else:
            pytest.fail("it did not wait")
        assert "no capture device at all" in line
        assert waiting.poll() is None
        waiting.send_signal(2)
        waiting.communicate(timeout=10)
    assert waiting.returncode == 0


def test_a_muted_microphone_is_mended(tmp_path: Path, pulse: Pulse) -> None:
    need("amixer")
    noise = np.random.default_rng(0).normal(0, 300, 16000 * 60).astype("<i2").tobytes()
    play = ["pacat", "--device=speaker", "--rate=16000", "--channels=1", "--format=s16le", "--latency-msec=200"]
    with subprocess.Popen(play, env=pulse.env, stdin=subprocess.PIPE) as playing:
        assert playing.stdin is not None
        threading.Thread(target=_write, args=(playing.stdin, noise), daemon=True).start()
        subprocess.run(["pactl", "set-source-mute", "speaker.monitor", "1"], env=pulse.env, check=True)
        hearing = findings("--state", tmp_path / "state", code=1, env=pulse.env)["hearing"]
        assert (hearing["good"], hearing["mend"]) == (False, "amixer -q sset Capture 70% cap")
        assert "digital silence" in str(hearing["words"])
        done = speakerd("doctor", "--mend", "--state", tmp_path / "state", env=pulse.env)
        playing.kill()
    assert "mend  hearing: amixer -q sset Capture 70% cap" in done.stdout
    assert "ok    hearing" in done.stdout, done.stdout
    assert done.returncode == 0


def _write(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.write(data)


def test_a_device_that_is_not_there_is_answered_with_its_line(tmp_path: Path, null_devices: dict[str, str]) -> None:
    config = tmp_path / "speakerd.yaml"
    config.write_text("audio:\n  device: kitchin\n")
    done = speakerd("config", "check", "--config", config, env=null_devices)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{config}:2: " in done.stderr
    assert "'kitchin' is not a capture device" in done.stderr
    assert "Did you mean 'kitchen'?" in done.stderr
    config.write_text("audio:\n  device: kitchen2\n")
    assert speakerd("config", "check", "--config", config, env=null_devices).returncode == 0
