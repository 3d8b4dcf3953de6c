"""The guided lesson as somebody at a terminal sees it."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.segmenter import find_utterance
from speakerd.control.messages import Enroll, Known, Recording
from tests.running import LAMP, NIGHT, PATIENCE, SPEAKERD, Speaker, clip, lines, speaker, speakerd

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    with speaker(tmp_path_factory.mktemp("house")) as running:
        yield running


class Terminal:
    """A terminal with a command in it."""

    def __init__(self, *arguments: object) -> None:
        self._end, other = pty.openpty()
        call, env = [str(SPEAKERD), *map(str, arguments)], os.environ | {"TERM": "xterm"}
        self.process = subprocess.Popen(call, env=env, stdout=other, stderr=other)
        os.close(other)
        self.shown = ""

    def until(self, words: str, after: int = 0) -> int:
        """Read until ``words`` are in the text after place ``after``; the place behind them."""
        self._until(lambda: words in self.text()[after:])
        return self.text().index(words, after) + len(words)

    def end(self) -> int:
        """Read to the end; the exit status."""
        self._until(lambda: False)
        return self.process.wait(PATIENCE)

    def _until(self, true: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not true():
            assert select.select([self._end], [], [], max(0, until - time.monotonic()))[0], self.shown[-500:]
            try:
                self.shown += os.read(self._end, 65536).decode()
            except OSError:  # nobody is at the other end
                return

    def text(self) -> str:
        """What was shown, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)


def test_it_says_what_to_do_and_what_was_heard(house: Speaker) -> None:
    terminal = Terminal("enroll", "[bold]lamp[/bold] :bulb:", "--takes", "2", "--state", house.state)
    at = 0
    for take in (1, 2):
        at = terminal.until(f"({take} of 2)", at)
        terminal.until("dB", at)  # the level meter
        house.say(clip(LAMP, take))
        at = terminal.until("heard", at)
    assert terminal.end() == 0
    assert terminal.text().count("Say “[bold]lamp[/bold] :bulb:”") == 2, "the name as it is"
    assert "speech" in terminal.text(), "the meter shows that it is taken for speech"
    assert "learned, 2 examples" in terminal.text()
    assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex(HIDE_CURSOR)


def test_a_take_that_is_refused(house: Speaker) -> None:
    terminal = Terminal("enroll", "x", "--takes", "1", "--state", house.state)
    at = terminal.until("(1 of 1)")
    house.say(clip(LAMP)[8000:9600])  # the beginning of a word
    at = terminal.until("not taken: too short", at)
    terminal.until("(1 of 1)", at)
    house.say(clip(LAMP))
    assert terminal.end() == 0


@pytest.mark.parametrize("how", ["reload", "control-c"])
def test_a_lesson_that_is_broken_off_leaves_the_terminal_as_it_was(house: Speaker, how: str) -> None:
    before = house.ask(Known())
    terminal = Terminal("enroll", "y", "--state", house.state)
    terminal.until("dB", terminal.until("(1 of 3)"))
    if how == "reload":
        house.reload()
    else:
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 1
    assert ("Nothing was learned" if how == "reload" else "Aborted") in terminal.text()
    assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex(HIDE_CURSOR)
    assert house.ask(Known()) == before


def test_with_json_the_guidance_stays_off_stdout(house: Speaker) -> None:
    call = [str(SPEAKERD), "enroll", "z", "--takes", "1", "--json", "--state", str(house.state)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lesson:
        assert lesson.stderr is not None
        assert "Say “z”  (1 of 1)" in lesson.stderr.readline()
        house.say(clip(LAMP))
        told, _ = lesson.communicate(timeout=PATIENCE)
    assert lesson.returncode == 0
    example, command = lines(subprocess.CompletedProcess(call, 0, told, ""))
    assert (example["example"], example["accepted"]) == ("microphone", True)
    assert (command["command"], command["examples"]) == ("z", 1)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_names_that_the_terminal_has_no_letters_for(tmp_path: Path, encoding: str) -> None:
    recording = Path(__file__).parents[2] / "speakerd/demo/teach-1a.opus"
    for arguments in (["enroll", "你好 💡", recording], ["commands"], ["history"], ["score", recording]):
        done = speakerd(*arguments, "--state", tmp_path, env={"PYTHONIOENCODING": encoding})
        assert done.returncode == 0, done.stderr
        assert ("你好" if encoding == "utf-8" else "\\u4f60\\u597d") in done.stdout
        if arguments[0] != "history":
            json = lines(speakerd(*arguments, "--json", "--state", tmp_path, env={"PYTHONIOENCODING": encoding}))
            assert json[-1]["command"] == "你好 💡"


def test_listening_shows_the_level_and_what_is_heard(house: Speaker) -> None:
    clips = [Recording(f"{i}.wav", clip(NIGHT, i).astype("<f4").tobytes()) for i in range(3)]
    house.ask(Enroll("[b]night[/b]", clips))
    terminal = Terminal("listen", "--state", house.state)
    terminal.until(" dB ")
    house.say(clip(NIGHT))
    at = terminal.until("[b]night[/b]  ")
    terminal.until("(threshold ", at)
    word = find_utterance(clip(LAMP))
    assert word is not None
    # Without a pause, in which the daemon would let sound gather: three seconds of it here, of which the meter shows
    # every fifth of one.
    house.say(np.tile(word.samples[word.begin : word.end], 60 * 16000 // (word.end - word.begin)))
    terminal.until(" dB speech")
    terminal.process.send_signal(signal.SIGINT)
    terminal.end()
    assert terminal.shown.rindex(SHOW_CURSOR) > terminal.shown.rindex(HIDE_CURSOR)
