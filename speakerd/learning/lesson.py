"""A lesson: somebody says a command some times into the microphone, and is told about each take."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from speakerd.audio.segmenter import Segmenter
from speakerd.config.settings import Gate
from speakerd.errors import SpeakerdError
from speakerd.events import Samples, Waiting
from speakerd.learning.takes import Take, judge

STARTS_WITHIN = 5.0  # seconds without sound: a sound server takes its time to give the first
PATIENCE = 20.0  # seconds of silence after which a lesson ends
FRUITLESS = 60.0  # seconds without a good take after which it ends too, whatever is heard


class LessonError(SpeakerdError):
    """A lesson that came to nothing: nobody spoke, or the microphone went away. Nothing was learned."""


@dataclass(frozen=True)
class Prompt:
    """Time to say it: take ``number`` of ``of``."""

    number: int
    of: int


@dataclass(frozen=True)
class Level:
    """What the microphone hears, dBFS, five times a second; ``open``: it is taken for speech."""

    dbfs: float
    open: bool


def lesson(frames: Iterable[Samples | Waiting], takes: int, gate: Gate) -> Iterator[Prompt | Level | Take]:
    """Hear ``takes`` good takes in ``frames``.

    Raises:
        LessonError: nobody spoke for 20 s, nothing that was said in a minute was a good take, or there is no sound.
    """
    segmenter = Segmenter(gate)
    accepted, heard, since, fruitless = 0, 0, 0.0, 0.0
    refused: str | None = None
    sound = time.monotonic()
    for frame in frames:
        if isinstance(frame, Waiting):
            if time.monotonic() - sound > STARTS_WITHIN:
                raise LessonError(f"no microphone: {frame.reason}. Nothing was learned")
            continue
        sound = time.monotonic()
        if heard == 0:
            yield Prompt(1, takes)
        utterance = segmenter.push(frame)
        heard, since = heard + 1, 0.0 if segmenter.open else since + 0.02
        fruitless += 0.02
        if heard % 10 == 0:
            yield Level(segmenter.level, segmenter.open)
        if since > PATIENCE:
            raise LessonError(
                f"heard nobody speak for {PATIENCE:.0f} s, {accepted} of {takes} takes. Nothing was learned"
            )
        if fruitless > FRUITLESS:
            raise LessonError(
                f"{_why_fruitless(segmenter, refused)}: no good take in {FRUITLESS:.0f} s, {accepted} of "
                f"{takes} takes. Nothing was learned"
            )
        if utterance is None:
            continue
        take = judge("microphone", utterance)
        accepted += take.accepted
        refused = take.reason
        fruitless = 0.0 if take.accepted else fruitless
        yield take
        if accepted == takes:
            return
        yield Prompt(accepted + 1, takes)
    raise LessonError(f"the sound ended after {accepted} of {takes} takes. Nothing was learned")


def _why_fruitless(segmenter: Segmenter, refused: str | None) -> str:
    """What kept a lesson from getting anywhere, and what to do about it."""
    if segmenter.open:
        return f"it does not get quiet ({segmenter.level:.0f} dBFS), so no word ends; turn off what makes the noise"
    return f"the last take was {refused}" if refused else "hardly anything was heard; come closer"
