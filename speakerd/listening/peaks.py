"""Peaks: one event for each utterance, from how surely something is a command at every hop."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speakerd.events import Embedding
from speakerd.store.knowledge import Command, begins

CLEAR = 0.16  # seconds by which a window may reach back into what was already an event
APART = 1.0  # seconds: of what is not accepted, only the best in so long a time is told
WAIT = 0.4  # seconds that a command with which another one begins waits for that


@dataclass(frozen=True)
class Candidate:
    """The best of the ``commands`` in the windows that end at a hop, by its ``place`` among them; ``start`` and ``end``
    of its window in the stream, seconds. ``scores`` (commands,) and ``embedding`` (dimension,) are of that window, and
    ``fits`` (commands,) says which of them are about as long."""

    commands: tuple[Command, ...]
    place: int
    speaker: str | None
    score: float
    start: float
    end: float
    begins_another: bool
    scores: NDArray[np.float32]
    embedding: Embedding
    fits: NDArray[np.bool_]

    @property
    def command(self) -> Command:
        return self.commands[self.place]

    @property
    def margin(self) -> float:
        return self.score - self.command.threshold


class Peaks:
    """Push the candidate of every hop, get those that are a peak: higher than the two before and the one after.

    A peak that comes closer than ``near`` below its threshold is listened to once more (``again``) before it is decided
    on: of many windows the best is often so by chance.
    """

    def __init__(self, near: float, again: Callable[[Candidate], Candidate]) -> None:
        self._near, self._again = near, again
        self._before: list[float] = []  # margins of the two hops before the last
        self._last: Candidate | None = None
        self._rejected: Candidate | None = None
        self._held: Candidate | None = None  # accepted, and waits for a longer one
        self._taken = -1.0  # until when the stream belongs to an event

    def push(self, candidate: Candidate) -> list[Candidate]:
        """The peaks that are known with this hop: accepted ones at once, others when none better came for a while."""
        found = []
        last = self._last
        if last is not None and last.margin > candidate.margin and last.margin >= max(self._before, default=-1e9):
            found = self._peak(last)
        self._before = [*self._before, last.margin][-2:] if last is not None else []
        self._last = candidate
        if self._held is not None and candidate.end - self._held.end > WAIT:
            found = [*self._released(), *found]
        return found

    @property
    def rising(self) -> bool:
        """Whether the next hop may make sure of something."""
        last = self._last
        return last is not None and last.margin >= 0 and last.start >= self._taken - CLEAR

    def over(self) -> list[Candidate]:
        """Nobody speaks any more: what is accepted at the last hop need not fall first."""
        return self._peak(self._last) if self._last is not None and self._last.margin >= -self._near else []

    def close(self) -> list[Candidate]:
        """The gate has closed: what is waiting is told."""
        found = self._peak(self._last) if self._last is not None else []
        found = [*self._released(), *found]
        if not found and self._rejected is not None:
            found = [self._rejected]
        self._before, self._last, self._rejected = [], None, None
        return found

    def _released(self) -> list[Candidate]:
        held, self._held = self._held, None
        return [held] if held is not None else []

    def _peak(self, peak: Candidate) -> list[Candidate]:
        taken = peak.start < self._taken - CLEAR
        held = self._held
        if taken and held is None:
            return []
        if peak.margin >= -self._near:
            peak = self._again(peak)
        longer = held is not None and peak.margin >= 0 and begins(held.command.name, peak.command.name)
        if taken and not longer:
            return []
        if peak.margin < 0:
            return self._turned_away(peak)
        found = [] if taken else self._released()
        self._held, self._taken = None, peak.end
        if self._rejected is not None and self._rejected.end < peak.start:
            found = [self._rejected, *found]
        self._rejected = None
        if peak.begins_another:
            self._held = peak
            return found
        return [*found, peak]

    def _turned_away(self, peak: Candidate) -> list[Candidate]:
        waiting = self._rejected
        if waiting is None:
            self._rejected = peak
            return []
        if peak.end - waiting.end < APART:
            self._rejected = max(waiting, peak, key=lambda one: one.margin)
            return []
        self._rejected = peak
        return [waiting]
