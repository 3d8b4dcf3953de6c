"""What the whole daemon costs, measured on a real one: started like a service, fed in real time, read from /proc.

Sound comes in as raw PCM on stdin, in blocks as long as the microphone's; a microphone adds PortAudio's thread.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice, repeat, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from speakerd.audio.devices import BLOCK
from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import FRAME, find_utterance, frames_of
from speakerd.control.messages import Enroll, Recording, Watch
from speakerd.control.socket import ask, socket_of
from speakerd.demo.truth import STREAM, lessons
from speakerd.errors import SpeakerdError
from speakerd.events import Samples

SILENCE = np.zeros(FRAME, np.float32)


def measure(config: Path | None, seconds: int, commands: int) -> Iterator[dict[str, Any]]:
    """Yields ``{"what", "value", "unit"}`` one after the other; takes a little over twice ``seconds``.

    Raises:
        SpeakerdError: the daemon did not start.
    """
    with tempfile.TemporaryDirectory(prefix="speakerd-bench-") as folder, daemon(Path(folder), config) as running:
        yield _item("start: from the process to listening", running.start_seconds, "s")
        taught = list(different(commands))
        took = [teach(running.control, f"command {i}", clips) for i, clips in enumerate(taught)]
        yield _item("live: from the last example to recognising it (median)", float(np.median(took)), "s")
        quiet = running.cpu_while(lambda: running.feed(SILENCE for _ in range(seconds * 50)))
        yield _item(f"silence, {commands} commands: CPU per second of audio", quiet / seconds, "s/s")
        talk = islice(cycle(frames_of(read_audio(STREAM))), seconds * 50)
        loud = running.cpu_while(lambda: running.feed(talk))
        yield _item(f"speech, {commands} commands: CPU per second of audio", loud / seconds, "s/s")
        running.feed(repeat(SILENCE, 100))  # what was being said ends here
        yield _item("resident memory", running.resident() / 2**20, "MB")
        tried = [running.latency(clip) for clips in taught[: len(lessons())] for clip in clips[:2]]
        heard = [value for value in tried if value is not None]
        if not heard:
            raise SpeakerdError(
                "the daemon recognised none of its own examples; try `speakerd demo` and `speakerd why`"
            )
        words = f"detection: from the end of the command, {len(heard)} of {len(tried)} heard"
        yield _item(f"{words} (median)", float(np.median(heard)), "s")


def _item(what: str, value: float, unit: str) -> dict[str, Any]:
    return {"what": what, "value": float(f"{value:.3g}"), "unit": unit}


def different(count: int) -> Iterator[list[Samples]]:
    """Clips of so many commands, first the bundled ones. The others are those turned round, and slower or faster, so
    that each sounds like itself only: between two that are alike the daemon cannot call."""
    bundled = [[read_audio(clip) for clip in clips] for clips in lessons().values()]
    for i, clips in enumerate(islice(cycle(bundled), count)):
        turn = i // len(bundled)
        rate = SAMPLE_RATE * (0.8 + 0.05 * (turn % 10))
        yield [soxr.resample(clip[::-1], rate, SAMPLE_RATE) for clip in clips] if turn else clips


def teach(control: Path, name: str, clips: list[Samples]) -> float:
    recordings = [Recording(f"{i}.wav", clip.astype("<f4").tobytes()) for i, clip in enumerate(clips)]
    began = time.monotonic()
    list(ask(control, Enroll(name, recordings)))
    return time.monotonic() - began


class Running:
    """A daemon in a process of its own, that is told what it hears."""

    def __init__(self, process: "subprocess.Popen[bytes]", control: Path, start_seconds: float) -> None:
        self._process, self.control, self.start_seconds = process, control, start_seconds

    def feed(self, frames: Iterator[Samples]) -> None:
        """In real time: each block when its last sample would have been captured."""
        began, fed = time.monotonic(), 0
        while block := list(islice(frames, round(BLOCK * 50))):
            fed += len(block)
            time.sleep(max(0.0, began + 0.02 * fed - time.monotonic()))
            self.pour(np.concatenate(block))

    def pour(self, samples: Samples) -> None:
        """As fast as it takes them."""
        assert self._process.stdin is not None
        self._process.stdin.write((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        self._process.stdin.flush()

    def cpu_while(self, work: Callable[[], None]) -> float:
        before = self._cpu()
        work()
        return self._cpu() - before

    def latency(self, command: Samples) -> float | None:
        """Seconds from the end of the speech in ``command`` to the detection's arrival; None if it was not heard."""
        utterance = find_utterance(command)
        assert utterance is not None
        heard: list[float] = []
        watching = threading.Thread(target=self._watch, args=(heard,), daemon=True)
        watching.start()
        time.sleep(0.2)
        self.feed(frames_of(np.concatenate([np.zeros(8000, np.float32), command[: round(utterance.end_time * 16000)]])))
        ended = time.monotonic()
        self.feed(takewhile(lambda _: not heard, repeat(SILENCE, 75)))
        return heard[0] - ended if heard else None

    def _watch(self, heard: list[float]) -> None:
        with suppress(SpeakerdError):  # where nothing is heard, the daemon ends first
            for _ in ask(self.control, Watch()):
                heard.append(time.monotonic())
                return

    def resident(self) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def _cpu(self) -> float:
        return time.clock_gettime(~self._process.pid << 3 | 2)  # what clock_getcpuclockid(3) gives, to the nanosecond


@contextmanager
def daemon(folder: Path, config: Path | None) -> Iterator[Running]:
    """A daemon of its own, told when it listens the way systemd is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(folder / "ready"))
        ready.settimeout(60)
        command = [sys.executable, "-m", "speakerd", "run", "--input", "-", "--state", str(folder / "state")]
        began = time.monotonic()
        process = subprocess.Popen(
            command + (["--config", str(config)] if config else []), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"NOTIFY_SOCKET": str(folder / "ready")},
        )  # fmt: skip
        try:
            while b"READY=1" not in ready.recv(1000):
                pass
            yield Running(process, socket_of(folder / "state"), time.monotonic() - began)
        except TimeoutError as error:
            raise SpeakerdError("the daemon did not start; try `speakerd run` and read what it says") from error
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
