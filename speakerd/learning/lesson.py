"""A lesson: somebody says a command some times into the microphone, and is told about each take."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME, Segmenter
from speakerd.config.settings import Gate
from speakerd.errors import SpeakerdError
from speakerd.events import Samples, Waiting
from speakerd.learning.takes import Take, judge

STARTS_WITHIN = 5.0  # seconds without sound: a sound server takes its time to give the first
PATIENCE = 20.0  # seconds of silence after which a lesson ends
FRUITLESS = 60.0  # seconds without a good take after which it ends too, whatever is heard
FRAME_SECONDS = FRAME / SAMPLE_RATE
CUT_OFF = 0.06  # seconds of sound that must precede a take: who speaks already when it begins is not heard whole
TOO_EARLY = "cut off: it was being said already when listening began"


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


class Ear:
    """Hears takes in what the microphone gives. ``heard`` and ``silent`` are seconds of sound since it began to
    listen, and since somebody spoke; ``talking`` how long there has been no pause."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self.segmenter = gate, Segmenter(gate)
        self.heard = self.silent = self.talking = 0.0
        self._frames = 0

    def listen(self, frames: Iterable[Samples | Waiting]) -> Iterator[Level | Take | None]:
        """Begin to listen: takes and levels as they come, and None so that whoever listens can look at the time.

        Raises:
            LessonError: there is no sound.
        """
        self.segmenter.reset()
        self.heard = self.silent = self.talking = 0.0
        began, sound = self._frames, time.monotonic()
        for frame in frames:
            if isinstance(frame, Waiting):
                if time.monotonic() - sound > STARTS_WITHIN:
                    raise LessonError(f"no microphone: {frame.reason}. Nothing was learned")
                continue
            sound = time.monotonic()
            utterance = self.segmenter.push(frame)
            self._frames += 1
            self.heard += FRAME_SECONDS
            self.silent = 0.0 if self.segmenter.open else self.silent + FRAME_SECONDS
            self.talking = self.talking + FRAME_SECONDS if self.segmenter.open else 0.0
            yield Level(self.segmenter.level, self.segmenter.open) if self._frames % 10 == 0 else None
            if utterance is not None:
                whole = utterance.start - began * FRAME_SECONDS > CUT_OFF
                yield (
                    judge("microphone", utterance, self._gate)
                    if whole
                    else Take("microphone", None, TOO_EARLY, "cut_off")
                )


def lesson(frames: Iterable[Samples | Waiting], takes: int, gate: Gate) -> Iterator[Prompt | Level | Take]:
    """Hear ``takes`` good takes in ``frames``.

    Raises:
        LessonError: nobody spoke for 20 s, nothing that was said in a minute was a good take, or there is no sound.
    """
    ear = Ear(gate)
    accepted, good = 0, 0.0
    refused: str | None = None
    begun = False
    for event in ear.listen(frames):
        if not begun:
            begun = True
            yield Prompt(1, takes)
        if isinstance(event, Level):
            yield event
        if ear.silent > PATIENCE:
            raise LessonError(
                f"heard nobody speak for {PATIENCE:.0f} s, {accepted} of {takes} takes. Nothing was learned"
            )
        if ear.heard - good > FRUITLESS:
            raise LessonError(
                f"{_why_fruitless(ear.segmenter, refused)}: no good take in {FRUITLESS:.0f} s, {accepted} of "
                f"{takes} takes. Nothing was learned"
            )
        if not isinstance(event, Take):
            continue
        accepted += event.accepted
        refused = event.reason
        good = ear.heard if event.accepted else good
        yield event
        if accepted == takes:
            return
        yield Prompt(accepted + 1, takes)
    raise LessonError(f"the sound ended after {accepted} of {takes} takes. Nothing was learned")


def _why_fruitless(segmenter: Segmenter, refused: str | None) -> str:
    """What kept a lesson from getting anywhere, and what to do about it."""
    if segmenter.open:
        return f"it does not get quiet ({segmenter.level:.0f} dBFS), so no word ends; turn off what makes the noise"
    return f"the last take was {refused}" if refused else "hardly anything was heard; come closer"
