"""Requests and their answers, as they are given in the daemon and in a command that works alone."""

import base64
import json
import threading
import time
from collections.abc import Generator
from typing import Any

import msgspec
import numpy as np
import pytest

from speakerd.audio.files import from_flac
from speakerd.audio.segmenter import frames_of
from speakerd.config import Config
from speakerd.control.messages import (
    Commands,
    Discard,
    Enroll,
    Forget,
    History,
    Known,
    Mute,
    Recording,
    Rename,
    Request,
    Rollback,
    Snapshot,
    Sound,
    Status,
    Teach,
    Undo,
    Unmute,
    Watch,
    Why,
)
from speakerd.control.service import Service
from speakerd.control.teaching import advice
from speakerd.errors import SpeakerdError
from speakerd.events import Detection, Waiting
from speakerd.house import Mind
from speakerd.learning.household import Household
from speakerd.learning.takes import judge_recording
from speakerd.listening.journal import Journal, Mark
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import BadNameError, Command, Heads
from tests.control.conftest import Ears, recordings
from tests.listening.test_spotter import heard
from tests.recordings import said
from tests.running import LAMP, NIGHT, clip, eventually


def ask(service: Service, request: Request) -> list[dict[str, Any]]:
    return list(service.ask(request))


def names(household: Household) -> list[str]:
    return [command.name for command in household.knowledge.commands]


# -- teaching from recordings


def test_each_recording_is_answered_in_order_and_then_the_command(service: Service, household: Household) -> None:
    good, bad = recordings(LAMP), Recording("notes.txt", b"", "not audio")
    silent = Recording("silent.wav", np.zeros(16000, "<f4").tobytes())
    told = ask(service, Enroll(LAMP, [bad, good[0], silent, good[1], good[2]]))
    assert [item.get("example") for item in told[:5]] == [
        "notes.txt",
        good[0].source,
        "silent.wav",
        *(recording.source for recording in good[1:]),
    ]
    assert [item["accepted"] for item in told[:5]] == [False, True, False, True, True]
    assert told[0]["reason"] == "not audio"
    assert "no speech found in 1.0 s" in told[2]["reason"]
    command = told[5]
    assert {"command", "examples", "threshold", "expected_fa_per_hour", "expected_frr", "confusable_with"} <= set(
        command
    )
    assert (command["command"], command["examples"], command["confusable_with"]) == (LAMP, 3, [])
    assert len(told) == 6
    assert names(household) == [LAMP]


def test_where_no_recording_can_be_used_it_is_said_why_and_nothing_changes(
    service: Service, household: Household
) -> None:
    ask(service, Enroll(LAMP, recordings(LAMP)))
    before = household.knowledge
    answers = service.ask(Enroll(LAMP, [Recording("a", b"", "empty"), Recording("b", b"")], replace=True))
    assert next(answers) == {"example": "a", "accepted": False, "reason": "empty"}
    assert next(answers)["accepted"] is False
    with pytest.raises(SpeakerdError, match="no example could be used, nothing was changed"):
        next(answers)
    assert household.knowledge == before


def damaged(at: slice, value: float) -> bytes:
    samples = clip(LAMP).copy()
    samples[at] = value
    return samples.astype("<f4").tobytes()


@pytest.mark.parametrize(
    "samples",
    [
        damaged(slice(12000, 12001), np.nan),
        damaged(slice(0, 1), np.inf),
        damaged(slice(12000, 12001), -np.inf),
        damaged(slice(None), 1e30),
        b"\x00",
        b"",
    ],
    ids=["a NaN", "infinite at the start", "minus infinite", "huge", "less than a sample", "nothing"],
)
def test_sound_that_is_none_is_refused_whoever_sends_it(service: Service, household: Household, samples: bytes) -> None:
    told = ask(service, Enroll(LAMP, [Recording("bad.wav", samples), *recordings(LAMP)]))
    assert [item["accepted"] for item in told[:4]] == [False, True, True, True]
    assert told[4]["examples"] == 3
    assert np.isfinite([told[4]["threshold"], told[4]["expected_frr"], told[4]["expected_fa_per_hour"]]).all()
    with pytest.raises(SpeakerdError):
        ask(service, Enroll(NIGHT, [Recording("bad.wav", samples)]))
    assert names(household) == [LAMP]


