"""What stands between a detection and what the house does: rules that people set. Whichever decided is named in the
detection: "playing" where it is not sure enough while the speaker itself plays; "armed" and "not armed" where it needs
another command before it; none where the score alone decided.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from speakerd.config.settings import Listening, Requirement
from speakerd.config.wording import did_you_mean
from speakerd.events import Ambiguous, Detection
from speakerd.listening.mute import MuteSwitch
from speakerd.listening.playing import PlayingSwitch
from speakerd.store.knowledge import name_key

# The lead under which a command and another one are too close to call: of people's recordings of words, learned from
# three examples each by others, 1.0 % are taken for another one; with this lead 0.6 %, and of those that are right
# 0.6 % must be said again.
TOO_CLOSE = 0.2


@dataclass(frozen=True)
class Switches:
    """What people, and programs, tell the speaker about the moment."""

    mute: MuteSwitch
    playing: PlayingSwitch

    @classmethod
    def of(cls, state: Path) -> "Switches":
        """Raises:
        SpeakerdError: see :class:`MuteSwitch`.
        """
        return cls(MuteSwitch(state), PlayingSwitch())

    def status(self) -> dict[str, Any]:
        return {
            "muted": self.mute.words if self.mute.on else None,
            "muted_until": self.mute.until,
            "playing": self.playing.on,
        }


class Policy:
    """The rules, and what they remember of one stream."""

    def __init__(self, settings: Listening, playing: PlayingSwitch) -> None:
        self._settings, self._playing = settings, playing
        self._heard: dict[str, float] = {}  # when each command was over, in the time of the stream

    def judge(self, detection: Detection) -> Detection:
        """The detection as the rules see it: whether it is accepted, and which of them decided."""
        if not detection.accepted:
            return detection
        if self._playing.on:
            margin = self._settings.playing_margin
            detection = replace(detection, threshold=detection.threshold + margin)
            if detection.score < detection.threshold:
                rule = f"playing: {margin:g} more is needed while the speaker itself plays"
                return replace(detection, accepted=False, rule=rule)
        requirement = required(self._settings, detection.command)
        if requirement is not None:
            over = self._heard.get(name_key(requirement.command))
            by = f"by '{requirement.command}' in the {requirement.within:g} s before"
            if over is None or detection.start > over + requirement.within:
                return replace(detection, accepted=False, rule=f"not armed {by}")
            detection = replace(detection, rule=f"armed {by}")
        if (other := too_close(detection)) is not None:
            return _ambiguous(detection, other)
        self._heard[name_key(detection.command)] = detection.time
        return detection

    def interrupted(self) -> None:
        """The stream stood still, and its time with it: what was armed before is armed no more."""
        self._heard.clear()


def too_close(detection: Detection) -> str | None:
    """The command that cannot be told from the one that was detected."""
    return None if detection.evidence is None else detection.evidence.too_close(detection.command, TOO_CLOSE)


def _ambiguous(detection: Detection, other: str) -> Ambiguous:
    rule = f"too close to call: '{detection.command}' or '{other}'"
    told = {part.name: getattr(detection, part.name) for part in fields(detection)} | {"accepted": False, "rule": rule}
    return Ambiguous(**told, other=other)


def required(settings: Listening, command: str) -> Requirement | None:
    """What must be heard before a command counts."""
    requires = {name_key(name): requirement for name, requirement in settings.requires.items()}
    everybody = requires.get("*")
    if everybody is not None and name_key(everybody.command) == name_key(command):
        everybody = None
    return requires.get(name_key(command), everybody)


def unmet(settings: Listening, known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Requirements that name commands which nobody has taught: whose they are, and what that means, in words."""
    keys = {name_key(name) for name in known}
    for name, requirement in settings.requires.items():
        needed = requirement.command
        if name != "*" and name_key(name) not in keys:
            yield name, f"no command '{name}' has been taught{did_you_mean(name, known)}"
        if name_key(needed) not in keys:
            cannot = "no other one can" if name == "*" else f"'{name}' cannot"
            yield name, f"no command '{needed}' has been taught, so {cannot} be heard{did_you_mean(needed, known)}"
