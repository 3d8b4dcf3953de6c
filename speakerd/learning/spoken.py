"""The spoken lesson: somebody without a screen and a keyboard teaches a command.

    ask ─► listen ─► judge ─┬─ refused, unlike the others, too few ─► listen
                            └─ enough ─► check ─┬─ not known again ─► check
                                                ├─ close to another ─► choose ─┬─ something else ─► judge
                                                │                              └─ kept ─► act
                                                └─ act ─► learn

Whoever says the new command again says yes. Silence, the stop phrase and a button end the lesson in each of these but
the last, and nothing is stored before it. It is bounded: after so many takes it gives up.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from speakerd.errors import SpeakerdError
from speakerd.events import LEARN, STOP, Samples, Waiting
from speakerd.learning.draft import Draft
from speakerd.learning.household import Household
from speakerd.learning.lesson import Ear, LessonError, Level, Prompt
from speakerd.learning.takes import Take
from speakerd.recognition.head import Matrix
from speakerd.store.knowledge import Command, Knowledge

FEWEST = 3  # takes of a command
MORE = 2  # further ones where with so few it would be missed too often
TRIES = 12  # times that somebody is asked to say the command
PATIENCE = 8.0  # seconds of silence that end a lesson
ANSWER = 4.0  # seconds of silence that are the answer no
NOISY = 6.0  # seconds without a pause, after which what is heard is noise
OFFERED = 5  # actions that are offered


class Voice(Protocol):
    """Says phrases of the language files; a mouth, in the daemon."""

    def say(self, key: str, ready: bool = False, **values: Any) -> str: ...

    def text(self, key: str, **values: Any) -> str: ...

    def hush(self, silent: bool = True) -> None: ...


@dataclass(frozen=True)
class Subject:
    """What is to be taught: ``asking`` (said one after the other) and ``name`` are phrases; ``action`` is what the
    command shall do, None: to be asked."""

    asking: tuple[str, ...]
    name: str
    action: str | None = None


@dataclass(frozen=True)
class Said:
    """The speaker has said so."""

    text: str


@dataclass(frozen=True)
class Learned:
    """The command, and the names of those that it is close to."""

    command: Command
    close: list[str]


class _EndedError(Exception):
    """The lesson is over; ``phrase`` says why."""

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase


Event = Said | Prompt | Level | Take | Learned
Heard = tuple[Take, Matrix | None]  # the embeddings are None where there is no utterance
Course = Generator[Event, None, "State | None"]
State = Callable[[], Course]


def subjects(knowledge: Knowledge) -> Iterator[Subject]:
    """What the next lesson is about: where nothing is known, first of all the phrases that begin and end lessons."""
    if not first_phrases_missing(knowledge):
        yield Subject(("ask_command",), "name_command")
        return
    if not knowledge.commands:
        yield Subject(("hello", "ask_learn"), "name_learn", LEARN)
    yield Subject(("ask_stop",), "name_stop", STOP)


def first_phrases_missing(knowledge: Knowledge) -> bool:
    """Whether nothing is known, or nothing but the phrase that begins lessons: the first start was interrupted."""
    return all(command.action == LEARN for command in knowledge.commands)


class SpokenLesson:
    """One lesson. ``ears`` opens the microphone, each time that somebody is to speak; :meth:`stop` may be called from
    another thread."""

    def __init__(
        self, household: Household, ears: Callable[[], AbstractContextManager[Iterator[Samples | Waiting]]],
        voice: Voice, subject: Subject,
    ) -> None:  # fmt: skip
        self._household, self._ears, self._voice, self._subject = household, ears, voice, subject
        self._ear = Ear(household.config.gate)
        self._fewest = max(FEWEST, household.config.enrolment.takes)
        self._draft = Draft(household)
        self._heard: Heard
        self._asking_for_check = "check"
        self._close: list[str] = []
        self._tries = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End it at once."""
        self._stopped.set()
        self._voice.hush()

    def run(self) -> Iterator[Event]:
        """What happens, as it happens.

        Raises:
            LessonError: it ended before anything was learned.
            SpeakerdError: it cannot be stored.
        """
        self._voice.hush(False)
        state: State | None = self._asking
        try:
            while state is not None:
                state = yield from state()
        except _EndedError as end:
            self._voice.hush(False)
            raise LessonError(self._voice.say(end.phrase)) from None
        except SpeakerdError:
            self._voice.say("gave_up")
            raise

    # -- the states: each says what it has to say, and which one comes next

    def _asking(self) -> Course:
        *before, question = self._subject.asking
        for phrase in before:
            yield from self._say(phrase)
        yield from self._say(question, ready=True)
        return self._listening

    def _listening(self) -> Course:
        yield Prompt(len(self._draft.takes) + 1, max(self._fewest, len(self._draft.takes) + 1))
        self._heard = yield from self._take(PATIENCE)
        return self._judging

    def _judging(self) -> Course:
        take, vectors = self._heard
        if take.fault:
            yield from self._say(take.fault, ready=True)
        elif vectors is None or not self._draft.add(take, vectors):
            yield from self._say("different", ready=True)
        elif len(self._draft.takes) < self._fewest:
            yield from self._say("again", ready=True)
        elif len(self._draft.takes) < self._fewest + MORE and self._draft.command()[0].over_budget:
            yield from self._say("more", ready=True)
        else:
            return self._checking
        return self._listening

    def _checking(self) -> Course:
        yield from self._say(self._asking_for_check, ready=True)
        take, vectors = yield from self._take(PATIENCE)
        if vectors is None or take.fault:
            self._asking_for_check = take.fault or "different"
            return self._checking
        draft, self._close = self._draft.command()
        match = self._household.match(vectors, draft)
        self._draft.add(take, vectors)
        if match is None or not match.accepted:
            self._asking_for_check = "check_failed"
            return self._checking
        if match.command != draft.name:
            self._close = [match.command]
        return self._choosing if self._close else self._acting

    def _choosing(self) -> Course:
        yield from self._say("close", ready=True, name=self._close[0])
        take, vectors = yield from self._take(ANSWER)
        if vectors is None or take.fault:
            return self._choosing
        if self._draft.like(vectors):
            return self._acting
        self._draft, self._heard = Draft(self._household), (take, vectors)
        return self._judging

    def _acting(self) -> Course:
        self._action = self._subject.action
        for number, action in offers(self._household) if self._action is None else ():
            yield from self._say("action", ready=True, number=number, action=action)
            try:
                _, vectors = yield from self._hear(ANSWER)
            except _EndedError as end:
                if end.phrase != "nobody":
                    raise
                continue
            if vectors is not None and self._draft.like(vectors):
                self._action = action
                break
        return self._learning

    def _learning(self) -> Course:
        name = self._free_name()
        command, _, close = self._household.enroll(name, self._draft.takes, action=self._action)
        yield from self._say("learned_doubtful" if command.over_budget else "learned", name=name)
        yield Learned(command, close)
        return None

    # -- what they have in common

    def _say(self, phrase: str, ready: bool = False, **values: Any) -> Iterator[Said]:
        if self._stopped.is_set():
            raise _EndedError("stopped")
        yield Said(self._voice.text(phrase, **values))
        self._voice.say(phrase, ready, **values)

    def _take(self, patience: float) -> Generator[Event, None, Heard]:
        """What is heard next, if this is not asked for too often.

        Raises:
            _EndedError: it is, or as :meth:`_hear`.
        """
        self._tries += 1
        if self._tries > TRIES:
            raise _EndedError("gave_up")
        return (yield from self._hear(patience))

    def _hear(self, patience: float) -> Generator[Event, None, Heard]:
        """What is heard next, and its embeddings.

        Raises:
            _EndedError: nobody spoke, or somebody ended the lesson.
        """
        with self._ears() as frames:
            for event in self._ear.listen(frames):
                if self._stopped.is_set():
                    raise _EndedError("stopped")
                if self._ear.silent > patience:
                    raise _EndedError("nobody")
                if isinstance(event, Level):
                    yield event
                if self._ear.talking > NOISY:
                    event = Take("microphone", None, f"it did not get quiet for {NOISY:.0f} s", "noise")
                if isinstance(event, Take):
                    yield event
                    return event, self._embedded(event)
        raise LessonError("the sound ended. Nothing was learned")

    def _embedded(self, take: Take) -> Matrix | None:
        if take.utterance is None:
            return None
        vectors = self._household.examples.embedded(take.utterance)
        match = self._household.match(vectors)
        known = self._household.knowledge.find(match.command) if match is not None and match.accepted else None
        if known is not None and known.action == STOP:
            raise _EndedError("stopped")
        return vectors

    def _free_name(self) -> str:
        """Something that the speaker can say, and `rename` can change."""
        known = self._household.knowledge
        if self._subject.name != "name_command" and known.find(self._voice.text(self._subject.name)) is None:
            return self._voice.text(self._subject.name)
        numbers = range(1, len(known.commands) + 2)
        names = (self._voice.text("name_command", number=number) for number in numbers)
        return next(name for name in names if known.find(name) is None)


def offers(household: Household) -> Sequence[tuple[int, str]]:
    """Actions of the settings and their numbers, those first that no command sets off yet."""
    outputs = household.config.outputs
    taken = {command.action for command in household.knowledge.commands}
    taken |= {action for actions in outputs.on.values() for action in actions}
    numbered = list(enumerate(outputs.actions, 1))
    return sorted(numbered, key=lambda one: one[1] in taken)[:OFFERED]
