"""Work for an output beside the listening loop, which hands it over and goes on at once."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from speakerd.events import Detection

log = logging.getLogger(__name__)


class Lane:
    """Calls ``work`` with each detection, at most ``running`` at once and ``waiting`` more in line.

    The threads start when they are first needed. They are daemons: work that never ends does not keep the program
    from ending.
    """

    def __init__(self, name: str, work: Callable[[Detection], None], running: int, waiting: int = 0) -> None:
        self.name, self._work = name, work
        self._running, self._waiting = running, waiting
        self._line: deque[Detection] = deque()
        self._changed = threading.Condition()
        self._threads = self._busy = 0
        self._closed = False

    def submit(self, detection: Detection) -> None:
        """Hand over; what there is no room for is dropped with a warning."""
        with self._changed:
            if self._closed:
                return
            full = self._busy + len(self._line) >= self._running + self._waiting
            if not full:
                self._line.append(detection)
                self._changed.notify()
            if not full and self._threads < min(self._running, self._busy + len(self._line)):
                self._start_thread()
        if full:
            log.warning(
                "%s is still busy with %d: nothing done for '%s'",
                self.name,
                self._running + self._waiting,
                detection.command,
            )

    def close(self) -> None:
        """Take nothing more; what was taken goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, until: float) -> bool:
        """Wait for the end of all work, at the longest until ``time.monotonic()`` is ``until``; what still waits in
        line then is dropped. Whether all is done."""
        with self._changed:
            left = max(0.0, until - time.monotonic())
            done = self._changed.wait_for(lambda: not self._busy and not self._line, left)
            self._line.clear()
            return done

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._serve, name=self.name, daemon=True).start()
            self._threads += 1
        except RuntimeError as error:  # a limit on threads; without one already there, nothing would take the work
            if not self._threads:
                self._line.clear()
                log.warning("%s: nothing done, no thread can be started: %s", self.name, error)

    def _serve(self) -> None:
        while (detection := self._next()) is not None:
            try:
                self._work(detection)
            except Exception:
                log.exception("%s failed for '%s'", self.name, detection.command)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _next(self) -> Detection | None:
        with self._changed:
            self._changed.wait_for(lambda: self._line or self._closed)
            if not self._line:
                return None
            self._busy += 1
            return self._line.popleft()
