"""Correcting what was heard: the same sound is not taken for the command again, and nothing else suffers."""

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from speakerd.config import Config, Listening, Requirement
from speakerd.events import WRONG, Detection, Samples
from speakerd.house import Mind
from speakerd.learning.feedback import WITHIN, Feedback
from speakerd.learning.household import WORSE, EnrolmentError
from speakerd.learning.places import nearest
from speakerd.learning.takes import judge_recording
from speakerd.listening.journal import Journal, JournalError, Mark
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import Command
from tests.listening.taught import CLIPS, LAMP, MUSIC, NIGHT
from tests.listening.test_spotter import heard
from tests.recordings import clips, said


class Home:
    """A speaker in a room where recordings are played."""

    def __init__(self, mind: Mind, state: Path) -> None:
        self.mind = mind
        self.now = 1_000_000.0
        self.household = mind.household(state, Config())
        self.journal = Journal(0.5, lambda: self.now)
        self.feedback = Feedback(self.household, self.journal)

    def teach(self, name: str, takes: list[Samples], action: str | None = None) -> Command:
        judged = [judge_recording("clip", said(0.5, take, 0.5), Config().gate) for take in takes]
        return self.household.enroll(name, judged, action=action)[0]

    def spot(self, samples: Samples) -> list[Detection]:
        """What the spotter makes of it now."""
        self.now += 2
        spotter = Spotter(self.mind.encoder, self.mind.world, Config().gate, self.household.knowledge)
        return [replace(one, at=self.now) for one in heard(spotter, said(1, samples, 1))]

    def hear(self, samples: Samples) -> list[Detection]:
        """What is accepted of it; all of it is in the journal."""
        found = [self.journal.note(one) for one in self.spot(samples)]
        return [one for one in found if one.accepted]

    def known(self, name: str) -> Command:
        command = self.household.knowledge.find(name)
        assert command is not None
        return command

    def state(self) -> list[tuple[str, float, bytes]]:
        """Everything that decides, to the last bit."""
        return [(c.name, c.threshold, c.heads.to_bytes()) for c in self.household.knowledge.commands]


@pytest.fixture
def home(mind: Mind, tmp_path: Path) -> Home:
    return Home(mind, tmp_path / "state")


@pytest.fixture
def mistaken(home: Home) -> tuple[Home, Samples, Detection]:
    """Commands of people's words, and another word that is taken for one of them."""
    for word in ("process", "archie", "goodnight"):
        home.teach(word, clips(word, 3, "dsp20" if word == "process" else "wake-phrases"))
    for sound in clips("project", 40, "dsp20") + clips("hey_archie", 20):
        found = home.hear(sound)
        if found:
            return home, sound, found[-1]
    raise AssertionError("none of these is taken for a command; the test needs others")


def test_same_sound_is_not_taken_for_it_again_and_the_others_stay(mistaken: tuple[Home, Samples, Detection]) -> None:
    home, sound, detection = mistaken
    wrong, before = home.known(detection.command), home.household.knowledge
    said_so = home.feedback.wrong()
    assert said_so.startswith(f"{wrong.name}: was not said at ")
    assert home.household.history()[0].change == said_so
    assert wrong.name not in [one.command for one in home.hear(sound)]
    corrected = home.known(wrong.name)
    assert len(corrected.negatives) == 1
    assert corrected.examples == wrong.examples
    assert corrected.expected_frr <= max(wrong.expected_frr, Config().listening.highest_frr) + WORSE
    for command in before.commands:
        if command.name != wrong.name:
            now = home.known(command.name)
            assert (now.threshold, now.heads.to_bytes()) == (command.threshold, command.heads.to_bytes())
    assert home.journal.find(detection.id).mark == Mark.WRONG


def test_correction_is_undone_to_the_last_bit(mistaken: tuple[Home, Samples, Detection]) -> None:
    home, sound, detection = mistaken
    before = home.state()
    home.feedback.wrong(detection.id)
    assert home.state() != before
    home.household.undo()
    assert home.state() == before
    assert detection.command in [one.command for one in home.hear(sound)]


def test_what_was_meant_becomes_an_example_of_that(mistaken: tuple[Home, Samples, Detection]) -> None:
    home, sound, detection = mistaken
    word = "project" if detection.command == "process" else "hey archie"
    home.teach(word, clips("project", 46, "dsp20")[43:] if word == "project" else clips("hey_archie", 20)[17:])
    versions = len(home.household.history())
    said_so = home.feedback.wrong(detection.id, meant=word)
    assert f"{word}: was said at" in said_so
    assert len(home.household.history()) == versions + 1, "both in one"
    assert len(home.known(word).examples) == 4
    assert [one.command for one in home.hear(sound)] in ([word], [])


def test_command_itself_is_not_unlearned(home: Home) -> None:
    """Somebody says the command and then that it was wrong: its own examples would be lost."""
    home.teach(LAMP, CLIPS[LAMP])
    before = home.state()
    (detection,) = home.hear(CLIPS[LAMP][0])
    with pytest.raises(EnrolmentError, match=f"{LAMP} would suffer: .* nothing was changed"):
        home.feedback.wrong()
    assert home.state() == before
    assert len(home.household.history()) == 1
    assert home.journal.find(detection.id).mark is None


