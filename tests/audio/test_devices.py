import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from speakerd.audio.devices import surroundings

DEVICES = [
    {"index": 0, "name": "USB PnP Sound Device", "channels": 128, "rate": 44100},
    {"index": 1, "name": "kitchen", "channels": 128, "rate": 44100},
    {"index": 2, "name": "kitchen2", "channels": 128, "rate": 16000},
    {"index": 3, "name": "default", "channels": 128, "rate": 44100},
]


def ask(env: dict[str, str], code: str) -> Any:
    """What ``code`` gives in a process of its own, where PortAudio sees ``env``; it must not write to stderr."""
    program = f"""
import json
from speakerd.audio.devices import *
try:
    answer = {code}
except DeviceError as error:
    answer = str(error)
print(json.dumps(answer, default=vars))
"""
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_devices_are_listed_again_when_asked(null_devices: dict[str, str]) -> None:
    expected = [device | {"host_api": "ALSA", "is_default": device["name"] == "default"} for device in DEVICES]
    assert ask(null_devices, "[capture_devices(), refresh(), capture_devices()]") == [expected, None, expected]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(None, 3), (1, 1), ("2", 2), ("usb pnp", 0), ("KITCHEN", 1), ("kitchen2", 2), ("itch", 1)],
)
def test_device_is_found_by_number_or_name(null_devices: dict[str, str], wanted: str | int | None, found: int) -> None:
    assert ask(null_devices, f"find_device({wanted!r})")["index"] == found


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("hw:2", None), (4, None), ("kichen", "kitchen"), ("usb pnp sound devise", "USB PnP Sound Device")],
)
def test_unknown_device_is_answered_with_those_there_are(
    null_devices: dict[str, str], wanted: str | int, nearest: str | None
) -> None:
    message = ask(null_devices, f"find_device({wanted!r})")
    assert message.startswith(
        f"{wanted!r} is not a capture device. I see: 0 'USB PnP Sound Device' (128 channels, 44100 Hz); 1 'kitchen' "
    )
    assert re.findall(r"Did you mean '(.*)'\?$", message) == ([nearest] if nearest else [])


def test_no_device_at_all_says_where_to_look(null_devices: dict[str, str]) -> None:
    Path(null_devices["ALSA_CONFIG_PATH"]).write_text("pcm.default { type hw card 99 }")
    assert ask(null_devices, "find_device('kitchen')") == (
        "no capture device at all: is the microphone plugged in? `arecord -l` lists what ALSA sees"
    )


def test_portaudio_that_does_not_start_says_where_to_look(null_devices: dict[str, str]) -> None:
    Path(null_devices["ALSA_CONFIG_PATH"]).write_text("pcm { broken")
    assert ask(null_devices, "capture_devices()") == (
        "PortAudio does not start: is there a mistake in /etc/asound.conf or ~/.asoundrc?"
    )


@pytest.mark.parametrize("arrival", ["run/pipewire-0", "run/pulse", "run/pulse/native"])
def test_sound_server_that_comes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrival: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / arrival).parent.mkdir(parents=True)
    os.utime((tmp_path / arrival).parent, (1, 1))
    before = surroundings()
    assert surroundings() == before
    (tmp_path / arrival).touch()
    assert surroundings() != before


def test_missing_portaudio_is_named_with_its_package(null_devices: dict[str, str]) -> None:
    code = "[setattr(__import__('ctypes.util').util, 'find_library', lambda name: None), capture_devices()]"
    assert ask(null_devices, code) == "PortAudio is missing: sudo apt install libportaudio2"
