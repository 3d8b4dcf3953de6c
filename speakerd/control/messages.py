"""Requests and replies, one JSON object a line on the socket. A request is answered by any number of items, then by
one end: done or failed."""

from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from msgspec import Meta

from speakerd.recognition.voices import Voices
from speakerd.store.knowledge import Command, Heads, Knowledge

LONGEST_MUTE = 60 * 24 * 366  # minutes: a year
Binary = Annotated[bytes, Meta(extra_json_schema={"format": "byte"})]  # base64 in JSON


class Recording(msgspec.Struct, frozen=True):
    """Decoded audio: 16 kHz mono float32 samples, little-endian; or, where the client could not decode it, why; or, of
    a client that has no decoder, the ``file`` as it is (WAV, FLAC, Ogg, Opus)."""

    source: str
    samples: Binary = b""
    fault: str | None = None
    file: Binary | None = None


class _Request(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    goes_on: ClassVar[bool] = False  # items come over a time, so that whoever asks wants to see each as it comes


class Enroll(_Request, frozen=True):
    """Teach from recordings."""

    name: str
    recordings: list[Recording]
    replace: bool = False
    action: str | None = None
    speaker: str | None = None


class Teach(_Request, frozen=True):
    """Teach by the microphone, in a lesson."""

    goes_on: ClassVar[bool] = True
    name: str
    takes: Annotated[int, Meta(ge=1, le=10)] | None = None
    replace: bool = False
    action: str | None = None
    speaker: str | None = None


class Lesson(_Request, frozen=True):
    """Teach by voice: the speaker speaks, and asks for what it needs. ``action`` is the name or the number of an action
    of the settings; null: it asks."""

    goes_on: ClassVar[bool] = True
    action: str | None = None


class StopLesson(_Request, frozen=True):
    """End the spoken lesson that is going on, if any."""


class Forget(_Request, frozen=True):
    """Forget a command; ``erase``: leave no trace of it, which cannot be undone."""

    name: str
    erase: bool = False


class Rename(_Request, frozen=True):
    """Give a command another name."""

    old: str
    new: str


class History(_Request, frozen=True):
    """All versions, the newest first."""


class Undo(_Request, frozen=True):
    """Take the last change back; once more, the one before."""


class Rollback(_Request, frozen=True):
    """Bring back an older version."""

    version: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Known(_Request, frozen=True):
    """What is known, to be used by the client itself: answered by one :class:`Snapshot`."""


class Commands(_Request, frozen=True):
    """What is known, to be looked at: an item for each command, with its examples."""


class Discard(_Request, frozen=True):
    """Let go of one example of a command."""

    example: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Settings(_Request, frozen=True):
    """The settings that are safe to change, as they stand in the file."""


class Change(_Request, frozen=True):
    """Change such a setting, in the file; it is in use a moment later."""

    key: str
    value: bool | int | float


class Doctor(_Request, frozen=True):
    """What `speakerd doctor` finds."""


class Watch(_Request, frozen=True):
    """Every detection from now on, until the client hangs up. ``all``: the rejected ones too. ``level``: also, five
    times a second, what the microphone hears, and which version of the knowledge is in use."""

    goes_on: ClassVar[bool] = True
    all: bool = False
    level: bool = False


class Status(_Request, frozen=True):
    """How the daemon is."""


class Mute(_Request, frozen=True):
    """Listen to nothing, for so many minutes or until :class:`Unmute`; a restart does not end it."""

    minutes: Annotated[float, Meta(gt=0, le=LONGEST_MUTE)] | None = None


class Unmute(_Request, frozen=True):
    """Listen again."""


class Playing(_Request, frozen=True):
    """Whether the speaker itself plays; ``seconds``: off again after so long, should nobody say so."""

    on: bool
    seconds: Annotated[float, Meta(gt=0, le=86400)] | None = None


class Export(_Request, frozen=True):
    """All that was taught, as a bundle: items with a piece of it each, in base64."""


class Import(_Request, frozen=True):
    """Learn the commands of a bundle."""

    bundle: Binary


class Why(_Request, frozen=True):
    """Why something was heard, or was not: an entry of the journal, the newest where ``id`` is null, with the examples
    that are nearest to it. ``all``: everything of the last day instead, without those."""

    id: str | None = None
    all: bool = False


class Wrong(_Request, frozen=True):
    """What was heard was not said: the last detection, or any in the journal. ``meant``: the command that was."""

    id: str | None = None
    meant: str | None = None


class Right(_Request, frozen=True):
    """What was heard was said, also where it was a near miss; the same choice as in :class:`Wrong`."""

    id: str | None = None


class Sound(_Request, frozen=True):
    """What was said in a kept example: one item with 16-bit FLAC in base64."""

    example: Annotated[int, Meta(ge=0, le=2**63 - 1)]


Request = (
    Enroll | Teach | Lesson | StopLesson | Forget | Rename | History | Undo | Rollback | Known | Watch | Status | Mute
    | Unmute | Playing | Why | Wrong | Right | Sound | Commands | Discard | Settings | Change | Doctor
    | Export | Import
)  # fmt: skip


class Item(msgspec.Struct, frozen=True, tag=True):
    value: dict[str, Any]


class Done(msgspec.Struct, frozen=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, tag=True):
    message: str


Reply = Item | Done | Failed


class CommandPicture(msgspec.Struct, frozen=True):
    """A command without its examples; ``heads`` as ``Heads.to_bytes`` writes them, one for each of ``speakers``."""

    name: str
    action: str | None
    threshold: float
    expected_fa_per_hour: float
    expected_frr: float
    over_budget: bool
    heads: bytes
    speakers: list[str | None]
    examples: list[int]
    seconds: list[float]
    fa_between: tuple[float, float]
    fa_hours: float


class VoicesPicture(msgspec.Struct, frozen=True):
    """The voices of a command: ``centres`` are float32, little-endian (names, dimension)."""

    command: str
    names: list[str | None]
    centres: bytes
    usual: float


class Snapshot(msgspec.Struct, frozen=True):
    version: int
    encoder: str
    commands: list[CommandPicture]
    voices: list[VoicesPicture]

    @classmethod
    def of(cls, knowledge: Knowledge, voices: dict[str, Voices]) -> "Snapshot":
        heard = [
            VoicesPicture(name, list(v.names), v.centres.astype("<f4").tobytes(), v.usual) for name, v in voices.items()
        ]
        return cls(knowledge.version, knowledge.encoder, [_picture(command) for command in knowledge.commands], heard)

    def speakers(self) -> dict[str, Voices]:
        """The voices of each command that several people taught."""
        return {
            v.command: Voices(tuple(v.names), np.frombuffer(v.centres, "<f4").reshape(len(v.names), -1), v.usual)
            for v in self.voices
        }

    def knowledge(self) -> Knowledge:
        return Knowledge(
            self.version,
            self.encoder,
            tuple(
                Command(
                    c.name, c.action, c.threshold, c.expected_fa_per_hour, c.expected_frr, c.over_budget,
                    Heads.from_bytes(c.heads, len(c.speakers)), tuple(c.speakers), tuple(c.examples),
                    seconds=tuple(c.seconds), fa_between=c.fa_between, fa_hours=c.fa_hours,
                )
                for c in self.commands
            ),
        )  # fmt: skip


def _picture(c: Command) -> CommandPicture:
    return CommandPicture(
        c.name, c.action, c.threshold, c.expected_fa_per_hour, c.expected_frr, c.over_budget, c.heads.to_bytes(),
        list(c.speakers), list(c.examples), list(c.seconds), c.fa_between, c.fa_hours,
    )  # fmt: skip


def summary(command: Command) -> dict[str, Any]:
    """A command as ``speakerd commands --json`` shows it. ``expected_fa_between`` is the 95 % interval of what is
    expected per hour of talk, ``fa_hours`` the talk behind it; ``extrapolated`` where that could not have shown it."""
    return {
        "command": command.name,
        "examples": len(command.examples),
        "threshold": round(command.threshold, 4),
        "expected_fa_per_hour": float(f"{command.expected_fa_per_hour:.3g}"),
        "expected_fa_between": [float(f"{bound:.3g}") for bound in command.fa_between],
        "fa_hours": round(command.fa_hours, 2),
        "extrapolated": command.extrapolated,
        "expected_frr": round(command.expected_frr, 3),
        "over_budget": command.over_budget,
        "action": command.action,
        "speakers": sorted({speaker for speaker in command.speakers if speaker is not None}),
    }