def test_a_recording_that_is_too_long_is_refused_whoever_sends_it(service: Service) -> None:
    long = Recording("long.wav", np.tile(clip(LAMP), 8)[: 11 * 16000].astype("<f4").tobytes())
    told = ask(service, Enroll(LAMP, [long, *recordings(LAMP)]))
    assert told[0]["accepted"] is False
    assert "11 s long" in told[0]["reason"]
    assert told[-1]["examples"] == 3


@pytest.mark.parametrize("request_for", [lambda name: Enroll(name, recordings(LAMP)), lambda name: Teach(name)])
@pytest.mark.parametrize("name", ["", " \t ", "x" * 81, "line\nbreak", "bell\a"])
def test_a_name_that_cannot_be_is_refused_before_anything_is_heard(
    service: Service, ears: Ears, household: Household, request_for: Any, name: str
) -> None:
    with pytest.raises(BadNameError):
        ask(service, request_for(name))
    assert ears.opened == 0
    assert names(household) == []


@pytest.mark.parametrize(
    "request_for", [lambda who: Enroll(LAMP, recordings(LAMP), speaker=who), lambda who: Teach(LAMP, speaker=who)]
)
@pytest.mark.parametrize("who", ["", "  ", "x" * 10_000, "Ada\nBob", "\x1b[31mAda"])
def test_a_speaker_is_named_like_a_command(
    service: Service, ears: Ears, household: Household, request_for: Any, who: str
) -> None:
    with pytest.raises(BadNameError) as caught:
        ask(service, request_for(who))
    assert len(str(caught.value)) < 200
    assert ears.opened == 0
    assert names(household) == []


def test_names_actions_and_speakers_are_kept(service: Service) -> None:
    told = ask(service, Enroll("  Küche/hell 💡 ", recordings(LAMP), action="lamp", speaker="Ada"))
    assert (told[-1]["command"], told[-1]["action"]) == ("Küche/hell 💡", "lamp")
    more = ask(service, Enroll("KÜCHE/HELL 💡", recordings(LAMP), speaker=" Bob "))
    assert (more[-1]["command"], more[-1]["examples"], more[-1]["action"]) == ("Küche/hell 💡", 6, "lamp")
    assert more[-1]["speakers"] == ["Ada", "Bob"]


# -- what is known, and its history


def test_history_undo_and_rollback(service: Service, household: Household) -> None:
    ask(service, Enroll(LAMP, recordings(LAMP)))
    ask(service, Enroll(NIGHT, recordings(NIGHT)))
    assert ask(service, Forget(LAMP)) == [{"forgotten": LAMP, "erased": False}]
    assert names(household) == [NIGHT]
    assert LAMP in ask(service, Undo())[0]["change"]
    assert names(household) == sorted([LAMP, NIGHT])
    assert ask(service, Rename(NIGHT, "bed"))[0]["command"] == "bed"
    assert ask(service, Rollback(1)) == [{"version": 1}]
    assert names(household) == [LAMP]
    history = ask(service, History())
    assert [version["version"] for version in history] == [6, 5, 4, 3, 2, 1]
    assert [version["current"] for version in history] == [True] + [False] * 5
    assert list(history[1]["commands"]) == ["bed", LAMP]
    for wrong in (Forget("nobody"), Rename("nobody", "x"), Rollback(99)):
        with pytest.raises(SpeakerdError, match=r"nobody|99"):
            ask(service, wrong)


