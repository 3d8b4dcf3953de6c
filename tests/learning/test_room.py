"""What is heard and not acted upon: it is counted, and thresholds follow it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.config import Config
from speakerd.events import Detection, Samples
from speakerd.house import Mind
from speakerd.learning.growth import DELAY
from speakerd.learning.household import WORSE
from speakerd.learning.room import MOST_ALIKE, RISE, SAVE, Room
from speakerd.listening.journal import AGAIN, DAY
from speakerd.listening.loop import Loop
from speakerd.listening.spotter import Spotter
from speakerd.store.knowledge import NOTHING, Command, Overheard
from tests.learning.test_feedback import Home
from tests.recordings import clips, said, talk

WORD = "process"


class Source:
    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __iter__(self) -> Iterator[Samples]:
        return frames_of(self._samples)

    def be_patient(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class Overhearing(Home):
    """A home that knows two commands, and hears what is said in it; ``now`` is the time in it."""

    def __init__(self, mind: Mind, state: Path) -> None:
        super().__init__(mind, state)
        self.now = time.time()
        self.room = Room(self.household, self.journal, lambda: self.now)
        self.teach(WORD, clips(WORD, 3, "dsp20"))
        self.teach("goodnight", clips("goodnight", 3))

    def budget(self, a_day: float) -> None:
        """So many false accepts a day, whatever that costs."""
        listening = msgspec.structs.replace(Config().listening, false_accepts_per_day=a_day, highest_frr=1)
        self.household.take_over(msgspec.structs.replace(Config(), listening=listening))

    def overhear(self, samples: Samples, after: float = AGAIN + 1) -> list[Detection]:
        """Something is said, so many seconds after the last: what was taken for a command, or nearly."""
        self.now += after
        found: list[Detection] = []
        spotter = Spotter(self.mind.encoder, self.mind.world, Config().gate, self.household.knowledge)
        loop = Loop(Source(said(1, samples, 1)), spotter)

        def detected(detection: Detection) -> None:
            found.append(self.journal.note(replace(detection, at=self.now)))
            self.room.note(found[-1])

        loop.run(detected, lambda: self.room.talk(0.02) if loop.talk else None)
        return found

    def later(self, seconds: float = DELAY + SAVE) -> str | None:
        """What has been learned some time after."""
        self.now += seconds
        return self.room.look(quiet=True)

    def heard(self, name: str = WORD) -> Overheard:
        """What is on the disk."""
        return self.household.derivation.overheard(self.known(name))


def near(found: list[Detection], home: Home) -> int:
    """How many of them are near misses of WORD."""
    least = home.known(WORD).threshold - home.mind.world.spread
    return sum(one.command == WORD and not one.accepted and one.score >= least for one in found)


def talk_like_it(home: Overhearing) -> None:
    """What sounds like WORD is said all day, above all where it comes near."""
    like = [one for one in clips("project", 40, "dsp20") if near(home.overhear(one), home)]
    for i in range(12):
        home.overhear(like[i % len(like)])


def not_said_again(found: list[Detection]) -> list[Detection]:
    """Without what came before the last that was taken for WORD."""
    last = max((i for i, one in enumerate(found) if one.accepted and one.command == WORD), default=0)
    return found[last:]


def expectation(command: Command) -> tuple[float, float, tuple[float, float], float]:
    return command.threshold, command.expected_fa_per_hour, command.fa_between, command.alike


@pytest.fixture
def home(mind: Mind, tmp_path: Path) -> Overhearing:
    return Overhearing(mind, tmp_path / "state")


def test_of_talk_only_counts_are_kept_and_they_outlast_a_restart(home: Overhearing, mind: Mind, tmp_path: Path) -> None:
    home.budget(1000)  # so that some of it comes near
    left = [near(not_said_again(home.overhear(sentence)), home) > 0 for sentence in talk(4)]
    assert any(left)
    home.later(1)
    assert home.heard() == NOTHING, "written rarely"
    home.later()
    heard = home.heard()
    seconds = sum(len(sentence) for sentence in talk(4)) / 16000
    assert seconds * 0.6 < heard.hours * 3600 < seconds + 8 * 0.6, "what lies between the words is talk, too"
    assert heard.near == sum(left)
    assert heard.expected > 0
    assert Mind.household(mind, tmp_path / "state", Config()).derivation.overheard(home.known(WORD)) == heard
    with closing(sqlite3.connect(tmp_path / "state/speakerd.sqlite")) as database:
        rows = database.execute("SELECT * FROM talk").fetchall()
    assert len(rows) == 2, "one a day for each command"
    assert all(isinstance(value, int | float) for row in rows for value in (row[0], *row[2:]))


def test_threshold_rises_where_talk_comes_near_and_not_too_much_a_day(home: Overhearing) -> None:
    home.budget(10)
    before = home.known(WORD)
    talk_like_it(home)
    change = home.later()
    assert change is not None
    assert change.startswith("room: 0.0 h")
    assert home.household.history()[0].change == change
    first = home.known(WORD)
    most = RISE * home.mind.world.spread + 1e-6
    assert before.threshold < first.threshold <= before.threshold + most
    assert first.heads.to_bytes() == before.heads.to_bytes()
    assert first.expected_fa_per_hour > before.expected_fa_per_hour, "as long as it may not rise as far as it should"
    assert first.fa_between[0] < first.expected_fa_per_hour < first.fa_between[1]
    assert home.later() is None, "once a day"
    steps = [before.threshold, first.threshold]
    while len(steps) < 4 and home.later(DAY + SAVE):
        steps.append(home.known(WORD).threshold)
    assert len(steps) > 2
    assert all(low <= high <= low + most for low, high in pairwise(steps))
    # A command that is taught, or a new budget, does not start this over.
    home.teach("signal", clips("signal", 3, "dsp20"))
    assert home.known(WORD).threshold >= steps[-1]


def test_what_was_undone_is_not_learned_again_from_the_same(home: Overhearing) -> None:
    before = expectation(home.known(WORD))
    talk_like_it(home)
    change = home.later()
    assert change is not None
    assert home.household.undo() == f"undone: {change}"
    assert expectation(home.known(WORD)) == before
    assert home.heard() == NOTHING
    assert home.later(2 * DAY) is None
    home.household.rollback(home.household.history()[1].version)
    assert expectation(home.known(WORD)) != before


def test_a_command_called_room_is_no_room(home: Overhearing) -> None:
    home.teach("room", clips("signal", 3, "dsp20"))
    talk_like_it(home)
    assert home.later() is not None, "it was not heeded today"
    home.teach("room", clips("close", 3, "dsp20"))
    assert home.household.undo() == "undone: room: learned 3 examples"
    assert home.heard() != NOTHING, "what was heard has nothing to do with it"


def test_near_miss_that_was_said_again_or_was_right_is_not_counted(home: Overhearing) -> None:
    sound = next(one for one in clips("project", 20, "dsp20") if near(home.overhear(one), home) == 1)
    home.later()
    counted = home.heard().near
    assert counted == 1
    assert near(home.overhear(sound), home) == 1
    assert any(one.accepted for one in home.overhear(clips(WORD, 1, "dsp20")[0], AGAIN - 1))
    home.later()
    assert home.heard().near == counted, "said again, and heard"
    (missed,) = home.overhear(sound)
    home.feedback.right(missed.id)
    home.later()
    assert home.heard().near == counted


def test_what_comes_near_several_times_within_seconds_counts_once(home: Overhearing) -> None:
    sound = next(one for one in clips("project", 20, "dsp20") if near(home.overhear(one), home) == 1)
    home.later()
    counted = home.heard().near
    assert all(near(home.overhear(sound, after), home) == 1 for after in (AGAIN + 1, 3, 3, AGAIN + 1))
    home.later()
    assert home.heard().near == counted + 2


def test_whoever_is_not_heard_is_not_heard_less_and_less(home: Overhearing) -> None:
    """Nearly all that comes near is said by somebody of the house: for what that does to the threshold there is a
    bound."""
    before = home.known(WORD)
    taught = before.examples[0]
    for _ in range(60):
        home.household.overhear({taught: Overheard(0.1, 15, 0.01)})
        home.later(DAY + SAVE)
    after = home.known(WORD)
    assert after.threshold > before.threshold
    assert after.expected_frr <= max(before.expected_frr, Config().listening.highest_frr) + WORSE + 0.01
    assert after.alike <= MOST_ALIKE


def test_quiet_days_bring_down_what_talk_has_raised(home: Overhearing) -> None:
    home.budget(10)
    talk_like_it(home)
    assert home.later()
    raised = home.known(WORD)
    taught = raised.examples[0]
    home.household.overhear({taught: Overheard(60, 0, 500)})  # two weeks of television
    assert home.later(DAY + SAVE)
    assert home.known(WORD).threshold < raised.threshold
    assert home.known(WORD).fa_hours > 60
    assert not home.known(WORD).extrapolated or home.known(WORD).expected_fa_per_hour < 3 / 60
