"""What is known at one time: an immutable picture that the listening loop, ``score`` and the client share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

from speakerd.errors import SpeakerdError

MARK = b"crs1"  # of stored heads with courses


class BadNameError(SpeakerdError):
    """A name that cannot be a command's, or a person's."""


def tidy_name(name: str) -> str:
    """A command's name as it is kept: NFC, trimmed, 1 to 80 characters, no control characters.

    Raises:
        BadNameError: says what is wrong with it.
    """
    name = _tidy(name, "a command")
    if name == "*":
        raise BadNameError("a command cannot be called *, which stands for every command in the settings")
    return name


def tidy_speaker(name: str) -> str:
    """The name of whoever says it in some examples, as it is kept; see :func:`tidy_name`.

    Raises:
        BadNameError: says what is wrong with it.
    """
    return _tidy(name, "a speaker")


def _tidy(name: str, whose: str) -> str:
    name = normalize("NFC", name).strip()
    if all(category(letter) in ("Cf", "Zs") for letter in name):  # marks of direction, joiners: nothing to be seen
        raise BadNameError(f"{whose} needs a name; this one is empty")
    if any(category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        shown = name if len(name) <= 80 else name[:30] + "..."
        raise BadNameError(f"{shown!r} holds control characters or line breaks; use letters, signs and spaces")
    if len(name) > 80:
        raise BadNameError(f"this name is {len(name)} characters long, at most 80 are possible: {name[:30]}...")
    return name


def same_name(one: str, other: str) -> bool:
    return name_key(one) == name_key(other)


def begins(name: str, other: str) -> bool:
    """Whether another command's name begins with this one, as "lights off" does with "lights"; "command 10" is not
    the beginning of "command 1" and something more."""
    one, longer = name_key(name), name_key(other)
    rest = longer.removeprefix(one)
    return rest not in ("", longer) and not (one[-1].isdigit() and rest[0].isdigit())


def name_key(name: str) -> str:
    """What two names have in common if they are the same command's."""
    return normalize("NFC", normalize("NFC", name).strip().casefold())


@dataclass(frozen=True)
class Example:
    """One kept example: its embedding and those of its variants (1 + variants, dimension) by the encoder in use; None
    if only another encoder has seen it. ``begin`` and ``end`` say where in the audio the speech is, in samples. ``id``
    is None until it is stored."""

    embeddings: NDArray[np.float32] | None
    source: str
    begin: int
    end: int
    speaker: str | None = None
    doubt: str | None = None
    audio: bytes | None = None
    id: int | None = None


def _no_courses() -> NDArray[np.float32]:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Heads:
    """Linear scores: ``weights`` (heads, dimension) and ``bias`` (heads,). With an encoder that gives courses, those
    that utterances are compared with, (heads, WIDTH), and how ``near`` strangers' come to each (heads, 2)."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    courses: NDArray[np.float32] = field(default_factory=_no_courses)
    near: NDArray[np.float32] = field(default_factory=_no_courses)

    @classmethod
    def joined(cls, parts: Sequence["Heads"]) -> "Heads":
        """Those of all parts, one after another."""
        fields = ("weights", "bias", "courses", "near")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))

    def to_bytes(self) -> bytes:
        """float32, little-endian: each head's weights and its bias, and, if there are any, its course and the two
        numbers of how near strangers come to it; after those the mark and how many weights there are."""
        if not self.courses.size:
            return np.column_stack([self.weights, self.bias]).astype("<f4").tobytes()
        rows = np.column_stack([self.weights, self.bias, self.courses, self.near]).astype("<f4")
        return b"".join((rows.tobytes(), MARK, self.weights.shape[1].to_bytes(4, "little")))

    @classmethod
    def from_bytes(cls, stored: bytes, count: int) -> "Heads":
        if stored[-8:-4] != MARK:
            rows = np.frombuffer(stored, "<f4").reshape(count, -1)
            return cls(rows[:, :-1], rows[:, -1])
        rows, many = np.frombuffer(stored[:-8], "<f4").reshape(count, -1), int.from_bytes(stored[-4:], "little")
        return cls(rows[:, :many], rows[:, many], rows[:, many + 1 : -2], rows[:, -2:])


@dataclass(frozen=True)
class Overheard:
    """What the talk of a household says of a command: in so many ``hours`` of it there were ``near`` misses, where that
    of strangers would have made ``expected``."""

    hours: float = 0.0
    near: int = 0
    expected: float = 0.0

    def __add__(self, more: "Overheard") -> "Overheard":
        return Overheard(self.hours + more.hours, self.near + more.near, self.expected + more.expected)


NOTHING = Overheard()


@dataclass(frozen=True)
class Command:
    """Everything derived from a command's examples. ``heads`` give its scores; ``speakers`` says whose each of them is
    (None: everybody's). ``negatives`` are examples of what was wrongly taken for it, ``rivals`` those of commands that
    sound alike; it was told apart from both. ``seconds`` is how long each example is. ``fa_between`` is the 95 %
    interval of ``expected_fa_per_hour``, and ``fa_hours`` how much talk stands behind it; ``alike`` how many times as
    often as strangers' talk this household's is taken to sound like it. ``id`` is None, and ``seconds`` empty, until it
    is stored."""

    name: str
    action: str | None
    threshold: float
    expected_fa_per_hour: float
    expected_frr: float
    over_budget: bool
    heads: Heads
    speakers: tuple[str | None, ...]
    examples: tuple[int, ...] = ()
    id: int | None = None
    negatives: tuple[int, ...] = ()
    rivals: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    fa_between: tuple[float, float] = (0.0, 0.0)
    fa_hours: float = 0.0
    alike: float = 1.0

    @property
    def extrapolated(self) -> bool:
        """Whether so few false accepts are expected that the talk behind it could not have shown that: by the rule of
        three, none in T hours proves no less than 3 / T."""
        return self.expected_fa_per_hour * self.fa_hours < 3


@dataclass(frozen=True)
class Knowledge:
    """All commands of one version."""

    version: int
    encoder: str
    commands: tuple[Command, ...] = field(default=())

    def find(self, name: str) -> Command | None:
        return next((command for command in self.commands if same_name(command.name, name)), None)


@dataclass(frozen=True)
class Version:
    """One line of the history. ``made`` is seconds since 1970."""

    version: int
    made: float
    change: str
    commands: tuple[str, ...]
    current: bool
