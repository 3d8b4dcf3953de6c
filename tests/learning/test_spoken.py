"""The spoken lesson, with a person who answers what the speaker says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.config import Config, ShellAction
from speakerd.config.settings import Outputs
from speakerd.events import LEARN, STOP, Samples, Waiting
from speakerd.house import Mind
from speakerd.learning.household import Household
from speakerd.learning.lesson import LessonError
from speakerd.learning.spoken import Event, Learned, SpokenLesson, Subject, subjects
from speakerd.learning.takes import Take, judge_recording
from speakerd.speaking.phrases import Phrases
from tests.recordings import by_one_person, room, said, talk

COMMAND = Subject(("ask_command",), "name_command")
ASKED = {"ask_command", "again", "more", "check", "check_failed", "close", "action", "different"}


class Person:
    """Hears what the speaker says, and answers with the next of ``clips``; ``instead`` says what to a phrase, once for
    each that it is given. Nothing more is said where it has ``None``."""

    def __init__(self, *clips: Samples, **instead: list[Samples | None]) -> None:
        self._clips, self._instead = cycle(clips), instead
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.hushed = False

    @property
    def phrases(self) -> list[str]:
        return [phrase for phrase, _ in self.heard]

    def say(self, key: str, ready: bool = False, **values: Any) -> str:
        assert not self.hushed
        self.heard.append((key, values))
        return self.text(key, **values)

    def text(self, key: str, **values: Any) -> str:
        return Phrases("en").text(key, **values)

    def hush(self, silent: bool = True) -> None:
        self.hushed = silent

    @contextmanager
    def ears(self) -> Iterator[Iterator[Samples | Waiting]]:
        planned = self._instead.get(self.heard[-1][0])
        answer = planned.pop(0) if planned else next(self._clips)
        yield iter(frames_of(room(20) if answer is None else said(0.5, answer, 10.0)))


@pytest.fixture
def household(mind: Mind, tmp_path: Path) -> Household:
    return mind.household(tmp_path / "state", Config())


def course(household: Household, person: Person, subject: Subject = COMMAND) -> tuple[list[Event], str | None]:
    """What happens in a lesson, and why it ended before anything was learned."""
    events: list[Event] = []
    try:
        for event in SpokenLesson(household, person.ears, person, subject).run():
            events.append(event)
    except LessonError as error:
        return events, str(error)
    return events, None


def known(household: Household) -> list[tuple[str, str | None]]:
    return [(command.name, command.action) for command in household.knowledge.commands]


def teach(household: Household, name: str, word: str, action: str | None = None, many: int = 4) -> None:
    takes = [judge_recording(word, said(0.3, clip, 0.5), household.config.gate) for clip in by_one_person(word, many)]
    household.enroll(name, takes, action=action)


def recognised(household: Household, clip: Samples) -> str | None:
    """The command that a recording is taken for."""
    take = judge_recording("a", said(0.3, clip, 0.5), household.config.gate)
    assert take.utterance is not None
    match = household.match(household.examples.embedded(take.utterance))
    return match.command if match is not None and match.accepted else None


def test_a_command_is_asked_for_said_again_checked_and_learned(household: Household) -> None:
    *clips, last = by_one_person("speaker", 9)
    person = Person(*clips)
    events, fault = course(household, person)
    assert fault is None
    assert person.phrases[:3] == ["ask_command", "again", "again"]
    assert person.phrases[-2].startswith("check")
    assert person.heard[-1][0].startswith("learned")
    assert person.heard[-1][1] == {"name": "command 1"}
    assert known(household) == [("command 1", None)]
    assert isinstance(events[-1], Learned)
    assert events[-1].command == household.knowledge.commands[0]
    assert 4 <= len(events[-1].command.examples) <= 7
    assert len(household.history()) == 1  # all of it in one version
    assert recognised(household, last) == "command 1"


def test_the_next_command_has_the_next_name(household: Household) -> None:
    course(household, Person(*by_one_person("speaker", 9)))
    course(household, Person(*by_one_person("close", 9)))
    assert known(household) == [("command 1", None), ("command 2", None)]
    household.rename("command 1", "lamp")
    course(household, Person(*by_one_person("project", 9)))
    assert {name for name, _ in known(household)} == {"command 1", "command 2", "lamp"}


def without_a_pause(clip: Samples, seconds: float) -> Samples:
    return np.concatenate([clip[4000:8000]] * round(4 * seconds))


@pytest.mark.parametrize(
    ("spoilt", "phrase"),
    [
        (lambda clip: clip * np.float32(0.01 / np.abs(clip).max()), "too_quiet"),
        (lambda clip: np.clip(clip * np.float32(30 / np.abs(clip).max()), -1, 1), "too_loud"),
        (lambda clip: without_a_pause(clip, 5), "too_long"),
        (lambda clip: without_a_pause(clip, 10), "noise"),
    ],
)
def test_a_take_is_refused_for_what_is_wrong_with_it(
    household: Household, spoilt: Callable[[Samples], Samples], phrase: str
) -> None:
    clips = by_one_person("speaker", 9)
    person = Person(*clips, again=[spoilt(clips[8])])
    events, fault = course(household, person)
    assert fault is None
    assert person.phrases[:3] == ["ask_command", "again", phrase]
    takes = [event for event in events if isinstance(event, Take)]
    assert [take.fault for take in takes][:2] == [None, phrase]
    assert isinstance(events[-1], Learned)


def test_who_speaks_before_the_tone_is_over_is_cut_off(household: Household) -> None:
    clips = by_one_person("speaker", 9)
    person = Person(*clips)
    early = clips[8][np.flatnonzero(np.abs(clips[8]) > 0.1)[0] :]

    @contextmanager
    def ears() -> Iterator[Iterator[Samples | Waiting]]:
        if person.phrases == ["ask_command", "again"]:
            yield iter(frames_of(said(early, 2.0)))
        else:
            with person.ears() as frames:
                yield frames

    assert isinstance(list(SpokenLesson(household, ears, person, COMMAND).run())[-1], Learned)
    assert person.phrases[:3] == ["ask_command", "again", "cut_off"]


def test_more_takes_where_it_would_be_missed_too_often_but_not_without_end(mind: Mind, tmp_path: Path) -> None:
    config = Config()
    strict = replace_listening(config, highest_frr=0.0001)
    household = mind.household(tmp_path / "state", strict)
    person = Person(*by_one_person("speaker", 9))
    _, fault = course(household, person)
    assert fault is None
    assert person.phrases.count("more") == 2
    assert person.phrases[-1] == "learned_doubtful"


def replace_listening(config: Config, **changes: Any) -> Config:
    return msgspec.structs.replace(config, listening=msgspec.structs.replace(config.listening, **changes))


# -- somebody else, and the television


@pytest.mark.parametrize("when", ["ask_command", "again", "check"])
def test_somebody_else_who_talks_is_not_learned(household: Household, when: str) -> None:
    clips = by_one_person("speaker", 9)
    sentence = talk(1)[0][:32000]
    answers: dict[str, list[Samples | None]] = {when: [sentence]}
    person = Person(*clips, **answers)
    events, fault = course(household, person)
    assert fault is None, person.phrases
    assert {"different", "check_failed"} & set(person.phrases)
    (command,) = household.knowledge.commands
    takes = [event for event in events if isinstance(event, Take)]
    assert len(command.examples) < len(takes)
    assert recognised(household, clips[8]) == "command 1"
    assert recognised(household, sentence) is None


class Television(Person):
    """Goes on whether it is listened to or not."""

    def __init__(self, sound: Samples) -> None:
        super().__init__()
        self._frames = frames_of(sound)

    @contextmanager
    def ears(self) -> Iterator[Iterator[Samples | Waiting]]:
        yield self._frames


def test_a_television_that_never_pauses_is_too_much_noise(household: Household) -> None:
    voices = talk(24)
    length = min(len(voice) for voice in voices)
    babble = [np.sum([voice[:length] for voice in voices[i : i + 3]], axis=0) for i in range(0, 24, 3)]
    person = Television(np.concatenate(babble) + room(8 * length / 16000)[: 8 * length])
    _, fault = course(household, person)
    assert fault is not None
    assert {"too_long", "noise"} & set(person.phrases)
    assert known(household) == []


def test_a_television_that_pauses_is_never_learned(household: Household) -> None:
    person = Television(said(*talk(12)))
    _, fault = course(household, person)
    assert fault == person.text("gave_up")
    assert "different" in person.phrases
    assert known(household) == []


# -- ending it


def prepared(household: Household) -> Person:
    """Somebody whose lesson has all that a lesson can have: a close command, actions to choose from."""
    teach(household, "stop it", "signal", STOP)
    teach(household, "lamp", "speaker")
    outputs = Outputs(actions={"light": ShellAction(["true"])})
    household.config = msgspec.structs.replace(household.config, outputs=outputs)
    return Person(*by_one_person("speaker", 9))


STATES = ["ask_command", "again", "check", "close"]


@pytest.mark.parametrize("state", STATES)
def test_silence_ends_it(household: Household, state: str) -> None:
    person = prepared(household)
    before = household.knowledge
    person._instead[state] = [None]
    _, fault = course(household, person)
    assert fault == person.text("nobody")
    assert person.phrases[-2:] == [state, "nobody"]
    assert household.knowledge == before


@pytest.mark.parametrize("state", [*STATES, "action"])
def test_the_stop_phrase_ends_it(household: Household, state: str) -> None:
    person = prepared(household)
    before = household.knowledge
    person._instead[state] = [by_one_person("signal", 6)[5]]
    _, fault = course(household, person)
    assert fault == person.text("stopped")
    assert person.phrases[-2:] == [state, "stopped"]
    assert household.knowledge == before


@pytest.mark.parametrize("state", [*STATES, "action"])
def test_a_button_ends_it_while_somebody_is_asked_to_speak(household: Household, state: str) -> None:
    person = prepared(household)
    before = household.knowledge
    spoken = SpokenLesson(household, person.ears, person, COMMAND)
    with pytest.raises(LessonError, match="I stop"):
        for _ in spoken.run():
            if person.phrases and person.phrases[-1] == state:
                spoken.stop()
    assert person.phrases[-2:] == [state, "stopped"]
    assert household.knowledge == before


def test_somebody_who_goes_away_ends_it(household: Household) -> None:
    person = prepared(household)
    before = household.knowledge
    events = SpokenLesson(household, person.ears, person, COMMAND).run()
    for event in events:
        if isinstance(event, Take):
            events.close()  # type: ignore[attr-defined]
            break
    assert household.knowledge == before


def test_a_microphone_that_goes_ends_it(household: Household) -> None:
    person = Person(*by_one_person("speaker", 9))

    @contextmanager
    def ears() -> Iterator[Iterator[Samples | Waiting]]:
        yield iter([np.zeros(320, np.float32)])

    with pytest.raises(LessonError, match="the sound ended"):
        list(SpokenLesson(household, ears, person, COMMAND).run())
    assert person.phrases == ["ask_command", "gave_up"]


# -- close to another command


def test_close_to_another_command_and_kept_all_the_same(household: Household) -> None:
    teach(household, "lamp", "speaker")
    person = Person(*by_one_person("speaker", 9)[4:])
    events, fault = course(household, person)
    assert fault is None
    assert ("close", {"name": "lamp"}) in person.heard
    assert known(household) == [("command 1", None), ("lamp", None)]
    assert isinstance(events[-1], Learned)
    assert events[-1].close == ["lamp"]


def test_close_to_another_command_and_something_else_instead(household: Household) -> None:
    teach(household, "lamp", "speaker")
    other = by_one_person("close", 9)
    person = Person(*by_one_person("speaker", 9)[4:])
    answers = person._clips

    def afterwards() -> Iterator[Samples]:
        while "close" not in person.phrases:
            yield next(answers)
        yield from other

    person._clips = afterwards()  # type: ignore[assignment]
    _, fault = course(household, person)
    assert fault is None
    assert person.phrases.count("close") == 1
    assert recognised(household, other[8]) == "command 1"


# -- what it shall do


@pytest.fixture
def wired(household: Household) -> Household:
    """With three actions, of which the first is taken."""
    actions = {name: ShellAction(["true"]) for name in ("light", "radio", "blind")}
    household.config = msgspec.structs.replace(household.config, outputs=Outputs(actions=dict(actions)))
    teach(household, "lamp", "close", "light")
    return household


def offered(person: Person) -> list[tuple[int, str]]:
    return [(values["number"], values["action"]) for phrase, values in person.heard if phrase == "action"]


def test_free_actions_are_offered_first_by_number_and_saying_it_again_takes_one(wired: Household) -> None:
    person = Person(*by_one_person("speaker", 9), action=[None])
    _, fault = course(wired, person)
    assert fault is None
    assert offered(person) == [(2, "radio"), (3, "blind")]
    assert ("command 1", "blind") in known(wired)


def test_who_wants_none_of_the_actions_says_nothing(wired: Household) -> None:
    person = Person(*by_one_person("speaker", 9), action=[None, None, None])
    _, fault = course(wired, person)
    assert fault is None
    assert offered(person) == [(2, "radio"), (3, "blind"), (1, "light")]
    assert ("command 1", None) in known(wired)


def test_somebody_else_chooses_no_action(wired: Household) -> None:
    person = Person(*by_one_person("speaker", 9), action=[by_one_person("project", 1)[0]])
    course(wired, person)
    assert ("command 1", "blind") in known(wired)


# -- the first phrases


def test_where_nothing_is_known_the_first_phrases_are_taught(household: Household) -> None:
    for subject, word in zip(subjects(household.knowledge), ["speaker", "close"], strict=True):
        _, fault = course(household, Person(*by_one_person(word, 9)), subject)
        assert fault is None
    assert known(household) == [("learn something new", LEARN), ("stop", STOP)]
    assert list(subjects(household.knowledge)) == [COMMAND]


def test_after_a_power_cut_between_them_the_second_is_asked_for(household: Household) -> None:
    first, second = subjects(household.knowledge)
    course(household, Person(*by_one_person("speaker", 9)), first)
    assert list(subjects(household.knowledge)) == [second]
    assert second.action == STOP


def test_a_first_phrase_never_takes_the_name_of_a_command(household: Household) -> None:
    teach(household, "Stop", "project")
    course(household, Person(*by_one_person("close", 9)), Subject(("ask_stop",), "name_stop", STOP))
    assert set(known(household)) == {("Stop", None), ("command 1", STOP)}
