"""Spoken lessons as they are asked for: one at a time, ended from outside, with the action that was asked for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.config import ShellAction
from speakerd.config.settings import Outputs
from speakerd.control.messages import Lesson, Rename, StopLesson, Teach
from speakerd.control.service import Service
from speakerd.errors import SpeakerdError
from speakerd.events import LEARN, STOP, Samples, Waiting
from speakerd.learning.household import Household
from tests.control.conftest import Ears
from tests.learning.test_spoken import Person, known, teach
from tests.recordings import by_one_person, room


def hears(service: Service, person: Person, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the person be whom the speaker speaks to."""
    service.lessons.voice = person
    monkeypatch.setattr(type(ears), "__call__", lambda self: person.ears())


@pytest.fixture
def person(service: Service, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> Person:
    person = Person(*by_one_person("speaker", 9))
    hears(service, person, ears, monkeypatch)
    return person


@pytest.fixture
def wired(household: Household) -> Household:
    """With two actions, and the first phrases."""
    teach(household, "learn", "signal", LEARN)
    teach(household, "stop", "print", STOP)
    outputs = Outputs(actions={"light": ShellAction(["true"]), "radio": ShellAction(["true"])})
    household.config = msgspec.structs.replace(household.config, outputs=outputs)
    return household


@pytest.mark.parametrize(("asked", "action"), [(None, "light"), ("radio", "radio"), ("2", "radio")])
def test_a_lesson_for_an_action_by_name_or_number(
    wired: Household, service: Service, person: Person, asked: str | None, action: str
) -> None:
    told = list(service.ask(Lesson(asked)))
    assert ("action" in person.phrases) == (asked is None)
    assert told[0] == {"said": "Say the new command after the tone."}
    assert told[1] == {"take": 1, "of": 3}
    assert [item["heard"] for item in told if "heard" in item][:3] == [True] * 3
    assert (told[-1]["command"], told[-1]["action"]) == ("command 1", action)
    assert told[-1]["confusable_with"] == []
    (renamed,) = service.ask(Rename("command 1", "Lampe"))
    assert ("Lampe", action) in known(wired)
    assert renamed["examples"] == told[-1]["examples"]


def test_an_action_that_there_is_not_is_answered_with_those_that_there_are(
    wired: Household, service: Service, person: Person
) -> None:
    with pytest.raises(SpeakerdError, match=r"3 is no action .* There are: 1 light, 2 radio"):
        list(service.ask(Lesson("3")))
    assert person.heard == []


def test_where_nothing_is_known_the_first_lesson_is_about_the_first_phrases(
    household: Household, service: Service, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(Person):
        """Says one phrase until it is learned, then the other."""

        @contextmanager
        def ears(self) -> Iterator[Iterator[Samples | Waiting]]:
            word = "print" if "ask_stop" in self.phrases else "signal"
            self._clips = iter([by_one_person(word, 12)[len(self.heard) % 12]])  # type: ignore[assignment]
            with super().ears() as frames:
                yield frames

    person = Two()
    hears(service, person, ears, monkeypatch)
    list(service.ask(Lesson()))
    assert person.phrases[:2] == ["hello", "ask_learn"]
    assert sorted(known(household)) == [("learn something new", LEARN), ("stop", STOP)]


def test_a_speaker_that_does_not_speak_says_what_to_do(service: Service) -> None:
    with pytest.raises(SpeakerdError, match=r"speaking\.enabled"):
        list(service.ask(Lesson()))


@pytest.mark.parametrize("second", [Lesson(), Teach("lamp")])
def test_two_lessons_at_once(wired: Household, service: Service, person: Person, second: Any) -> None:
    first = service.ask(Lesson())
    for item in first:
        if "heard" in item:
            break
    with pytest.raises(SpeakerdError, match="another lesson is going on"):
        list(service.ask(second))
    assert list(first)[-1]["command"] == "command 1"
    assert len(known(wired)) == 3


def test_a_lesson_is_ended_from_outside(wired: Household, service: Service, person: Person) -> None:
    (nothing,) = service.ask(StopLesson())
    assert nothing == {"stopped": False}
    before = wired.knowledge
    heard = threading.Event()
    ended: list[str] = []

    def slowly() -> Iterator[Samples]:
        for frame in frames_of(room(20)):
            heard.set()
            time.sleep(0.005)  # or the silence would be over before anybody could end it
            yield frame

    @contextmanager
    def silence() -> Iterator[Iterator[Samples | Waiting]]:
        yield slowly()

    person.ears = silence  # type: ignore[method-assign]

    def learn() -> None:
        try:
            list(service.ask(Lesson()))
        except SpeakerdError as error:
            ended.append(str(error))

    lesson = threading.Thread(target=learn)
    lesson.start()
    assert heard.wait(10)
    (stopped,) = service.ask(StopLesson())
    lesson.join(10)
    assert stopped == {"stopped": True}
    assert ended == [person.text("stopped")]
    assert wired.knowledge == before


def test_nobody_is_asked_to_speak_to_a_speaker_that_is_muted(
    wired: Household, service: Service, person: Person
) -> None:
    service._switches.mute.begin(None)
    with pytest.raises(SpeakerdError, match="unmute"):
        list(service.ask(Lesson()))
    assert person.heard == []
    service._switches.mute.end()
