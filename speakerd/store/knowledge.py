"""What is known at one time: an immutable picture that the listening loop, ``score`` and the client share."""

from dataclasses import dataclass, field
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

from speakerd.errors import SpeakerdError
from speakerd.events import Embedding


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


def name_key(name: str) -> str:
    """What two names have in common if they are the same command's."""
    return normalize("NFC", normalize("NFC", name).strip().casefold())


@dataclass(frozen=True)
class Example:
    """One kept example: its embedding (dimension,) by the encoder in use; None if only another encoder has seen it.
    ``begin`` and ``end`` say where in the audio the speech is, in samples. ``id`` is None until it is stored."""

    embedding: Embedding | None
    source: str
    begin: int
    end: int
    speaker: str | None = None
    doubt: str | None = None
    audio: bytes | None = None
    id: int | None = None


@dataclass(frozen=True)
class Command:
    """Everything derived from a command's examples. ``prototypes`` (prototypes, dimension) are unit and whitened;
    ``speakers`` says whose each is (None: everybody's). ``id`` is None until it is stored."""

    name: str
    action: str | None
    threshold: float
    expected_fa_per_hour: float
    expected_frr: float
    over_budget: bool
    prototypes: NDArray[np.float32]
    speakers: tuple[str | None, ...]
    examples: tuple[int, ...] = ()
    id: int | None = None


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
