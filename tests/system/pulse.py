"""Microphones without a sound card: the monitor of PulseAudio's null sink, and devices that are only names."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.needs import lacking, need

ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
# PortAudio 19.6 aborts where there is no "default".
NULL_DEVICES = """
pcm.null { type null }
pcm."USB PnP Sound Device" { type null }
pcm.kitchen { type null }
pcm.kitchen2 { type plug slave { pcm null rate 16000 channels 1 } }
pcm.default { type null }
"""


class Pulse:
    """What is played with :meth:`play` is heard by whoever captures in a process with the environment ``env``; what
    such a process plays goes to the sink ``loudspeaker``.

    ``socket_dir`` holds the server's socket, ``native``; anybody who sees it may connect.
    """

    def __init__(self, folder: Path, rate: int = 16000, channels: int = 1) -> None:
        self.rate, self.channels = rate, channels
        self.socket_dir = folder / "sock"
        self._log = folder / "pulseaudio.log"
        self._server: subprocess.Popen[bytes] | None = None
        self._silence: list[subprocess.Popen[bytes]] = []
        home, run = folder / "home", folder / "run"
        for made, mode in ((home, 0o755), (run, 0o700), (self.socket_dir, 0o755)):
            made.mkdir()
            made.chmod(mode)
        (home / ".asoundrc").write_text(ASOUNDRC)
        self.env = os.environ | {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(run),
            "PULSE_SERVER": f"unix:{self.socket_dir}/native",
        }

    def start(self) -> None:
        """Come up; on return the monitor gives sound."""
        (self.socket_dir / "native").unlink(missing_ok=True)
        sink = f"module-null-sink sink_name=speaker rate={self.rate} channels={self.channels}"
        socket = f"module-native-protocol-unix socket={self.socket_dir}/native auth-anonymous=1"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command += ["--disable-shm=yes", "--log-target=stderr", "-L", sink, "-L", socket]
        command += ["-L", "module-null-sink sink_name=loudspeaker rate=16000 channels=1"]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(command, env=self.env, stderr=log)
        self._until(lambda: self._pactl("info").returncode == 0)
        self._pactl("set-default-source", "speaker.monitor")
        self._pactl("set-default-sink", "loudspeaker")
        self._silence = [self._awake(sink) for sink in ("speaker", "loudspeaker")]

    def _awake(self, sink: str) -> "subprocess.Popen[bytes]":
        """Let a sink's monitor give sound from now on.

        A sink that nobody plays to gives its monitor nothing at first, and then not everything: it renders two seconds
        in one go, unless somebody with less patience is there already when it begins.
        """
        self._pactl("suspend-sink", sink, "1")
        silence = ["pacat", f"--device={sink}", "--rate=16000", "--channels=1", "--format=s16le", "--latency-msec=50"]
        playing = subprocess.Popen([*silence, "/dev/zero"], env=self.env, stderr=subprocess.DEVNULL)
        self._until(lambda: str(playing.pid).encode() in self._pactl("list", "sink-inputs").stdout)
        self._pactl("suspend-sink", sink, "0")
        command = ["parec", f"--device={sink}.monitor", "--latency-msec=50"]
        monitor = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE)
        assert monitor.stdout is not None
        with monitor.stdout:
            assert monitor.stdout.read(20000), f"the monitor of {sink} gives nothing"
        _kill(monitor)
        return playing

    def freeze(self, frozen: bool = True) -> None:
        """Hang, or go on: connections stay open, but nothing comes and nobody answers."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop(self) -> None:
        """Go down without a word, as a device does that is pulled out."""
        for process in (self._server, *self._silence):
            if process is not None:
                _kill(process)

    def play(self, path: Path) -> None:
        """Play an audio file to its end."""
        # A shorter latency leaves gaps on a busy machine.
        command = ["paplay", "--device=speaker", "--latency-msec=200", str(path)]
        subprocess.run(command, env=self.env, check=True, timeout=60)

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["pactl", *arguments], env=self.env, capture_output=True, timeout=20)

    def _until(self, ready: Callable[[], bool]) -> None:
        assert self._server is not None
        deadline = time.monotonic() + 20
        while not ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"pulseaudio does not come up: {self._log.read_text()[-500:]}")
            time.sleep(0.05)


def need_portaudio() -> None:
    if not find_library("portaudio"):
        lacking("PortAudio (sudo apt install libportaudio2)")


def need_pulse() -> None:
    need("pulseaudio", "pactl", "pacat", "parec", "paplay")
    need_portaudio()
    if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        lacking("ALSA's pulse plugin (sudo apt install libasound2-plugins)")


@pytest.fixture
def null_devices(tmp_path: Path) -> dict[str, str]:
    """Environment of a process that sees four capture devices, ALSA's null devices, and no other."""
    need_portaudio()
    path = tmp_path / "alsa.conf"
    path.write_text(NULL_DEVICES)
    # In place of ALSA's whole configuration, so that not even the machine's own cards are seen.
    return os.environ | {"ALSA_CONFIG_PATH": str(path), "PULSE_SERVER": f"unix:{tmp_path}/none"}


@pytest.fixture
def pulse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pulse]:
    """A running Pulse; ``parametrize("pulse", [(48000, 2)], indirect=True)`` gives its sink another rate and width."""
    need_pulse()
    rate, channels = getattr(request, "param", (16000, 1))
    pulse = Pulse(tmp_path, rate, channels)
    try:
        pulse.start()
        yield pulse
    finally:
        pulse.stop()


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
