import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import frames_of
from speakerd.config.settings import Gate
from speakerd.demo.truth import lessons
from speakerd.events import Samples, Waiting
from speakerd.learning.lesson import FRUITLESS, PATIENCE, LessonError, Level, Prompt, lesson
from speakerd.learning.takes import Take
from tests.recordings import clips, room, said

CLIPS = [read_audio(path) for path in lessons()["kitchen lamp"]]
SYLLABLE = CLIPS[0][int(np.argmax(np.abs(CLIPS[0]))) :][:2240]  # 0.14 s


class Ears:
    """What the microphone hears, frame by frame, and how much of it was listened to."""

    def __init__(self, *stretches: Samples | Waiting) -> None:
        self.heard = 0
        self._stretches = stretches

    def __iter__(self) -> Iterator[Samples | Waiting]:
        for stretch in self._stretches:
            for frame in [stretch] if isinstance(stretch, Waiting) else frames_of(stretch):
                self.heard += 1
                yield frame


def course(ears: Ears, takes: int = 3) -> tuple[list[Prompt | Take], str | None]:
    """What a lesson says, but for levels, and why it ended early."""
    events: list[Prompt | Take] = []
    try:
        for event in lesson(ears, takes, Gate()):
            if not isinstance(event, Level):
                events.append(event)
    except LessonError as error:
        return events, str(error)
    return events, None


def test_three_times_said_are_three_takes_and_the_lesson_is_over() -> None:
    ears = Ears(said(1, CLIPS[0], 1, CLIPS[1], 1, CLIPS[2], 1, CLIPS[0], 5))
    events, fault = course(ears)
    assert fault is None
    assert [event for event in events if isinstance(event, Prompt)] == [Prompt(1, 3), Prompt(2, 3), Prompt(3, 3)]
    takes = [event for event in events if isinstance(event, Take)]
    assert [(take.accepted, take.reason, take.source) for take in takes] == [(True, None, "microphone")] * 3
    assert isinstance(events[-1], Take)
    assert ears.heard < 50 * 10  # nothing after the third was listened to


@pytest.mark.parametrize("pause", [0.6, 1.5])
def test_people_with_pauses_give_as_many_takes(pause: float) -> None:
    words = clips("hadouken", 5)
    ears = Ears(said(1, *(piece for word in words for piece in (word, pause)), 1))
    events, fault = course(ears, 5)
    assert fault is None
    takes = [event for event in events if isinstance(event, Take)]
    assert [take.accepted for take in takes] == [True] * 5
    starts = np.cumsum([1, *(len(word) / 16000 + pause for word in words)])[:5]
    for take, start in zip(takes, starts, strict=True):
        assert take.utterance is not None
        assert -0.1 < take.utterance.start - start < 0.6


def test_level_is_told_five_times_a_second_and_when_it_is_speech() -> None:
    levels = [event for event in lesson(Ears(said(1, CLIPS[0], 1)), 1, Gate()) if isinstance(event, Level)]
    assert not any(level.open for level in levels[:5])
    assert any(level.open for level in levels[5:])
    assert all(-80 < level.dbfs < -55 for level in levels[:5])
    assert max(level.dbfs for level in levels) > -30
    seconds = 1 + len(CLIPS[0]) / 16000  # it ends soon after the word
    assert len(levels) == pytest.approx(5 * seconds, abs=3)


def test_what_cannot_be_a_command_is_refused_and_asked_for_again() -> None:
    talk = np.concatenate([CLIPS[0][9000:17000]] * 10)
    events, fault = course(Ears(said(1, CLIPS[0], 1, SYLLABLE, 1, talk, 1, CLIPS[1], 1)), 2)
    assert fault is None
    told = [event.number if isinstance(event, Prompt) else event.reason for event in events]
    assert told[:2] == [1, None]
    assert told[2::2] == [2, 2, 2]
    assert "too short" in str(told[3])
    assert "too long" in str(told[5])
    assert told[7] is None


def test_silence_ends_a_lesson_after_twenty_seconds() -> None:
    ears = Ears(room(60))
    events, fault = course(ears)
    assert events == [Prompt(1, 3)]
    assert fault == "heard nobody speak for 20 s, 0 of 3 takes. Nothing was learned"
    assert ears.heard == pytest.approx(50 * PATIENCE, abs=2)


def test_patience_begins_anew_with_every_word() -> None:
    ears = Ears(said(15, CLIPS[0], 15, SYLLABLE, 15, CLIPS[1], 30))
    events, fault = course(ears)
    assert sum(isinstance(event, Take) and event.accepted for event in events) == 2
    assert fault == "heard nobody speak for 20 s, 2 of 3 takes. Nothing was learned"
    assert ears.heard < 50 * (45 + 20 + 8)


def test_sound_without_a_pause_ends_a_lesson_with_the_reason() -> None:
    talk = np.concatenate([CLIPS[0][9000:17000]] * 200)
    ears = Ears(said(1, CLIPS[0], 1), said(talk))
    events, fault = course(ears)
    assert sum(isinstance(event, Take) and event.accepted for event in events) == 1
    assert fault is not None
    assert fault.startswith("it does not get quiet")
    assert fault.endswith("no good take in 60 s, 1 of 3 takes. Nothing was learned")
    assert ears.heard == pytest.approx(50 * (FRUITLESS + 3), abs=100)


def test_takes_of_which_none_is_good_end_a_lesson_with_the_reason() -> None:
    events, fault = course(Ears(*[said(4, SYLLABLE)] * 20))
    assert fault is not None
    assert fault.startswith("the last take was too short: 0.1")
    assert fault.endswith("no good take in 60 s, 0 of 3 takes. Nothing was learned")
    assert all(event.reason for event in events if isinstance(event, Take))


def test_lost_microphone_ends_a_lesson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerd.learning.lesson.STARTS_WITHIN", -1.0)  # as if it had been gone for long
    events, fault = course(Ears(said(1, CLIPS[0], 1), Waiting("the microphone was unplugged"), said(1, CLIPS[1], 1)))
    assert fault == "no microphone: the microphone was unplugged. Nothing was learned"
    assert sum(isinstance(event, Take) for event in events) == 1


def test_microphone_that_takes_its_time_is_waited_for() -> None:
    events, fault = course(Ears(Waiting("no sound arrives yet"), said(1, CLIPS[0], 1)))
    assert events[0] == Prompt(1, 3)
    assert sum(isinstance(event, Take) for event in events) == 1
    assert fault == "the sound ended after 1 of 3 takes. Nothing was learned"


def test_nobody_is_asked_to_speak_to_a_microphone_that_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerd.learning.lesson.STARTS_WITHIN", -1.0)
    assert course(Ears(Waiting("none is plugged in"))) == ([], "no microphone: none is plugged in. Nothing was learned")


def test_sound_that_ends_ends_a_lesson() -> None:
    _, fault = course(Ears(said(1, CLIPS[0], 1)))
    assert fault == "the sound ended after 1 of 3 takes. Nothing was learned"


def test_lesson_listens_only_as_it_is_asked_to() -> None:
    ears = Ears(said(1, CLIPS[0], 1))
    assert next(lesson(ears, 3, Gate())) == Prompt(1, 3)  # as soon as there is sound
    assert ears.heard == 1
    assert len(list(itertools.islice(lesson(ears, 3, Gate()), 3))) == 3
    assert ears.heard == 21