def test_a_client_gets_all_that_it_needs_to_recognise_by_itself(service: Service, household: Household) -> None:
    ask(service, Enroll(LAMP, recordings(LAMP), action="lamp"))
    ask(service, Enroll(NIGHT, recordings(NIGHT, 2), speaker="Ada"))
    ask(service, Enroll(NIGHT, recordings(NIGHT, 1), speaker="Bob"))
    ask(service, Enroll(NIGHT, recordings(NIGHT, 3)))
    (item,) = ask(service, Known())
    over_the_wire = msgspec.json.decode(msgspec.json.encode(item))
    received = msgspec.convert(over_the_wire, Snapshot).knowledge()
    assert (received.version, received.encoder) == (household.knowledge.version, household.knowledge.encoder)
    for here, there in zip(household.knowledge.commands, received.commands, strict=True):
        assert (here.name, here.action, here.threshold, here.speakers, here.examples) == (
            there.name,
            there.action,
            there.threshold,
            there.speakers,
            there.examples,
        )
        assert here.heads.to_bytes() == there.heads.to_bytes()
        np.testing.assert_array_equal(here.heads.weights, there.heads.weights)
        np.testing.assert_array_equal(here.heads.bias, there.heads.bias)
    assert household.knowledge.commands[0].speakers == ("Ada", "Ada", "Bob", None, None, None), "a head an example"


def test_status_is_what_the_daemon_says_of_itself(service: Service) -> None:
    assert ask(service, Status()) == [{"up_seconds": 1, "muted": None, "muted_until": None, "playing": False}]


def test_mute_is_told_and_nobody_can_teach_by_microphone_meanwhile(service: Service, ears: Ears) -> None:
    before = time.time()
    (told,) = ask(service, Mute(5))
    assert "muted until" in told["muted"]
    assert before + 299 < told["muted_until"] < time.time() + 301
    assert ask(service, Status())[0].items() >= told.items()
    with pytest.raises(SpeakerdError, match=r"muted until .*speakerd unmute"):
        ask(service, Teach(LAMP))
    assert ears.opened == 0
    assert ask(service, Mute()) == [{"muted": "muted until `speakerd unmute`", "muted_until": None, "playing": False}]
    assert ask(service, Unmute()) == [{"muted": None, "muted_until": None, "playing": False}]
    ears.frames = list(frames_of(said(0.5)))
    assert next(iter(service.ask(Teach(LAMP)))) == {"take": 1, "of": 3}


# -- lessons


def test_a_lesson_learns_from_what_is_heard(service: Service, ears: Ears, household: Household) -> None:
    ears.frames = list(
        frames_of(said(0.5, clip(LAMP, 0), 0.5, clip(LAMP, 1), 0.5, clip(LAMP, 2), 0.5, clip(NIGHT), 0.5))
    )
    told = ask(service, Teach(LAMP, action="lamp"))
    assert [item["take"] for item in told if "take" in item] == [1, 2, 3]
    assert all(item["heard"] for item in told if "heard" in item)
    assert [item["example"] for item in told if "example" in item] == ["microphone"] * 3
    assert (told[-1]["command"], told[-1]["examples"], told[-1]["action"]) == (LAMP, 3, "lamp")
    assert ears.open == 0
    assert ask(service, Teach(LAMP, takes=1))[-1]["examples"] == 4, "as many takes as are asked for"


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([Waiting("'USB' is gone")], "the sound ended after 0 of 3 takes"),
        (list(frames_of(said(0.5, clip(LAMP), 1.0))), "the sound ended after 1 of 3 takes"),
        (list(frames_of(said(30.0))), "heard nobody speak for 20 s, 0 of 3 takes"),
    ],
)
def test_a_lesson_that_comes_to_nothing_leaves_everything_as_it_was(
    service: Service, ears: Ears, household: Household, frames: list[Any], why: str
) -> None:
    for _ in range(2):  # and the next one may begin
        ears.frames = frames
        with pytest.raises(SpeakerdError, match=why):
            ask(service, Teach(LAMP))
        assert ears.open == 0
    assert names(household) == []