def test_right_makes_an_example_also_of_a_near_miss(home: Home) -> None:
    home.teach(LAMP, CLIPS[LAMP][:2])
    home.teach(MUSIC, CLIPS[MUSIC])
    (detection,) = home.hear(CLIPS[LAMP][2])
    home.feedback.right()
    assert len(home.known(LAMP).examples) == 3
    assert home.journal.find(detection.id).mark == Mark.RIGHT
    (near, *_) = [h for h in itertools.islice(home.journal.entries(), 5) if h.detection.command == LAMP]
    example = nearest(home.household, near.evidence.embedding, 1)[0]
    assert example.example.source.startswith("heard at ")
    home.hear(CLIPS[NIGHT][0])  # not known: turned away
    missed = home.journal.last()
    assert not missed.detection.accepted
    home.teach(NIGHT, CLIPS[NIGHT][1:])
    home.feedback.wrong(missed.id, meant=NIGHT)
    assert len(home.known(NIGHT).examples) == 3


def test_without_its_sound_the_embedding_is_learned_from(mistaken: tuple[Home, Samples, Detection]) -> None:
    home, sound, detection = mistaken
    home.now += 3600
    assert home.journal.sound(detection.id) is None
    home.feedback.wrong(detection.id)
    embedding = home.journal.find(detection.id).evidence.embedding
    match = home.household.match(embedding[None])
    assert match is not None
    assert match.scores[detection.command] < home.known(detection.command).threshold
    again = [one for one in home.hear(sound) if one.command == detection.command]  # in a window beside it
    assert all(one.score < detection.score - 0.2 for one in again)


FAULTS: dict[str, tuple[Callable[[Home], object], str]] = {
    "too late": (lambda home: home.feedback.wrong(), f"no command was heard in the last {WITHIN:.0f} s"),
    "not there": (lambda home: home.feedback.right("0815"), "nothing of the last day is called 0815"),
    "same": (lambda home: home.feedback.wrong(home.journal.last().id, LAMP.upper()), "`speakerd right` confirms that"),
    "unknown": (lambda home: home.feedback.wrong(home.journal.last().id, "radio"), "radio is not a known command"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_cannot_be_corrected_is_said(home: Home, what: str) -> None:
    home.teach(LAMP, CLIPS[LAMP])
    home.hear(CLIPS[LAMP][0])
    home.now += 31
    do, words = FAULTS[what]
    with pytest.raises((EnrolmentError, JournalError), match=words):
        do(home)
    assert len(home.household.history()) == 1


def test_said_once_it_is_not_said_again_by_accident(home: Home) -> None:
    home.teach(LAMP, CLIPS[LAMP])
    home.hear(CLIPS[LAMP][0])
    home.feedback.right()
    with pytest.raises(JournalError, match="this was said before; name it by its id"):
        home.feedback.right()


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_an_answer_counts_once_and_the_opposite_takes_it_back(
    mistaken: tuple[Home, Samples, Detection], answer: str
) -> None:
    home, _, detection = mistaken
    once, opposite = home.feedback.right, home.feedback.wrong
    if answer == "wrong":
        once, opposite = opposite, once
    once(detection.id)
    with pytest.raises(EnrolmentError, match="this was said before"):
        once(detection.id)
    opposite(detection.id)
    command = home.known(detection.command)
    assert (len(command.examples), len(command.negatives)) == ((3, 1) if answer == "right" else (4, 0))


def test_the_wake_phrase_before_that_was_wrong_is_not_what_was_wrong(
    mistaken: tuple[Home, Samples, Detection],
) -> None:
    home, sound, detection = mistaken
    home.teach("that was wrong", CLIPS[NIGHT], action=WRONG)
    home.teach("computer", CLIPS[LAMP])
    requires = {"*": Requirement("computer", 8)}
    home.household.take_over(msgspec.structs.replace(Config(), listening=Listening(requires=requires)))
    home.hear(sound)
    (wake,), (phrase,) = home.hear(CLIPS[LAMP][0]), home.hear(CLIPS[NIGHT][0])
    home.feedback.spoken(replace(phrase, start=wake.time + 0.5))
    assert len(home.known(detection.command).negatives) == 1
    assert home.known("computer").negatives == ()


def test_phrase_that_was_wrong_is_about_the_one_before(
    mistaken: tuple[Home, Samples, Detection], caplog: pytest.LogCaptureFixture
) -> None:
    home, _, detection = mistaken
    home.teach("that was wrong", CLIPS[NIGHT], action=WRONG)
    home.hear(mistaken[1])
    home.now += 3
    (phrase,) = home.hear(CLIPS[NIGHT][0])
    home.feedback.spoken(phrase)
    assert len(home.known(detection.command).negatives) == 1
    assert home.known("that was wrong").negatives == ()
    home.feedback.spoken(home.hear(CLIPS[NIGHT][1])[0])
    assert len(home.known(detection.command).negatives) == 1
    assert "this was said before" in caplog.text


def test_erased_command_takes_what_it_was_told_apart_from_along(
    mistaken: tuple[Home, Samples, Detection], tmp_path: Path
) -> None:
    home, _, detection = mistaken
    home.feedback.wrong(detection.id)
    assert len(kept_examples(tmp_path)) == 10
    home.household.forget(detection.command, erase=True)
    assert len(kept_examples(tmp_path)) == 6
    assert all(detection.command not in version.change for version in home.household.history())


def kept_examples(tmp_path: Path) -> list[int]:
    with closing(sqlite3.connect(tmp_path / "state/speakerd.sqlite")) as database:
        return [row[0] for row in database.execute("SELECT id FROM example")]
