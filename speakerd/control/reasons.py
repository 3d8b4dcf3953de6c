"""Why a command was heard, or was not: an entry of the journal as it is told, to people and to programs."""

from typing import Any

from speakerd.events import Detection
from speakerd.learning.places import Near
from speakerd.listening.journal import Heard


def reasons(heard: Heard, near: list[Near]) -> dict[str, Any]:
    """As ``speakerd why --json`` shows it. Scores of all commands, the highest first."""
    detection, evidence = heard.detection, heard.evidence
    return essentials(detection) | {
        "at": round(detection.at, 3),
        "rule": heard.rule,
        "mark": heard.mark,
        "level_dbfs": round(evidence.level, 1),
        "room_dbfs": round(evidence.room, 1),
        "scores": [
            {
                "command": evidence.names[i],
                "score": round(float(evidence.scores[i]), 4),
                "threshold": round(float(evidence.thresholds[i]), 4),
            }
            for i in (-evidence.scores).argsort(kind="stable")
        ],
        "nearest": [
            {
                "command": one.command,
                "example": one.example.id,
                "source": one.example.source,
                "speaker": one.example.speaker,
                "likeness": round(one.likeness, 3),
            }
            for one in near
        ],
    }


def essentials(detection: Detection) -> dict[str, Any]:
    """What is told of a detection wherever one is told of."""
    return {
        "id": detection.id,
        "time": round(detection.time, 3),
        "start": round(detection.start, 3),
        "command": detection.command,
        "score": round(detection.score, 4),
        "threshold": round(detection.threshold, 4),
        "accepted": detection.accepted,
        "speaker": detection.speaker,
    }
