"""Windows of running speech: runs of trunk frames that end now, as long as the commands are.

The trunk is advanced once, whatever the number of commands and of lengths; it begins with the gate's pre-roll, as it
does when a command is taught. What lies between two pauses is a window of its own, cut as examples are, so that a word
by itself is heard like an example of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME, Segmenter
from speakerd.config.settings import Gate
from speakerd.events import Samples
from speakerd.recognition.encoder import Array, Encoder
from speakerd.recognition.lengths import lengths

BLOCK = 16  # gate frames that the trunk is advanced by, 320 ms: four hops, since each call has its price
SOON = 4  # the same, where an answer is waited for
ENDED = 8  # frames without speech, after which all is there that an example has of what follows it
SURE = 5  # frames without speech, after which what was said is probably over, and every hop is looked at


class Window(NamedTuple):
    """A run of trunk frames: ``start`` and ``end`` of the sound in it, seconds; ``length`` is its place among the
    lengths (recognition/lengths.py), or that of the nearest."""

    start: float
    end: float
    length: int
    run: slice


Hop = list[Window]  # that end together; every 80 ms there is one


class Hops(NamedTuple):
    """Windows of some hops that follow one another, and the trunk frames (frames, width) that they are runs of."""

    frames: Array
    hops: list[Hop]


NOTHING = Hops(np.zeros((0, 0), np.float32), [])


class Ear:
    """The gate and what is behind it: frames in, windows out while somebody speaks."""

    def __init__(self, encoder: Encoder, gate: Gate) -> None:
        self._encoder = encoder
        self.segmenter = Segmenter(gate)
        self.frames = 0  # of the stream
        self._opening: _Opening | None = None

    def push(self, frame: Samples, wanted: Sequence[int], soon: bool = False) -> Hops:
        """Take the next frame; of each hop that it completes, the windows of the ``wanted`` lengths (their places) that
        end there. They come a few hops at a time, or each as ``soon`` as it is complete."""
        self.segmenter.push(frame)
        self.frames += 1
        if not self.segmenter.open:
            return self._closed(wanted)
        if self._opening is None:
            heard = self.segmenter.heard
            self._opening = _Opening(self._encoder, heard, self.frames - len(heard))
            return NOTHING
        pause = self.segmenter.pause
        if pause >= ENDED and self._opening.whole != self.segmenter.spoken:
            return self._opening.ended(frame, wanted, self.segmenter.spoken)
        return self._opening.push(frame, wanted, SOON if soon or SURE <= pause <= 2 * SURE else BLOCK)

    @property
    def over(self) -> bool:
        """Whether what was said last has probably ended; it has, where the gate is closed."""
        return not self.segmenter.open or self.segmenter.pause >= SURE

    def flush(self, wanted: Sequence[int]) -> Hops:
        """The stream is over."""
        self.segmenter.flush()
        return self._closed(wanted)

    def reset(self) -> None:
        """The stream was interrupted."""
        self.segmenter.reset()
        self._opening = None

    def _closed(self, wanted: Sequence[int]) -> Hops:
        opening, self._opening = self._opening, None
        return opening.rest(wanted) if opening is not None else NOTHING


class _Opening:
    """Windows of one opening of the gate. ``heard``: its frames so far, ``at``: the frame of the stream that they begin
    with."""

    def __init__(self, encoder: Encoder, heard: Sequence[Samples], at: int) -> None:
        self._encoder = encoder
        self._lengths = lengths(encoder)
        self._stream = encoder.stream()
        self._waiting = list(heard)
        self._at = at * FRAME
        self._done = 0  # trunk frames
        self.whole = (0, 0)  # what was spoken and has ended, in samples from its beginning
        self._kept: Array = np.zeros((0, 0), np.float32)

    def push(self, frame: Samples, wanted: Sequence[int], block: int) -> Hops:
        self._waiting.append(frame)
        return self.rest(wanted) if len(self._waiting) >= block else NOTHING

    def ended(self, frame: Samples, wanted: Sequence[int], spoken: tuple[int, int]) -> Hops:
        """Take the next frame; with the last hop, or if there is none by itself, comes what was spoken as a whole."""
        self._waiting.append(frame)
        self.whole = spoken
        hops = self.rest(wanted).hops
        run, first = self._encoder.run_of(*spoken), self._done - len(self._kept)
        place = int(np.abs(np.array(self._lengths) - (run.stop - run.start)).argmin())
        if run.start >= first and run.stop <= self._done and place in wanted:
            within = slice(run.start - first, run.stop - first)
            whole = Window(self._time(run.start + 1), self._time(run.stop), place, within)
            hops = [*hops[:-1], [*hops[-1], whole]] if hops else [[whole]]
        return Hops(self._kept, hops)

    def rest(self, wanted: Sequence[int]) -> Hops:
        """All that is waiting, where that cannot wait."""
        if not self._waiting:
            return NOTHING
        fresh = self._stream.push(np.concatenate(self._waiting))
        self._waiting = []
        if not len(fresh):
            return NOTHING
        self._kept = np.concatenate([self._kept.reshape(-1, fresh.shape[1]), fresh])[-self._lengths[-1] :]
        self._done += len(fresh)
        return Hops(self._kept, [self._ending(back, wanted) for back in range(len(fresh) - 1, -1, -1)])

    def _ending(self, back: int, wanted: Sequence[int]) -> Hop:
        """Windows whose last trunk frame is so many before the newest."""
        last = len(self._kept) - back
        return [
            Window(self._time(self._done - back - frames + 1), self._time(self._done - back), place,
                   slice(last - frames, last))
            for place in wanted if (frames := self._lengths[place]) <= last
        ]  # fmt: skip

    def _time(self, frames: int) -> float:
        return (self._at + self._encoder.reach(frames)) / SAMPLE_RATE
