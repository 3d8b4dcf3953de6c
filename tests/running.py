"""The program as people run it: the daemon in a process of its own, in a room that a test fills with sound, and the
commands in a process each."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from speakerd.audio.files import read_audio
from speakerd.control.messages import Request, Watch
from speakerd.control.socket import ask, socket_of
from speakerd.demo.truth import lessons
from speakerd.events import Samples

SPEAKERD = Path(sys.executable).with_name("speakerd")
Done = subprocess.CompletedProcess[str]
BLOCK = 1600  # samples that the room gives at a time
SPEED = 10  # how much faster time goes by in the room
ROOM = -62.0  # dBFS of its noise, as in the bundled recordings
PATIENCE = 15.0  # seconds for anything to come true on a busy machine

LAMP, QUIETER, NIGHT = lessons()  # names of commands
CLIPS = lessons()


def clip(name: str, take: int = 0) -> Samples:
    """A bundled recording of a command."""
    return read_audio(CLIPS[name][take])


def speakerd(
    *arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None, seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, which must come within so many seconds, with ``env`` added to the environment."""
    call = [str(SPEAKERD), *map(str, arguments)]
    done = subprocess.run(call, env=os.environ | (env or {}), input=stdin, capture_output=True, timeout=seconds)
    return subprocess.CompletedProcess(call, done.returncode, done.stdout.decode(), done.stderr.decode())


def lines(done: Done) -> list[dict[str, Any]]:
    """Standard output, which must hold JSON objects and nothing else."""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(isinstance(item, dict) for item in found), done.stdout
    return found


def eventually(true: Callable[[], Any], what: str = "it did not come true") -> Any:
    """Wait until something is true, and give it."""
    until = time.monotonic() + PATIENCE
    while not (value := true()):
        assert time.monotonic() < until, what
        time.sleep(0.02)
    return value


class Conversation:
    """What the daemon answers to a request, as it comes."""

    def __init__(self, control: Path, request: Request) -> None:
        self._items: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(control, request), daemon=True).start()

    def _read(self, control: Path, request: Request) -> None:
        try:
            for item in ask(control, request):
                self._items.put(item)
            self._items.put(None)
        except Exception as error:
            self._items.put(error)

    def next(self, timeout: float = PATIENCE) -> dict[str, Any] | None:
        """The next item, None at the end.

        Raises:
            queue.Empty: none came in time.
            SpeakerdError: what the daemon answered.
        """
        item = self._items.get(timeout=timeout)
        if isinstance(item, Exception):
            raise item
        return item

    def until(self, key: str) -> dict[str, Any]:
        """The next item that has ``key``; those before are passed over."""
        while (item := self.next()) is not None:
            if key in item:
                return item
        raise AssertionError(f"the answer ended without {key!r}")

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.next(seconds)
        except queue.Empty:
            return True
        return False


class Speaker:
    """`speakerd run --input -`, in a quiet room until somebody calls :meth:`say`."""

    def __init__(self, folder: Path, *options: object, state: Path | None = None, **environment: str) -> None:
        """Start it; on return it listens."""
        self.state = state or folder / "state"
        self.control = socket_of(self.state)
        self._log = folder / "daemon.log"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"speakerd-test-{uuid.uuid4().hex}"
        self._notified.bind("\0" + name)
        self._notified.settimeout(PATIENCE)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [SPEAKERD, "run", "--input", "-", "--state", self.state, *map(str, options)],
                env=os.environ | {"NOTIFY_SOCKET": f"@{name}"} | environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdin is not None
        self._said: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        self._silent = threading.Event()
        threading.Thread(target=self._sound, args=(self.process.stdin,), daemon=True).start()
        try:
            self.ready = self.await_notice("READY=1")
        except TimeoutError:
            self.process.kill()
            raise AssertionError(f"it does not come up: {self.log()}") from None

    def _sound(self, stdin: IO[bytes]) -> None:
        quiet = np.random.default_rng(0).normal(0, 10 ** (ROOM / 20), BLOCK)  # nothing but digital silence is silent
        with contextlib.suppress(OSError, ValueError):
            while True:
                if self._silent.is_set():
                    time.sleep(0.01)
                    continue
                samples = quiet if self._said.empty() else self._said.get()
                pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
                for at in range(0, len(pcm), 2 * BLOCK):
                    stdin.write(pcm[at : at + 2 * BLOCK])
                    stdin.flush()
                    time.sleep(BLOCK / 16000 / SPEED)

    def say(self, samples: Samples) -> None:
        """Let it be heard, after what is being said."""
        self._said.put(samples)

    def hush(self, silent: bool = True) -> None:
        """Give no sound at all, not even silence."""
        (self._silent.set if silent else self._silent.clear)()

    def notice(self, timeout: float = PATIENCE) -> list[str]:
        """What it tells systemd next."""
        self._notified.settimeout(timeout)
        return self._notified.recv(4096).decode().split("\n")

    def await_notice(self, line: str) -> list[str]:
        while line not in (told := self.notice()):
            pass
        return told

    def unmanaged(self) -> None:
        """Nobody listens any more to what it tells systemd."""
        self._notified.close()

    def ask(self, request: Request) -> list[dict[str, Any]]:
        answers = Conversation(self.control, request)
        return list(iter(answers.next, None))

    def watch(self, everything: bool = False) -> Conversation:
        """Every detection from now on."""
        watching = Conversation(self.control, Watch(everything))
        time.sleep(0.3)  # nothing tells when the daemon has begun to show detections
        return watching

    def log(self) -> str:
        return self._log.read_text()

    def await_log(self, words: str) -> None:
        eventually(lambda: words in self.log(), f"{words!r} is not in the log")

    def reload(self) -> None:
        """As `systemctl reload`; on return it is done."""
        self.process.send_signal(signal.SIGHUP)
        self.await_notice("READY=1")

    def stop(self) -> int:
        """As `systemctl stop`: the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def speaker(folder: Path, *options: object, state: Path | None = None, **environment: str) -> Iterator[Speaker]:
    """A :class:`Speaker` that is gone afterwards, whatever happened."""
    running = Speaker(folder, *options, state=state, **environment)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
