"""The loop that never ends: takes frames from a source, hands detections on, lets others listen in."""

import logging
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from speakerd.audio.sources import Source
from speakerd.events import Detection, Samples, Waiting
from speakerd.listening.spotter import Spotter

log = logging.getLogger(__name__)

TAP_FRAMES = 500  # ten seconds: a listener-in that is slower loses frames, the loop never waits for it
# Seconds that sound may gather while nobody speaks: a command is longer, and what has gathered is caught up with at
# once. And in the middle of talk, where a decision waits not quite as long for the end of the word.
QUIET, TALK = 0.45, 0.25


class Loop:
    """One source, one spotter, any number of taps."""

    def __init__(self, source: Source, spotter: Spotter) -> None:
        self._source, self._spotter = source, spotter
        self._taps: list[queue.SimpleQueue[Samples | Waiting | None]] = []
        self._deaf = False  # what is being said belongs to a lesson, also after the lesson has had enough of it
        self._over = False
        self.frames = 0
        self.waiting: str | None = None  # why there is no sound at the moment

    @property
    def level(self) -> float:
        return self._spotter.segmenter.level

    @property
    def speech(self) -> bool:
        return self._spotter.segmenter.open

    @property
    def talk(self) -> bool:
        """Whether somebody speaks, and not to teach."""
        return self.speech and not self._deaf

    def run(self, detected: Callable[[Detection], None], progress: Callable[[], None] = lambda: None) -> None:
        """Listen until the source ends. ``progress`` is called for every frame, and while the source waits."""
        try:
            for frame in self._source:
                progress()
                self._deaf = self._deaf or bool(self._taps)
                self._lend(frame)
                if isinstance(frame, Waiting):
                    if self.waiting is None:
                        self._spotter.reset()
                    self.waiting = frame.reason
                    self._source.be_patient(0.0)
                    continue
                self.frames += 1
                self.waiting = None
                for detection in self._spotter.push(frame):
                    if not self._deaf:  # nobody's lesson fires a command
                        detected(detection)
                self._deaf = self._deaf and self._spotter.segmenter.open
                self._source.be_patient(self._patience())
            for detection in self._spotter.flush():
                if not self._deaf:
                    detected(detection)
        finally:
            self._over = True
            for tap in self._taps:
                tap.put(None)

    def _patience(self) -> float:
        if self._taps or self._spotter.hurried:
            return 0.0
        return TALK if self.speech else QUIET

    def _lend(self, frame: Samples | Waiting) -> None:
        for tap in self._taps:
            if tap.qsize() < TAP_FRAMES:
                tap.put(frame)
            else:
                log.warning("somebody who listens in is too slow and loses sound")

    @contextmanager
    def tap(self) -> Iterator[Iterator[Samples | Waiting]]:
        """Listen in on the frames from now on, until the loop ends; no command fires meanwhile."""
        heard: queue.SimpleQueue[Samples | Waiting | None] = queue.SimpleQueue()
        self._taps = [*self._taps, heard]
        if self._over:
            heard.put(None)
        try:
            yield _until_none(heard)
        finally:
            self._taps = [tap for tap in self._taps if tap is not heard]


def _until_none(heard: "queue.SimpleQueue[Samples | Waiting | None]") -> Iterator[Samples | Waiting]:
    while (frame := heard.get()) is not None:
        yield frame
