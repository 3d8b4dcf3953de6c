"""Teaching from what a client sends: its names and recordings judged, and what came of them put in words."""

import io
from typing import Any

import numpy as np

from speakerd.audio.files import AudioFileError, read_audio
from speakerd.config.settings import Gate
from speakerd.control.messages import Enroll, Recording, Teach
from speakerd.learning.takes import LONGEST_FILE, Take, judge_recording
from speakerd.store.knowledge import Command, tidy_name, tidy_speaker

ENOUGH = 3  # examples below which expectations are guesses


def check_names(request: Enroll | Teach) -> None:
    """Before anybody is asked to speak.

    Raises:
        BadNameError: the command's name, or the speaker's, cannot be one.
    """
    tidy_name(request.name)
    if request.speaker is not None:
        tidy_speaker(request.speaker)


def judged(recording: Recording, gate: Gate) -> Take:
    if recording.fault:
        return Take(recording.source, None, recording.fault)
    if recording.file is not None:
        try:
            return judge_recording(recording.source, read_audio(io.BytesIO(recording.file), LONGEST_FILE), gate)
        except AudioFileError as error:
            return Take(recording.source, None, str(error))
    samples = np.frombuffer(recording.samples[: len(recording.samples) // 4 * 4], "<f4")
    if not (np.abs(samples) <= 2).all():  # nothing that read_audio gives, so a client of another making
        return Take(recording.source, None, "damaged: it holds values that are not sound")
    return judge_recording(recording.source, samples, gate)


def advice(command: Command, confusable: list[str], unknown_action: bool) -> str | None:
    """What would make a command more dependable, None if nothing needs to."""
    found = []
    if unknown_action:
        found.append(f"the settings have no action '{command.action}' yet")
    if len(command.examples) < ENOUGH:
        found.append(f"give at least {ENOUGH} examples: with {len(command.examples)} these expectations are guesses")
    elif confusable:
        found.append(
            f"sounds like {', '.join(confusable[:3])}: choose words that differ more, or teach both more examples"
        )
    elif command.over_budget:
        found.append(
            "over its share of the budget (listening.false_accepts_per_day): with fewer false accepts it would be "
            "missed too often; more examples help, or a longer or more distinct phrase"
        )
    return "; ".join(found) or None


def told(take: Take, reason: str | None) -> dict[str, Any]:
    return {"example": take.source, "accepted": take.accepted, "reason": reason}
