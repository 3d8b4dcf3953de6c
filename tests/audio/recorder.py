"""A microphone in a process of its own, since PortAudio and ALSA look at the environment only once."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import pytest

from speakerd.events import Samples

# Begins on a line from stdin. Says on stdout when there is sound, when there is none and why, and when that took more
# than a second. Keeps the sound in a file. Takes a nap of so many seconds at the first sound.
RECORDER = """
import json, logging, signal, sys, time
from speakerd.audio import microphone
from speakerd.events import Waiting

path, device, channel, nap, constants = sys.argv[1:]
vars(microphone).update(json.loads(constants))
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="log %(message)s")
source = microphone.Microphone(device or None, channel if channel == "mix" else int(channel))
signal.signal(signal.SIGTERM, lambda *_: source.close())
print("ready", flush=True)
sys.stdin.readline()
state, at = None, time.monotonic()
with open(path, "wb") as file:
    for item in source:
        now = time.monotonic()
        if now - at > 1:
            print(f"late {now - at:.1f}", flush=True)
        if isinstance(item, Waiting):
            new = f"waiting {item.reason}"
        else:
            new = "sound"
            file.write(item.tobytes())
        if new != state:
            print(new, flush=True)
            if new == "sound":
                time.sleep(float(nap))
        state, at = new, time.monotonic()
print(f"end {source.overflows}", flush=True)
"""


class Recorder:
    """A microphone in a process of its own, and what it says."""

    def __init__(self, env: dict[str, str], file: Path, *arguments: str) -> None:
        self.file = file
        command = [sys.executable, "-c", RECORDER, str(file), *arguments]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lines: SimpleQueue[str] = SimpleQueue()
        self.said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def until(self, pattern: str, seconds: float = 15) -> str:
        """The next line it says that begins so."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
                self.said.append(line)
                if re.match(pattern, line):
                    return line
        except Empty:
            pytest.fail(f"it does not say {pattern!r} within {seconds} s, only {self.said}")

    def end(self) -> int:
        """Close it from its signal handler, which must take less than a second; how many overflows it counted."""
        self.process.send_signal(signal.SIGTERM)
        return int(self.until("end", seconds=1).split()[1])

    def sound(self) -> Samples:
        return np.fromfile(self.file, np.float32)


class Recorders:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Recorder] = []

    def __call__(
        self, env: dict[str, str], device: str = "", channel: str = "mix", nap: float = 0, **constants: float
    ) -> Recorder:
        """``constants`` of the microphone are other than usual, to save time."""
        file = self._folder / f"heard{len(self._all)}.f32"
        self._all.append(Recorder(env, file, device, channel, str(nap), json.dumps(constants)))
        return self._all[-1]

    def kill(self) -> None:
        for recorder in self._all:
            recorder.process.kill()
            recorder.process.communicate()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recorders]:
    recorders = Recorders(tmp_path)
    yield recorders
    recorders.kill()
