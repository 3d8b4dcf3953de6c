"""Streams of microphones that hear and of some that do not."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.condition import QUIET_AFTER, Condition, Fault, Watched
from speakerd.audio.segmenter import frames_of
from speakerd.audio.sources import FileSource
from speakerd.control.messages import Status
from speakerd.events import Samples
from tests.recordings import room, speech
from tests.running import eventually, lines, speaker, speakerd


def judged(*pieces: Samples) -> list[Fault | None]:
    """The fault after each piece of a stream."""
    condition, found = Condition(), list[Fault | None]()
    for piece in pieces:
        for frame in frames_of(piece):
            condition.look(frame)
        found.append(condition.fault)
    return found


def long(samples: Samples, seconds: float) -> Samples:
    return np.resize(samples, round(seconds * 16000))


def test_digital_silence_is_known_within_seconds_and_its_end_at_once() -> None:
    silence = np.zeros(16000 * 11, np.float32)
    assert judged(speech(5), silence, silence + np.float32(0.1), room(0.2)) == [None, Fault.SILENT, Fault.SILENT, None]
    assert judged(np.zeros(16000 * 9, np.float32)) == [None]


def test_a_microphone_in_which_nothing_is_ever_loud_is_as_good_as_dead(caplog: pytest.LogCaptureFixture) -> None:
    heard = long(speech(10), QUIET_AFTER + 10)
    turned_down = np.round(heard * 10 ** (-60 / 20) * 32767).astype(np.float32) / 32767 + room(
        len(heard) / 16000, level=-90
    )
    assert judged(heard, turned_down) == [None, None], "that is a night"
    with caplog.at_level(logging.INFO):
        assert judged(turned_down, turned_down, speech(5)) == [Fault.QUIET, Fault.QUIET, None]
    assert caplog.messages == [
        f"the microphone is of no use, {Fault.QUIET.words}; {Fault.QUIET.remedy}",
        "the microphone hears again",
    ]


def test_clipping_all_the_time_is_not_a_shout() -> None:
    overdriven = np.clip(long(speech(10), 30) * 1000, -1, 1)
    shout = np.clip(speech(2) * 20, -1, 1)
    assert judged(overdriven, speech(10), speech(10)) == [Fault.OVERDRIVEN, None, None]
    assert judged(room(5), shout, room(5), shout) == [None] * 4


def test_sound_passes_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.wav", speech(3), 16000)
    source = FileSource(tmp_path / "speech.wav")
    assert all(np.array_equal(a, b) for a, b in zip(Watched(source, Condition()), source, strict=True))


def test_a_daemon_on_a_dead_microphone_says_so(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        running.say(np.zeros(16000 * 1800, np.float32))  # for longer than the test takes
        eventually(lambda: running.ask(Status())[0]["microphone"] == Fault.SILENT.words)
        told = {item["what"]: item for item in lines(speakerd("doctor", "--state", running.state, "--json"))}
        assert (told["hearing"]["good"], told["hearing"]["remedy"]) == (False, Fault.SILENT.remedy)
        assert running.log().count("the microphone is of no use, digital silence") == 1
