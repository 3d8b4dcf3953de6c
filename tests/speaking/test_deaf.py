import itertools
import time
from collections.abc import Iterator

import numpy as np
import pytest

from speakerd.events import Samples, Waiting
from speakerd.speaking.deaf import Deafened, Deafness


class Room:
    """Gives frames, numbered from 0, until it is closed; from ``behind`` on each is waited for."""

    closed = False

    def __init__(self, behind: int = 0) -> None:
        self._behind = behind

    def __iter__(self) -> Iterator[Samples]:
        for number in itertools.count():
            if self.closed:
                return
            if number >= self._behind:
                time.sleep(0.02)
            yield np.full(320, number, np.float32)

    def be_patient(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_nothing_is_heard_while_anything_is_played() -> None:
    room, deafness = Room(), Deafness()
    source = Deafened(room, deafness)
    frames = iter(source)
    assert not isinstance(next(frames), Waiting)
    with deafness.while_playing():
        with deafness.while_playing():
            assert next(frames) == Waiting("speakerd is speaking")
        assert next(frames) == Waiting("speakerd is speaking")
    assert not isinstance(next(frames), Waiting)
    source.close()
    assert list(frames) == []


def test_what_was_captured_meanwhile_and_is_read_later_is_not_heard() -> None:
    deafness = Deafness()
    frames = iter(Deafened(Room(behind=40), deafness))
    with deafness.while_playing():
        next(frames)
    assert all(isinstance(next(frames), Waiting) for _ in range(39))
    heard = next(frames)
    assert not isinstance(heard, Waiting)
    assert heard[0] == 40


def test_a_source_that_is_never_waited_for_is_heard_again_after_two_seconds() -> None:
    deafness = Deafness()
    frames = iter(Deafened(Room(behind=10**6), deafness))
    with deafness.while_playing():
        next(frames)
    sounds = (frame for frame in frames if not isinstance(frame, Waiting))
    assert next(sounds)[0] == pytest.approx(100, abs=1)