def test_a_lesson_that_is_given_up_makes_room_for_another(service: Service, ears: Ears) -> None:
    ears.frames = list(frames_of(said(5.0)))
    given_up = service.ask(Teach(LAMP))
    next(given_up)
    with pytest.raises(SpeakerdError, match="another lesson is going on"):
        ask(service, Teach(NIGHT))
    assert ears.open == 1
    assert isinstance(given_up, Generator)
    given_up.close()  # as it is when whoever asked hangs up
    assert ears.open == 0
    assert next(service.ask(Teach(NIGHT))) == {"take": 1, "of": 3}


# -- watching


def detection(number: int, accepted: bool = True) -> Detection:
    return Detection(f"d{number}", number + 0.5, number, LAMP, 0.5 if accepted else 0.1, 0.3, accepted, None, 0.0)


class Watching:
    """Somebody who watches, in a thread of his own."""

    def __init__(self, service: Service, everything: bool) -> None:
        self.seen: list[str] = []
        self._answers = service.ask(Watch(everything))
        threading.Thread(target=self._read, daemon=True).start()

        def begun() -> bool:  # what came before anybody watched is not seen
            service.detected(detection(0))
            return bool(self.seen)

        eventually(begun)

    def _read(self) -> None:
        for item in self._answers:
            if item:  # now and then there is nothing, to find out whether anybody still watches
                self.seen.append(item["id"])

    def saw(self, *numbers: int) -> bool:
        return [seen for seen in self.seen if seen != "d0"] == [f"d{number}" for number in numbers]


def test_watchers_see_what_they_asked_for(service: Service) -> None:
    accepted, everything = Watching(service, False), Watching(service, True)
    for one in (detection(1), detection(2, accepted=False), detection(3)):
        service.detected(one)
    eventually(lambda: everything.saw(1, 2, 3))
    eventually(lambda: accepted.saw(1, 3))


def test_a_watcher_who_does_not_look_holds_nobody_up(service: Service) -> None:
    other = Watching(service, False)
    idle = service.ask(Watch(False))
    first: list[dict[str, Any]] = []
    begun = threading.Thread(target=lambda: first.append(next(idle)))
    begun.start()

    def looked_once() -> bool:
        service.detected(detection(0))
        return not begun.is_alive()

    eventually(looked_once)

    def show() -> None:
        for number in range(1, 1001):
            service.detected(detection(number))
            if number % 50 == 0:
                eventually(lambda: other.saw(*range(1, number + 1)))  # noqa: B023

    showing = threading.Thread(target=show, daemon=True)
    showing.start()
    showing.join(10)
    assert other.saw(*range(1, 1001)), "and somebody who looks misses nothing"
    missed = [next(idle)["id"] for _ in range(90)]  # the first of what waits for it
    numbers = [int(name[1:]) for name in missed if name != "d0"]
    assert numbers == list(range(1, len(numbers) + 1)), "what there was no room for is lost, not what came first"


# -- words


def command(name: str, over_budget: bool, examples: int = 3) -> Command:
    heads = Heads(np.zeros((1, 96), np.float32), np.zeros(1, np.float32))
    return Command(name, "lamp", 0.3, 2.0, 0.3, over_budget, heads, (None,), tuple(range(examples)))


@pytest.mark.parametrize(
    ("over_budget", "confusable", "words"),
    [
        (False, [], None),
        (True, [], "more examples"),
        (False, ["lamp on", "lamp off"], "sounds like lamp on, lamp off"),
        (True, ["lamp on"], "sounds like lamp on"),
    ],
)
def test_advice_is_given_where_there_is_reason_to(over_budget: bool, confusable: list[str], words: str | None) -> None:
    given = advice(command("x", over_budget), confusable, unknown_action=False)
    assert given is None if words is None else given is not None and words in given


def test_few_examples_and_an_unknown_action_are_named_first() -> None:
    given = advice(command("x", over_budget=True, examples=1), ["lamp on"], unknown_action=True)
    assert given is not None
    assert given.startswith("the settings have no action 'lamp' yet; give at least 3 examples")
    assert "sounds like" not in given


# -- why


