"""Examples of bundled voices, and of people's where there are recordings: the doubts about them."""

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from speakerd.config import Config
from speakerd.house import Mind
from speakerd.learning.examples import Examples
from speakerd.learning.takes import Take, judge_recording
from tests.recordings import clips, said
from tests.running import LAMP, NIGHT, QUIETER, clip


@pytest.fixture
def examples(mind: Mind, tmp_path: Path) -> Examples:
    return mind.household(tmp_path, Config()).examples


def take(name: str, number: int) -> Take:
    return judge_recording(f"{number}.wav", clip(name, number), Config().gate)


def people(word: str, many: int) -> list[Take]:
    return [judge_recording(word, said(0.5, one, 0.5), Config().gate) for one in clips(word, many, "wake-phrases")]


def test_of_refused_takes_nothing_is_made(examples: Examples) -> None:
    made = examples.taken([take(LAMP, 0), Take("silence.wav", None, "no speech found"), take(LAMP, 1)], "Zoë", [])
    assert [(one.source, one.speaker, one.doubt) for one in made] == [("0.wav", "Zoë", None), ("1.wav", "Zoë", None)]


def test_examples_that_are_nothing_like_each_other_are_doubted_in_words(examples: Examples) -> None:
    made = examples.taken([take(LAMP, 0), take(NIGHT, 0), take(QUIETER, 0)], None, [])
    assert "unlike the other examples: was it the same command, said completely?" in [one.doubt for one in made]


def test_the_same_recording_is_no_other_example(examples: Examples) -> None:
    before = examples.taken([take(LAMP, 0)], None, [])
    (again,) = examples.taken([take(LAMP, 0)], None, before)
    assert again.doubt == "the same recording as another example: say it once more instead"


def test_doubt_about_the_sound_comes_before_that_about_the_word(examples: Examples) -> None:
    noisy = Take("noisy.wav", take(LAMP, 0).utterance, "noisy: speech is only 3 dB above the room")
    assert examples.taken([*(take(NIGHT, i) for i in range(3)), noisy], None, [])[3].doubt == noisy.reason


def test_different_words_of_people_raise_doubts_and_the_same_ones_less_often(examples: Examples) -> None:
    words = ("hadouken", "goodnight", "dracarys", "archie", "how_are_you")
    takes = {word: people(word, 6) for word in words}
    draw = random.Random(0)

    def doubted(takes: list[Take]) -> bool:
        return any(one.doubt for one in examples.taken(takes, None, []))

    different = [doubted([draw.choice(takes[word]) for word in trio]) for trio in combinations(words, 3)]
    same = [doubted(draw.sample(takes[word], 3)) for word in words * 2]
    assert np.mean(different) >= 0.7
    assert np.mean(same) <= np.mean(different) - 0.3
