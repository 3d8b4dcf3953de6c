"""Rooms in which nobody says anything: for minutes there is no false accept, whatever the microphone makes of them."""

from collections.abc import Callable

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.config import Config
from speakerd.events import Samples
from speakerd.house import Mind
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import Knowledge
from tests.listening.test_spotter import accepted
from tests.recordings import noises, room, speech

SECONDS = 120
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def hum() -> Samples:
    """The mains, with its overtones, 20 dB above the room."""
    tones = sum(np.sin(2 * np.pi * 50 * k * TIME) / k for k in range(1, 20))
    return np.asarray(0.01 * tones + room(SECONDS), np.float32)


def fan() -> Samples:
    """Wind with blades in it that pass twelve times a second, switched on and off."""
    wind = np.cumsum(room(SECONDS, seed=3, level=-50))
    wind -= np.convolve(wind, np.full(1600, 1 / 1600), "same")
    blades = 1 + 0.3 * np.sin(2 * np.pi * 12 * TIME)
    return np.asarray(wind * blades * (TIME % 40 < 30) + room(SECONDS), np.float32)


def music() -> Samples:
    """Three voices of plucked notes, four a second, and a drum."""
    draw = np.random.default_rng(5)
    notes = 220 * 2 ** (draw.choice([0, 2, 4, 5, 7, 9, 11, 12], (3, SECONDS * 4)) / 12)
    sound = draw.normal(size=len(TIME)) * np.exp(-40 * (TIME % 0.5)) * 0.1
    for voice, octave in zip(notes, (0.5, 1, 2), strict=True):
        pitch = np.repeat(voice * octave, SAMPLE_RATE // 4)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        sound += (np.sin(phase) + np.sin(2 * phase) / 2 + np.sin(3 * phase) / 3) * np.exp(-6 * (TIME % 0.25)) * 0.15
    return np.asarray(sound, np.float32)


def unplugged() -> Samples:
    """A plug that lies there: hardly anything, and now and then a crack."""
    sound = room(SECONDS, level=-90)
    sound[:: 3 * SAMPLE_RATE] = 0.5
    return sound


def clipped() -> Samples:
    """Noise that fills the whole range, and is cut off at its ends."""
    return np.clip(room(SECONDS, level=3), -1, 1)


ROOMS = {
    "digital zero": lambda: np.zeros(SECONDS * SAMPLE_RATE, np.float32),
    "constant offset": lambda: room(SECONDS) + np.float32(0.4),
    "silence": lambda: room(SECONDS),
    "hum": hum,
    "fan": fan,
    "music": music,
    "unplugged": unplugged,
    "clipped": clipped,
}


@pytest.fixture
def spotter(mind: Mind, taught: Knowledge) -> Spotter:
    return Spotter(mind.encoder, mind.world, Config().gate, taught)


@pytest.mark.parametrize("sound", ROOMS.values(), ids=ROOMS)
def test_no_false_accept_where_nobody_speaks(spotter: Spotter, sound: Callable[[], Samples]) -> None:
    assert accepted(spotter, sound()) == []


def test_no_false_accept_in_recorded_rooms(spotter: Spotter) -> None:
    assert [one.command for noise in noises() for one in accepted(spotter, noise)] == []


def test_no_false_accept_where_speech_hardly_reaches_the_microphone(spotter: Spotter) -> None:
    assert accepted(spotter, speech(30) * np.float32(10 ** (-50 / 20)) + room(30, level=-80)[: len(speech(30))]) == []