@pytest.fixture
def lamp_said(mind: Mind, household: Household, journal: Journal) -> Detection:
    """LAMP and NIGHT are known, and LAMP was said."""
    for name in (LAMP, NIGHT):
        household.enroll(name, [judge_recording(name, clip(name, i), household.config.gate) for i in range(3)])
    spotter = Spotter(mind.encoder, mind.world, household.config.gate, household.knowledge)
    found = heard(spotter, said(1, clip(LAMP), 1))
    return next(journal.note(one) for one in found if one.accepted)


def test_why_tells_scores_examples_and_circumstances(service: Service, lamp_said: Detection) -> None:
    (told,) = ask(service, Why())
    assert told == next(iter(ask(service, Why(lamp_said.id))))
    assert (told["id"], told["command"], told["accepted"], told["audio"]) == (lamp_said.id, LAMP, True, True)
    assert [score["command"] for score in told["scores"]] == [LAMP, NIGHT]
    assert told["scores"][0]["score"] == told["score"] >= told["threshold"]
    assert told["level_dbfs"] > told["room_dbfs"]
    assert told["rule"] == f"accepted: {lamp_said.score:.2f} is enough, {lamp_said.threshold:.2f} is needed"
    nearest = told["nearest"]
    assert [near["command"] for near in nearest[:3]] == [LAMP] * 3
    assert nearest[0]["likeness"] > 0.9, "it is a recording that taught it"
    assert [near["likeness"] for near in nearest] == sorted((n["likeness"] for n in nearest), reverse=True)
    json.dumps(told)
    (line,) = ask(service, Why(all=True))
    assert line["id"] == lamp_said.id


def test_nearest_example_can_be_heard(service: Service, lamp_said: Detection) -> None:
    (told,) = ask(service, Why(lamp_said.id))
    (sound,) = ask(service, Sound(told["nearest"][0]["example"]))
    kept = from_flac(base64.b64decode(sound["flac"]))
    utterance = judge_recording("", clip(LAMP), Config().gate).utterance
    assert utterance is not None
    np.testing.assert_allclose(kept, utterance.samples, atol=1e-4)
    with pytest.raises(SpeakerdError, match="no command has an example 99"):
        ask(service, Sound(99))


def test_what_is_erased_is_not_remembered_either(
    service: Service, household: Household, journal: Journal, lamp_said: Detection
) -> None:
    ask(service, Rename(LAMP, "light"))
    assert household.derivation._remembered
    ask(service, Forget("light", erase=True))
    assert journal.entries() == []
    assert journal.sound(lamp_said.id) is None
    assert not household.derivation._remembered


def test_why_of_nothing_says_so(service: Service) -> None:
    with pytest.raises(SpeakerdError, match="nothing was heard that is like a command"):
        ask(service, Why())
    with pytest.raises(SpeakerdError, match="nothing of the last day is called 0815"):
        ask(service, Why("0815"))
    assert ask(service, Why(all=True)) == []


# -- looking at what is known


def test_commands_are_told_with_their_examples_what_came_of_them_and_where_they_lie(
    service: Service, journal: Journal, lamp_said: Detection
) -> None:
    journal.mark(lamp_said.id, Mark.WRONG)
    told = {item["command"]: item for item in ask(service, Commands())}
    assert set(told) == {LAMP, NIGHT}
    assert told[LAMP]["observed"] == {"accepted": 1, "wrong": 1}
    assert told[NIGHT]["observed"] == {"accepted": 0, "wrong": 0}
    assert [kept["source"] for kept in told[LAMP]["kept"]] == [LAMP] * 3
    assert all(0.3 < kept["seconds"] < 3 for kept in told[LAMP]["kept"])
    assert len({(kept["x"], kept["y"]) for item in told.values() for kept in item["kept"]}) == 6
    json.dumps(told)
    (less,) = ask(service, Discard(told[LAMP]["kept"][0]["example"]))
    assert (less["command"], less["examples"]) == (LAMP, 2)
    assert [len(item["kept"]) for item in ask(service, Commands())] == [3, 2]
