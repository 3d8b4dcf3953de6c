"""Lessons: one at a time, whoever asks for it, with the microphone or with the speaker's voice as well."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from speakerd.control.messages import summary
from speakerd.events import Samples, Waiting
from speakerd.learning.household import EnrolmentError, Household
from speakerd.learning.lesson import LessonError, Level, Prompt, lesson
from speakerd.learning.spoken import Event, Learned, Said, SpokenLesson, Subject, Voice, subjects
from speakerd.learning.takes import Take
from speakerd.listening.policy import Switches

Ears = Callable[[], AbstractContextManager[Iterator[Samples | Waiting]]]


class Lessons:
    """``ears`` opens the microphone; ``voice`` is how the speaker speaks, None where it does not."""

    def __init__(self, household: Household, ears: Ears, switches: Switches) -> None:
        self._household, self._ears, self._switches = household, ears, switches
        self.voice: Voice | None = None
        self._lock = threading.Lock()
        self._spoken: SpokenLesson | None = None

    def guided(self, takes: int) -> Iterator[Prompt | Level | Take]:
        """Takes by the microphone, for somebody who sees what happens.

        Raises:
            LessonError: it came to nothing, or another lesson is going on.
        """
        with self._one_at_a_time(), self._ears() as frames:
            yield from lesson(frames, takes, self._household.config.gate)

    def spoken(self, action: str | None) -> Iterator[dict[str, Any]]:
        """Teach by voice: the first phrases where nothing is known yet, else a command. ``action`` is the name or the
        number of what it shall do; None: the speaker asks.

        Raises:
            LessonError: it came to nothing, or another lesson is going on, or the speaker does not speak.
            EnrolmentError: there is no such action.
        """
        voice = self.voice
        if voice is None:
            raise LessonError(
                "this speaker does not speak: switch speaking.enabled on in its settings, or teach with "
                "`speakerd enroll NAME`"
            )
        chosen = None if action is None else Subject(("ask_command",), "name_command", self._action(action))
        with self._one_at_a_time():
            try:
                for subject in [chosen] if chosen else list(subjects(self._household.knowledge)):
                    self._spoken = SpokenLesson(self._household, self._ears, voice, subject)
                    yield from map(_item, self._spoken.run())
            finally:
                self._spoken = None

    def stop(self) -> bool:
        """End the spoken lesson that is going on; whether there is one."""
        spoken = self._spoken
        if spoken is not None:
            spoken.stop()
        return spoken is not None

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if self._switches.mute.on:
            raise LessonError(f"the speaker is {self._switches.mute.words}; `speakerd unmute` lets it hear you")
        if not self._lock.acquire(blocking=False):
            raise LessonError("another lesson is going on; try again when it is over")
        try:
            yield
        finally:
            self._lock.release()

    def _action(self, wanted: str) -> str:
        actions = list(self._household.config.outputs.actions)
        if wanted in actions:
            return wanted
        if wanted.isdecimal() and 1 <= int(wanted) <= len(actions):
            return actions[int(wanted) - 1]
        known = ", ".join(f"{number} {name}" for number, name in enumerate(actions, 1)) or "none"
        raise EnrolmentError(f"{wanted} is no action in the settings (outputs.actions). There are: {known}")


def _item(event: Event) -> dict[str, Any]:
    match event:
        case Said(text):
            return {"said": text}
        case Prompt(number, of):
            return {"take": number, "of": of}
        case Level(dbfs, is_open):
            return {"level": round(dbfs, 1), "speech": is_open}
        case Take():
            return {"heard": event.fault is None, "reason": event.reason}
        case Learned(command, close):
            return summary(command) | {"confusable_with": close}
