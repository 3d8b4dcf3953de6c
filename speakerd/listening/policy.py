"""What stands between a detection and what the house does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speakerd.listening.mute import MuteSwitch


@dataclass(frozen=True)
class Switches:
    """What people, and programs, tell the speaker about the moment."""

    mute: MuteSwitch

    @classmethod
    def of(cls, state: Path) -> "Switches":
        """Raises:
        SpeakerdError: see :class:`MuteSwitch`.
        """
        return cls(MuteSwitch(state))

    def status(self) -> dict[str, Any]:
        return {"muted": self.mute.words if self.mute.on else None, "muted_until": self.mute.until}
