"""What travels between the rooms: small frozen records, each made in one place and read in many.

Times are seconds. ``time`` and ``start`` count from the beginning of the stream.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Embedding = NDArray[np.float32]

# Actions that speakerd does itself; a command is taught with one as with any other (`--action speakerd:learn`).
LEARN, STOP = "speakerd:learn", "speakerd:stop"  # begin a spoken lesson; end the one that is going on
WRONG = "speakerd:wrong"  # the last detection was wrong
BUILT_IN = frozenset({LEARN, STOP, WRONG})


@dataclass(frozen=True)
class Waiting:
    """A source has no sound for the moment: a microphone that is missing, busy or gone. It goes on trying."""

    reason: str


@dataclass(frozen=True)
class Utterance:
    """A piece of speech between two pauses, as the segmenter cuts it.

    ``samples`` is the speech with some audio before it and a little after; the speech itself is
    ``samples[begin:end]``. ``start`` and ``end`` are its place in the stream; ``decided`` is the end of the last audio
    that was needed to know that it is over.
    """

    samples: Samples
    begin: int
    end: int
    start: float
    decided: float

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / 16000

    @property
    def end_time(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Match:
    """How an utterance compares with everything known: the best command and all scores (higher is surer)."""

    command: str
    score: float
    threshold: float
    speaker: str | None
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.score >= self.threshold


@dataclass(frozen=True)
class Evidence:
    """What a decision rests on. ``scores`` and ``thresholds`` (commands,) are of the commands ``names``; ``embedding``
    (dimension,) is what was compared; ``level`` is that of the speech and ``room`` that of the room, dBFS.
    ``utterance`` is what was heard; None where its sound has been let go of."""

    names: tuple[str, ...]
    scores: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    embedding: Embedding
    level: float
    room: float
    utterance: Utterance | None = None

    def too_close(self, command: str, lead: float) -> str | None:
        """Another command that scores within ``lead`` of ``command``, or more: whether it is accepted itself or not."""
        other = self.next_after(command)
        return other[0] if other and other[1] > self.scores[self.names.index(command)] - lead else None

    def next_after(self, command: str) -> tuple[str, float] | None:
        """The command that scores most beside ``command``, and its score; None where it is the only one."""
        others = np.where(np.array([name == command for name in self.names]), -np.inf, self.scores)
        best = int(others.argmax())
        return (self.names[best], float(others[best])) if others[best] > -np.inf else None


@dataclass(frozen=True)
class Detection:
    """A command was heard (``accepted``), or something came closest to it but was turned away.

    ``time`` is the end of the last audio that the decision used, ``start`` where the utterance began, ``at`` the wall
    clock (seconds since 1970) of the decision, ``action`` the name of the action that the command was taught with,
    ``evidence`` what it rests on, ``rule`` what decided beside the score, in words (listening/policy.py).
    """

    id: str
    time: float
    start: float
    command: str
    score: float
    threshold: float
    accepted: bool
    speaker: str | None
    at: float
    action: str | None = None
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    rule: str | None = None


@dataclass(frozen=True)
class Ambiguous(Detection):
    """It was ``command`` or ``other``, and too close to call: never ``accepted``, so that nothing is done."""

    other: str = ""
