"""What is said in the demonstration, and how what was heard compares with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speakerd.events import Detection

FOLDER = Path(__file__).resolve().parent
STREAM = FOLDER / "stream.opus"


@dataclass(frozen=True)
class Said:
    """Something said in the stream, from ``begin`` to ``end`` (seconds); ``command`` None: it is no command."""

    begin: float
    end: float
    text: str
    voice: str
    command: str | None


@dataclass(frozen=True)
class Outcome:
    """``verdict``: "right" (heard as what it is, or rightly passed over), "missed" or "false" (heard as a command that
    it is not; ``said`` None: nothing was said at all)."""

    said: Said | None
    heard: Detection | None
    verdict: str

    @property
    def time(self) -> float:
        return self.said.begin if self.said else self.heard.start if self.heard else 0.0


def lessons() -> dict[str, list[Path]]:
    """The commands to teach, and the clips to teach each from."""
    return {command["name"]: [FOLDER / clip for clip in command["clips"]] for command in _truth()["commands"]}


def said_in_stream() -> list[Said]:
    return [Said(**item) for item in _truth()["stream"]]


def compare(said: Sequence[Said], heard: Sequence[Detection]) -> list[Outcome]:
    """One outcome for everything said, and one more for every further detection, in order of time."""
    belongs = [(_during(detection, said), detection) for detection in heard if detection.accepted]
    outcomes = [Outcome(None, detection, "false") for where, detection in belongs if where is None]
    for utterance in said:
        own = [detection for where, detection in belongs if where is utterance]
        right = next((detection for detection in own if detection.command == utterance.command), None)
        if right is not None or not own:
            missed = right is None and utterance.command is not None
            outcomes.append(Outcome(utterance, right, "missed" if missed else "right"))
        outcomes += [Outcome(utterance, detection, "false") for detection in own if detection is not right]
    return sorted(outcomes, key=lambda outcome: outcome.time)


def _during(detection: Detection, said: Sequence[Said]) -> Said | None:
    """What was said while this was heard, mostly."""
    shared = [min(one.end, detection.time) - max(one.begin, detection.start) for one in said]
    longest = max(shared, default=0.0)
    return said[shared.index(longest)] if longest > 0 else None


def _truth() -> dict[str, list[dict[str, Any]]]:
    truth: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "truth.json").read_text(encoding="utf-8"))
    return truth
