"""What is remembered of what was heard, for how long, and what of it can be named."""

from dataclasses import replace

import numpy as np
import pytest

from speakerd.config import Config
from speakerd.events import Detection, Evidence, Utterance
from speakerd.house import Mind
from speakerd.listening.journal import DAY, FAR, MOST, SOUND_BYTES, SOUND_SECONDS, Journal, JournalError, Mark
from speakerd.listening.spotter import Spotter
from speakerd.recognition.course import parted
from speakerd.store.knowledge import Knowledge
from tests.listening.taught import CLIPS, LAMP, MUSIC, NIGHT
from tests.listening.test_spotter import heard
from tests.recordings import said

NEAR = 0.5


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> Journal:
    return Journal(NEAR, clock)


def event(clock: Clock, id: str, score: float = 1.0, seconds: float = 1.0) -> Detection:
    """A decision about a command that needs 0.6, and the sound of so many seconds that led to it."""
    samples = np.full(round(seconds * 16000), 0.25, np.float32)
    evidence = Evidence(
        names=("lamp", "night"),
        scores=np.array([score, -0.2], np.float32),
        thresholds=np.array([0.6, 0.6], np.float32),
        embedding=np.ones(8, np.float32),
        level=-30.0,
        room=-60.0,
        utterance=Utterance(samples, 100, 200, 1.0, 2.0),
    )
    return Detection(id, 2.0, 1.0, "lamp", score, 0.6, score >= 0.6, None, clock.now, evidence=evidence)


def ids(journal: Journal) -> list[str]:
    return [heard.id for heard in journal.entries()]


def test_what_the_spotter_hears_is_taken_down_with_all_it_rests_on(mind: Mind, taught: Knowledge) -> None:
    spotter, journal = Spotter(mind.encoder, mind.world, Config().gate, taught), Journal(NEAR)
    found = [journal.note(one) for one in heard(spotter, said(1, CLIPS[LAMP][0], 1, CLIPS[MUSIC][0], 1))]
    lamp = next(journal.find(one.id) for one in found if one.accepted and one.command == LAMP)
    assert set(lamp.evidence.names) == {LAMP, MUSIC, NIGHT}
    scores = dict(zip(lamp.evidence.names, lamp.evidence.scores, strict=True))
    assert scores[LAMP] == pytest.approx(lamp.detection.score, abs=1e-6)
    assert scores[MUSIC] < scores[LAMP]
    assert dict(zip(lamp.evidence.names, lamp.evidence.thresholds, strict=True)) == {
        command.name: pytest.approx(command.threshold) for command in taught.commands
    }
    assert lamp.evidence.level > lamp.evidence.room + 10
    sound = journal.sound(lamp.id)
    assert sound is not None
    again = mind.encoder.embed(sound)  # one can learn from it: it is heard as it was then
    then, now = (parted(one, mind.encoder.pooled)[0] for one in (lamp.evidence.embedding, again))
    assert float(now @ then) > 0.9
    assert lamp.rule.startswith("accepted: ")


def test_sound_stays_behind_and_the_rest_is_sent_on(journal: Journal, clock: Clock) -> None:
    sent = journal.note(event(clock, "a"))
    assert sent.evidence is not None and sent.evidence.utterance is None
    assert journal.find("a").detection == sent
    bare = replace(event(clock, "b"), evidence=None)
    assert journal.note(bare) is bare
    assert ids(journal) == ["a"]


def test_a_day_is_remembered_and_no_longer(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "old"))
    clock.now += DAY - 10
    journal.note(event(clock, "new", 0.4))
    assert ids(journal) == ["new", "old"]
    clock.now += 20
    assert ids(journal) == ["new"]
    with pytest.raises(JournalError, match="nothing of the last day is called old"):
        journal.find("old")


