"""What commands take up by themselves, and what they do not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speakerd.events import Samples
from speakerd.house import Mind
from speakerd.learning.growth import DELAY, Growth
from speakerd.listening.journal import DAY, Mark
from speakerd.store.knowledge import Command
from tests.learning.test_feedback import Home
from tests.recordings import clips

WORD = "process"


class Growing(Home):
    """A home in which WORD of one person is known, and which may learn by itself."""

    def __init__(self, mind: Mind, state: Path) -> None:
        super().__init__(mind, state)
        self.growth = Growth(self.household, self.journal, lambda: self.now)
        self.sounds = clips(WORD, 12, "dsp20")
        self.teach(WORD, self.sounds[:3])
        self.teach("goodnight", clips("goodnight", 3))
        self.taught = self.known(WORD).examples

    def later(self, sound: Samples, seconds: float = DELAY + 1) -> list[str]:
        """Somebody says something; what was learned from it some time after."""
        self.hear(sound)
        self.now += seconds
        return list(self.growth.look())

    def day(self, sounds: list[Samples]) -> list[str]:
        """A day on which one after the other is said."""
        changes = [change for sound in sounds for change in self.later(sound)]
        self.now += DAY
        return changes


@pytest.fixture
def home(mind: Mind, tmp_path: Path) -> Growing:
    return Growing(mind, tmp_path / "state")


@pytest.fixture
def grown(home: Growing) -> tuple[Growing, str, Command, list[tuple[str, float, bytes]]]:
    """One example was taken up: the change, the command and everything before."""
    before = home.state()
    for sound in home.sounds[3:]:
        if changes := home.later(sound):
            return home, changes[0], home.known(WORD), before
    raise AssertionError("nothing was taken up")


def test_one_a_day_is_taken_up_and_what_was_taught_stays(home: Growing) -> None:
    days = [home.day(home.sounds[at : at + 3]) for at in (3, 6, 9)]
    assert all(len(changes) <= 1 for changes in days)
    changes = [change for changes in days for change in changes]
    assert changes
    assert all(change.startswith(f"{WORD}: learned by itself from what was heard at") for change in changes)
    command = home.known(WORD)
    assert command.examples[:3] == home.taught and len(command.examples) == 3 + len(changes)
    assert [version.change for version in home.household.history()][: len(changes)] == changes[::-1]


def test_undo_brings_back_what_was_before_to_the_last_bit(
    grown: tuple[Growing, str, Command, list[tuple[str, float, bytes]]],
) -> None:
    home, change, _, before = grown
    assert home.state() != before
    assert home.household.undo() == f"undone: {change}"
    assert home.state() == before
    assert list(home.growth.look()) == [], "it is not taken up once more"


def test_what_was_taken_up_goes_when_somebody_says_that_it_was_wrong(
    grown: tuple[Growing, str, Command, list[tuple[str, float, bytes]]],
) -> None:
    home, _, command, _ = grown
    (entry,) = (one for one in home.journal.entries() if one.mark is Mark.LEARNED)
    assert command.examples[-1] not in home.taught
    home.teach("other", clips("dracarys", 3))
    try:
        home.feedback.wrong(entry.id)
    except Exception as error:  # it is the command, after all
        assert "would suffer" in str(error)
    else:
        assert home.known(WORD).examples == home.taught


def test_nothing_is_taken_up_before_somebody_could_object(home: Growing) -> None:
    for sound in home.sounds[3:9]:
        assert home.later(sound, DELAY - 10) == [] or home.now > 1_000_000 + DELAY
        for entry in home.journal.entries():
            home.journal.mark(entry.id, Mark.WRONG)
    home.now += DELAY
    assert list(home.growth.look()) == []


def test_what_another_command_scores_nearly_as_much_is_not_taken_up(home: Growing) -> None:
    """However far below its own threshold that one is."""
    for sound in home.sounds[3:]:
        for one in home.spot(sound):
            known = one.evidence
            assert known is not None
            scores = np.append(known.scores, np.float32(one.score - 0.3))
            evidence = replace(
                known, names=(*known.names, "twin"), scores=scores, thresholds=np.append(known.thresholds, 99)
            )
            home.journal.note(replace(one, evidence=evidence))
        home.now += DELAY + 1
        assert list(home.growth.look()) == []


def test_noise_a_replay_and_other_words_are_not_taken_up(home: Growing) -> None:
    draw = np.random.default_rng(0)
    for sound in home.sounds[3:9]:
        heard = np.pad(sound, 3 * 16000)  # noise before and after, too
        noise = draw.normal(0, float(np.sqrt(np.mean(sound**2))) * 0.5, len(heard))
        assert home.later(np.asarray(heard + noise, np.float32)) == []
    assert home.later(home.sounds[0]) == [], "an example that is played again"
    for sound in clips("signal", 10, "dsp20"):
        assert home.later(sound) == []
    assert home.known(WORD).examples == home.taught
