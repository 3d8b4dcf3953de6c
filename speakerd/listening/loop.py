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


class Loop:
    """One source, one spotter, any number of taps."""

    def __init__(self, source: Source, spotter: Spotter) -> None:
        self._source, self._spotter = source, spotter
        self._taps: list[queue.Queue[Samples | Waiting]] = []
        self.frames = 0
        self.waiting: str | None = None  # why there is no sound at the moment

    @property
    def level(self) -> float:
        return self._spotter.segmenter.level

    def run(self, detected: Callable[[Detection], None], progress: Callable[[], None] = lambda: None) -> None:
        """Listen until the source ends. ``progress`` is called for every frame, and while the source waits."""
        for frame in self._source:
            progress()
            for tap in self._taps:
                try:
                    tap.put_nowait(frame)
                except queue.Full:
                    log.warning("somebody who listens in is too slow and loses sound")
            if isinstance(frame, Waiting):
                if self.waiting is None:
                    self._spotter.segmenter.reset()
                self.waiting = frame.reason
                continue
            self.frames += 1
            self.waiting = None
            detection = self._spotter.push(frame)
            if detection is not None and not self._taps:  # nobody's lesson fires a command
                detected(detection)
        detection = self._spotter.flush()
        if detection is not None:
            detected(detection)

    @contextmanager
    def tap(self) -> Iterator[Iterator[Samples | Waiting]]:
        """Listen in on the frames from now on; no command fires meanwhile."""
        heard: queue.Queue[Samples | Waiting] = queue.Queue(TAP_FRAMES)
        self._taps = [*self._taps, heard]
        try:
            yield iter(heard.get, None)
        finally:
            self._taps = [tap for tap in self._taps if tap is not heard]
