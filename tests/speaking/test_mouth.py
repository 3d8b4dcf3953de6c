"""The mouth on real devices: what it says is recorded from the sink that it plays to."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.events import Samples
from speakerd.speaking.tones import HEARD, LENGTH, READY
from tests.needs import need
from tests.running import eventually
from tests.system.pulse import Pulse


@contextlib.contextmanager
def recorded(pulse: Pulse, path: Path) -> Iterator[None]:
    """What is played meanwhile on the loudspeaker, to ``path``."""
    command = ["parec", "--device=loudspeaker.monitor", "--rate=16000", "--channels=1", "--format=float32le"]
    with path.open("wb") as file:
        recording = subprocess.Popen([*command, "--latency-msec=50"], env=pulse.env, stdout=file)
        try:
            eventually(lambda: path.stat().st_size > 0)
            yield
            time.sleep(0.5)  # what lies in its buffers
        finally:
            recording.terminate()
            recording.wait()


def speak(env: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with a mouth in a process of its own, since PortAudio looks at the environment once."""
    program = f"""
import logging, threading, time
logging.basicConfig(level=logging.WARNING, format="%(message)s")
from speakerd.config.settings import Speaking
from speakerd.speaking.mouth import Mouth
{code}
"""
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)


def loudness_at(sound: Samples, frequency: float) -> float:
    """The amplitude of a frequency in the piece of a tone's length that has most of it."""
    step = round(LENGTH * SAMPLE_RATE)
    carrier = np.exp(-2j * np.pi * frequency * np.arange(len(sound)) / SAMPLE_RATE)
    sums = np.cumsum(np.concatenate([[0], sound * carrier]))
    if len(sound) <= step:
        return 0.0
    return float(2 * np.abs(sums[step:] - sums[:-step]).max() / step)


def test_a_phrase_is_spoken_and_then_the_tone(pulse: Pulse, tmp_path: Path) -> None:
    need("espeak-ng")
    with recorded(pulse, tmp_path / "played"):
        done = speak(pulse.env, 'print(Mouth(Speaking(volume=0.5)).say("ask_command", ready=True))')
    assert done.stdout == "Say the new command after the tone.\n"
    sound = np.fromfile(tmp_path / "played", np.float32)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert 1.5 < (loud[-1] - loud[0]) / SAMPLE_RATE < 6
    assert loudness_at(sound[loud[-1] - SAMPLE_RATE // 5 :], READY[0]) > 0.1


def test_without_a_synthesiser_there_are_tones_and_the_log_says_so(pulse: Pulse, tmp_path: Path) -> None:
    with recorded(pulse, tmp_path / "played"):
        done = speak(pulse.env | {"PATH": str(tmp_path)}, 'Mouth(Speaking()).say("ask_command")')
    assert "tones instead of speech: espeak-ng is not installed" in done.stderr
    loud = np.flatnonzero(np.abs(np.fromfile(tmp_path / "played", np.float32)) > 0.01)
    assert 0.1 < (loud[-1] - loud[0]) / SAMPLE_RATE < 0.6


def test_the_tone_for_a_detection_holds_nobody_up(pulse: Pulse, tmp_path: Path) -> None:
    code = """
mouth = Mouth(Speaking(volume=1))
began = time.monotonic()
mouth.beep()
mouth.beep()  # while the first is played: none
print(time.monotonic() - began < 0.1, bool(mouth.deafness))
while mouth.deafness or time.monotonic() < began + 0.5:
    time.sleep(0.01)
"""
    with recorded(pulse, tmp_path / "played"):
        done = speak(pulse.env, code)
    assert done.stdout.split()[0] == "True", done.stderr
    sound = np.fromfile(tmp_path / "played", np.float32)
    assert loudness_at(sound, HEARD[0]) > 0.2
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert (loud[-1] - loud[0]) / SAMPLE_RATE < 0.3


def test_it_can_be_hushed_and_is_deaf_until_the_echo_is_over(pulse: Pulse) -> None:
    code = """
mouth = Mouth(Speaking())
threading.Timer(1, mouth.hush).start()
began = time.monotonic()
threading.Timer(0.5, lambda: print("deaf", bool(mouth.deafness))).start()
mouth.say("close", name="the kitchen lamp and the cellar lamp and the garden lamp and all the others")
print("after", time.monotonic() - began < 4, bool(mouth.deafness))
"""
    assert speak(pulse.env, code).stdout.splitlines() == ["deaf True", "after True False"]


@pytest.mark.parametrize("device", ["'garage'", "null_device"])
def test_without_a_loudspeaker_it_goes_on_in_silence(pulse: Pulse, device: str) -> None:
    if device == "null_device":
        pulse.stop()
        device = "None"
    done = speak(pulse.env, f'mouth = Mouth(Speaking(device={device})); mouth.say("again"); print(mouth.say("again"))')
    assert done.stdout == "Again.\n"
    assert len([line for line in done.stderr.splitlines() if line.startswith("no loudspeaker: ")]) == 1