def test_a_day_of_television_does_not_push_out_what_was_near(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "hit"))
    clock.now += 1
    journal.note(event(clock, "near", 0.6 - NEAR))
    for i in range(2 * MOST):
        clock.now += 10
        journal.note(event(clock, f"talk {i}", -1.0))
    assert ids(journal)[-2:] == ["near", "hit"]
    assert len(ids(journal)) == 2 + FAR
    assert journal.sound("hit") is None, "long ago"
    assert journal.sound(ids(journal)[0]) is None, "nobody meant the speaker"


def test_sound_is_kept_for_minutes_and_within_bounds(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "a"))
    sound = journal.sound("a")
    assert sound is not None
    assert (sound.begin, sound.end, sound.start) == (100, 200, 1.0)
    assert np.allclose(sound.samples, 0.25, atol=1e-4)
    for i in range(100):
        journal.note(event(clock, f"long {i}", seconds=4.0))
    kept = [id for id in ids(journal) if journal.sound(id) is not None]
    assert len(kept) == SOUND_BYTES // (2 * 4 * 16000)
    assert journal.sound("a") is None
    clock.now += SOUND_SECONDS + 1
    assert not any(journal.sound(id) for id in ids(journal))


def test_sound_is_let_go_of_where_nothing_more_is_heard_and_nobody_asks(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "a"))
    clock.now += SOUND_SECONDS + 1
    journal.let_go()
    clock.now -= SOUND_SECONDS + 1
    assert journal.sound("a") is None


def test_last_is_the_newest_that_fits(journal: Journal, clock: Clock) -> None:
    with pytest.raises(JournalError, match="nothing was heard that is like a command in the last day"):
        journal.last()
    journal.note(event(clock, "hit"))
    clock.now += 20
    journal.note(event(clock, "near", 0.4))
    assert journal.last().id == "near"
    assert journal.last(within=30, accepted=True).id == "hit"
    clock.now += 20
    with pytest.raises(JournalError, match="no command was heard in the last 30 s"):
        journal.last(within=30, accepted=True)


def test_marks_and_rules_are_told(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "a"), "muted")
    clock.now += 1
    journal.note(event(clock, "b", 0.4))
    assert [heard.rule for heard in journal.entries()] == ["muted", "not accepted: 0.40 is not enough, 0.60 is needed"][
        ::-1
    ]
    journal.mark("a", Mark.WRONG)
    assert (journal.find("a").mark, journal.find("b").mark) == (Mark.WRONG, None)


def test_near_miss_that_is_said_again_and_heard_is_offered(journal: Journal, clock: Clock) -> None:
    for id, score, seconds in (("long ago", 0.5, 60), ("first", 0.3, 2), ("second", 0.4, 2), ("heard", 0.9, 1)):
        journal.note(event(clock, id, score))
        clock.now += seconds
    marks = {heard.id: heard.mark for heard in journal.entries()}
    assert marks == {"long ago": None, "first": None, "second": Mark.OFFERED, "heard": None}


def test_another_command_offers_nothing(journal: Journal, clock: Clock) -> None:
    journal.note(event(clock, "near", 0.4))
    clock.now += 2
    journal.note(replace(event(clock, "other"), command="night"))
    assert journal.find("near").mark is None


def test_erased_command_is_forgotten_with_its_sound_and_where_others_tell_of_it(journal: Journal, clock: Clock) -> None:
    sent = journal.note(event(clock, "lamp"))
    journal.note(replace(event(clock, "night", 0.4), command="Night"))
    journal.note(replace(event(clock, "far", -1.0), command="night"))
    journal.note(event(clock, "both"), "too close to call: 'lamp' or 'Night'")
    journal.forget({"night", "evening"})
    assert ids(journal) == ["lamp"]
    assert (journal.sound("lamp") is None, journal.sound("night"), journal.sound("both")) == (False, None, None)
    lamp = journal.find("lamp")
    assert lamp.detection == sent
    assert lamp.detection.evidence is lamp.evidence
    assert (lamp.evidence.names, list(lamp.evidence.scores)) == (("lamp",), [1.0])
    assert list(lamp.evidence.thresholds) == pytest.approx([0.6])
    assert "night" not in repr(vars(journal)).lower()
