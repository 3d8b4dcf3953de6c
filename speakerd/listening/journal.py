"""The journal: what was heard in the last day, and why it was or was not acted upon.

Nobody has confirmed what it holds, so it lives in memory only: detections and near misses of a day, a few of the rest,
and the sound of the last minutes. What was said of an entry afterwards is noted in it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from speakerd.errors import SpeakerdError
from speakerd.events import Detection, Evidence, Utterance
from speakerd.store.knowledge import name_key

DAY = 86400.0  # seconds
MOST = 1000  # detections and near misses
FAR = 20  # others: somebody may want to know why nothing happened
AGAIN = 8.0  # seconds after a near miss in which somebody who was not heard says it again
SOUND_SECONDS = 600.0
SOUND_BYTES = 4_000_000  # some forty utterances, 16 bits a sample


class JournalError(SpeakerdError):
    """It holds nothing like that; the message says what it holds."""


class Mark(StrEnum):
    """What has become of an entry."""

    OFFERED = "offered"  # somebody said it again, and was heard: this may be an example
    WRONG = "wrong"
    RIGHT = "right"
    LEARNED = "learned by itself"
    ABOUT = "about the one before"  # somebody said that this was wrong


@dataclass(frozen=True)
class Heard:
    """An entry. ``rule`` says in words what decided."""

    detection: Detection
    evidence: Evidence
    rule: str
    mark: Mark | None = None

    @property
    def id(self) -> str:
        return self.detection.id


class Journal:
    """Safe to use from several threads. ``near`` is how far below its threshold the score of a near miss lies at most;
    ``clock`` gives seconds since 1970."""

    def __init__(self, near: float, clock: Callable[[], float] = time.time) -> None:
        self._near, self._clock = near, clock
        self._lock = threading.Lock()
        self._kept: deque[Heard] = deque(maxlen=MOST)
        self._far: deque[Heard] = deque(maxlen=FAR)
        self._sounds: deque[_Sound] = deque()
        self._names: tuple[str, ...] = ()

    def note(self, detection: Detection, rule: str | None = None) -> Detection:
        """Take down a detection, accepted or not. ``rule`` says in words what decided, where it was not the score.

        Returns:
            The detection without its sound, to be sent on.
        """
        evidence = detection.evidence
        if evidence is None:
            return detection
        with self._lock:
            if evidence.names == self._names:
                evidence = replace(evidence, names=self._names)  # one tuple for a thousand entries
            self._names = evidence.names
            slim = replace(evidence, utterance=None)
            detection = replace(detection, evidence=slim)
            if detection.accepted:
                self._offer(detection)
            near = detection.accepted or detection.score >= detection.threshold - self._near
            (self._kept if near else self._far).append(Heard(detection, slim, rule or _by_score(detection)))
            if near and evidence.utterance is not None:
                self._sounds.append(_Sound.of(detection, evidence.utterance))
            self._let_go()
        return detection

    def let_go(self) -> None:
        """Of what is too old: also where nothing is heard, and nobody asks."""
        with self._lock:
            self._let_go()

    def entries(self) -> list[Heard]:
        """All of the last day, the newest first."""
        with self._lock:
            self._let_go()
            return sorted([*self._kept, *self._far], key=lambda heard: heard.detection.at, reverse=True)

    def find(self, id: str) -> Heard:
        """Raises:
        JournalError: there is no such entry (any more).
        """
        found = next((heard for heard in self.entries() if heard.id == id), None)
        if found is None:
            raise JournalError(f"nothing of the last day is called {id}; `speakerd why --all` lists what was heard")
        return found

    def last(self, within: float = DAY, accepted: bool = False) -> Heard:
        """The newest entry of so many seconds; ``accepted``: the newest that was acted upon.

        Raises:
            JournalError: there is none.
        """
        since = self._clock() - within
        fits = (heard for heard in self.entries() if heard.detection.accepted or not accepted)
        newest = next((heard for heard in fits if heard.mark is not Mark.ABOUT), None)
        if newest is None or newest.detection.at < since:
            when = "in the last day" if within >= DAY else f"in the last {within:.0f} s"
            what = "no command was heard" if accepted else "nothing was heard that is like a command"
            raise JournalError(f"{what} {when}; `speakerd why --all` lists what there is, to be named by its id")
        return newest

    def sound(self, id: str) -> Utterance | None:
        """What was heard; None where its sound has been let go of."""
        with self._lock:
            self._let_go()
            return next((sound.utterance() for sound in self._sounds if sound.id == id), None)

    def mark(self, id: str, mark: Mark) -> None:
        """Note what has become of an entry."""
        with self._lock:
            for entries in (self._kept, self._far):
                for i, heard in enumerate(entries):
                    if heard.id == id:
                        entries[i] = replace(heard, mark=mark)

    def forget(self, names: set[str]) -> None:
        """Let go of what tells of commands with these names, as :func:`name_key` gives them, and of its sound."""

        def tells(heard: Heard) -> bool:
            rule = name_key(heard.rule)
            return name_key(heard.detection.command) in names or any(f"'{name}'" in rule for name in names)

        with self._lock:
            self._names = ()
            for entries in (self._kept, self._far):
                others = [_without(names, heard) for heard in entries if not tells(heard)]
                entries.clear()
                entries.extend(others)
            left = {heard.id for heard in self._kept}
            self._sounds = deque(sound for sound in self._sounds if sound.id in left)

    def _offer(self, detection: Detection) -> None:
        """Of what was nearly the same command just before, the best may be an example of it: somebody said it again."""
        before = [
            (heard.detection.score, i)
            for i, heard in enumerate(self._kept)
            if heard.detection.command == detection.command
            and not heard.detection.accepted
            and 0 <= detection.at - heard.detection.at <= AGAIN
        ]
        if before:
            _, place = max(before)
            self._kept[place] = replace(self._kept[place], mark=self._kept[place].mark or Mark.OFFERED)

    def _let_go(self) -> None:
        now = self._clock()
        for entries in (self._kept, self._far):
            while entries and entries[0].detection.at < now - DAY:
                entries.popleft()
        while self._sounds and (
            self._sounds[0].at < now - SOUND_SECONDS or sum(s.samples.nbytes for s in self._sounds) > SOUND_BYTES
        ):
            self._sounds.popleft()


def _by_score(detection: Detection) -> str:
    if detection.accepted:
        return f"accepted: {detection.score:.2f} is enough, {detection.threshold:.2f} is needed"
    return f"not accepted: {detection.score:.2f} is not enough, {detection.threshold:.2f} is needed"


def _without(names: set[str], heard: Heard) -> Heard:
    """An entry about another command: how these scored is nobody's business any more."""
    kept = [i for i, name in enumerate(heard.evidence.names) if name_key(name) not in names]
    evidence = replace(
        heard.evidence, names=tuple(heard.evidence.names[i] for i in kept), scores=heard.evidence.scores[kept],
        thresholds=heard.evidence.thresholds[kept],
    )  # fmt: skip
    return replace(heard, detection=replace(heard.detection, evidence=evidence), evidence=evidence)


@dataclass(frozen=True)
class _Sound:
    """An utterance with 16 bits a sample."""

    id: str
    at: float
    samples: NDArray[np.int16]
    about: Utterance  # without its samples

    @classmethod
    def of(cls, detection: Detection, utterance: Utterance) -> "_Sound":
        samples = np.round(np.clip(utterance.samples, -1, 1) * 32767).astype(np.int16)
        return cls(detection.id, detection.at, samples, replace(utterance, samples=np.zeros(0, np.float32)))

    def utterance(self) -> Utterance:
        return replace(self.about, samples=self.samples.astype(np.float32) / np.float32(32767))
