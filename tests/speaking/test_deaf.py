from collections.abc import Iterator

import numpy as np

from speakerd.events import Samples, Waiting
from speakerd.speaking.deaf import Deafened, Deafness


class Room:
    """Gives frames until it is closed."""

    closed = False

    def __iter__(self) -> Iterator[Samples]:
        while not self.closed:
            yield np.ones(320, np.float32)

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
