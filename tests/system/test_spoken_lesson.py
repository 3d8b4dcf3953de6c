"""Teaching by voice from the first start on, through real audio devices: the speaker plays to one sink and listens to
the monitor of another, on which a person's recordings are played whenever the tone has asked for them. What the speaker
plays is heard by its own microphone too, as in a room."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.features import SAMPLE_RATE
from speakerd.control.messages import Known, Lesson, Status
from speakerd.control.socket import answers, ask, socket_of
from speakerd.events import LEARN, STOP
from speakerd.speaking.tones import LENGTH, READY
from tests.needs import need
from tests.recordings import by_one_person
from tests.running import SPEAKERD, Conversation, eventually
from tests.system.pulse import Pulse
from tests.test_daemon import settings

# What the person says to what the speaker asks; to everything else, the same as before.
WORDS = {"tell me to learn": "signal", "make me stop": "print", "the new command": "speaker"}
LESSON = 60.0  # seconds that one may take, from the trigger to "I have learned it"
STEP = round(LENGTH / 6 * SAMPLE_RATE)  # samples that are looked at in search of the tone


class Person:
    """Waits for the tone, and answers. ``said`` is what the speaker has said so far, by its log."""

    def __init__(self, pulse: Pulse, folder: Path, log: Path) -> None:
        self._pulse, self._log = pulse, log
        self._clips = {word: cycle(self._files(folder, word)) for word in WORDS.values()}
        self.answers = 0
        command = ["parec", "--device=loudspeaker.monitor", f"--rate={SAMPLE_RATE}", "--channels=1"]
        self._ear = subprocess.Popen(
            [*command, "--format=float32le", "--latency-msec=50"], env=pulse.env, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _files(self, folder: Path, word: str) -> list[Path]:
        files = [folder / f"{word}-{i}.wav" for i in range(8)]
        for file, clip in zip(files, by_one_person(word, 8), strict=True):
            soundfile.write(file, np.pad(clip, 4000), SAMPLE_RATE)
        return files

    @property
    def said(self) -> list[str]:
        return [line.split("says: ")[1] for line in self._log.read_text().splitlines() if "says: " in line]

    def say(self, word: str) -> None:
        self._pulse.play(next(self._clips[word]))

    def until(self, word: str, true: Callable[[], bool]) -> float:
        """Say a word until it has done what it should, some times at the most; when it was said last."""
        for _ in range(6):
            time.sleep(1)  # a pause between two
            said = time.monotonic()
            self.say(word)
            while time.monotonic() < said + 5:
                if true():
                    return said
                time.sleep(0.05)
        raise AssertionError(f"{word} is not heard: {self._log.read_text()}")

    def leave(self) -> None:
        self._ear.kill()
        self._ear.wait()

    def _listen(self) -> None:
        assert self._ear.stdout is not None
        carrier = np.exp(-2j * np.pi * READY[0] * np.arange(STEP) / SAMPLE_RATE)
        tone = 0
        while len(block := self._ear.stdout.read(4 * STEP)) == 4 * STEP:
            sound = np.frombuffer(block, np.float32)
            amplitude, power = 2 * abs(np.mean(sound * carrier)), float(np.mean(np.square(sound)))
            pure = amplitude > 0.02 and amplitude**2 / 2 > 0.8 * power
            if tone >= 3 and not pure:
                threading.Thread(target=self._answer, daemon=True).start()
            tone = tone + 1 if pure else 0

    def _answer(self) -> None:
        time.sleep(0.5)
        self.answers += 1
        asked = [word for text in self.said for asking, word in WORDS.items() if asking in text]
        self.say(asked[-1])


@contextmanager
def running(pulse: Pulse, folder: Path, config: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with (folder / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [SPEAKERD, "run", "--state", folder / "state", "--config", config], env=pulse.env, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], person: Person, control: Path, log: Path) -> float:
    """Wait for it; a lesson that was ended because a busy machine lost the tone, or the answer, is begun again, as by
    `speakerd lesson`. When the last one began."""
    end = time.monotonic() + 4 * LESSON
    begun, said = 0.0, len(person.said)
    while not true():
        assert time.monotonic() < end, log.read_text()
        if any("Nothing was learned" in text for text in person.said[said:]):
            begun, said = time.monotonic(), len(person.said)
            Conversation(control, Lesson())
        time.sleep(0.1)
    return begun


@pytest.fixture
def echo(pulse: Pulse) -> None:
    """The microphone hears the loudspeaker, 10 ms later."""
    command = ["pactl", "load-module", "module-loopback", "source=loudspeaker.monitor", "sink=speaker"]
    subprocess.run([*command, "latency_msec=50"], env=pulse.env, check=True, stdout=subprocess.DEVNULL)


def test_from_the_first_start_to_a_command_that_does_something(pulse: Pulse, echo: None, tmp_path: Path) -> None:
    need("espeak-ng")
    done, log, control = tmp_path / "done", tmp_path / "daemon.log", socket_of(tmp_path / "state")
    config = settings(
        tmp_path / "speakerd.yaml",
        speaking={"enabled": True},
        outputs={"actions": {"light": {"shell": ["touch", str(done)]}}},
    )

    def known() -> dict[str, str | None]:
        return {command["name"]: command["action"] for command in next(ask(control, Known()))["commands"]}

    log.touch()
    person = Person(pulse, tmp_path, log)
    with running(pulse, tmp_path, config) as process:
        first = {"learn something new": LEARN, "stop": STOP}
        until(lambda: "I have learned it: stop" in "".join(person.said[-1:]), person, control, log)
        assert known() == first, log.read_text()

        begun = person.until("signal", lambda: "Say the new command after the tone." in person.said)
        begun = max(begun, until(lambda: "I have learned it: command 1" in person.said[-1], person, control, log))
        lasted = time.monotonic() - begun
        assert known() == first | {"command 1": "light"}
        assert lasted < LESSON, log.read_text()

        person.until("speaker", done.exists)

        # A power cut in the middle of the next lesson.
        said = len(person.said)
        person.until("signal", lambda: any("the new command" in text for text in person.said[said:]))
        until(lambda: person.said[-1].startswith("Again"), person, control, log)
        process.kill()
        process.wait()
        person.leave()

    with running(pulse, tmp_path, config):
        said = len(person.said)
        eventually(lambda: answers(control) and next(ask(control, Status()))["heard_seconds"] > 1)
        assert known() == first | {"command 1": "light"}
        assert len(person.said) == said, "nothing is asked for again"
