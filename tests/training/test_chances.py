"""What an hour of talk brings: running speech heard as the spotter hears it, and events counted."""

from dataclasses import replace

import numpy as np
import pytest

from speakerd.audio.segmenter import find_utterance
from speakerd.house import Mind
from speakerd.learning.calibration import Impostors
from speakerd.recognition.head import scores
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import Resting, coarse, fine
from speakerd.training.chances import DEAF, Talk, chances_per_hour, windows
from tests.listening.taught import CLIPS, LAMP
from tests.recognition.worlds import around, vectors, world
from tests.recordings import said


def test_windows_are_those_that_the_spotter_looks_at(mind: Mind) -> None:
    heard = windows(mind.encoder, said(1, CLIPS[LAMP][0], 1))
    assert len(heard.vectors) == len(heard.lengths) == len(heard.ends) > 20
    assert np.linalg.norm(heard.vectors.astype(float), axis=1) == pytest.approx(1, abs=1e-2)
    for length in set(heard.lengths):  # one a hop; what lies between two pauses may be as long, too
        steps = np.diff(heard.ends[heard.lengths == length])
        assert not len(steps) or (set(steps.round(3)) <= {0.0, 0.08} and (steps > 0).mean() > 0.6)
    some = windows(mind.encoder, said(1, CLIPS[LAMP][0], 1), np.arange(20) == 0)
    assert set(some.lengths) <= {0}


def test_window_is_heard_once_more_as_the_word_by_itself(mind: Mind) -> None:
    utterance = find_utterance(CLIPS[LAMP][0])
    assert utterance is not None
    heard = windows(mind.encoder, said(1, CLIPS[LAMP][0], 1))
    alike = [float(heard.alone(mind.encoder, row) @ mind.encoder.embed(utterance)) for row in range(len(heard.ends))]
    at_once = heard.vectors.astype(np.float32) @ mind.encoder.embed(utterance)
    assert max(alike) > 0.9
    assert int(np.argmax(alike)) in np.argsort(-at_once)[:5]


@pytest.mark.parametrize("alike", [1, 10])
def test_windows_that_are_alike_are_one_chance(alike: int) -> None:
    """Ten thousand things are said, of each ``alike`` windows: rates must come out as the events do."""
    small, said_ = world(), vectors(10_000, 40)
    several = np.repeat(coarse(said_), alike, axis=0)
    near = small.strangers(fine(several))
    ends = np.repeat(np.arange(10_000) * (DEAF + 0.1), alike) + np.tile(np.arange(alike) * 0.08, 10_000)
    hours = 10_000 * (DEAF + 0.1) / 3600
    talk = Talk(several, near, np.zeros(len(several), np.int64), ends, hours)
    fits = np.ones(1, bool)
    commands = [(learned(small, [around(vectors(1, i), 7, 0.3, i)], [None])[0], fits) for i in range(60, 90)]
    some = np.random.default_rng(0).permutation(len(several))[:3000]
    chosen = replace(small, impostors=Resting.of(several[some]), near_impostors=near[some], lengths=talk.lengths[some])
    chances = chances_per_hour(chosen, talk, commands, lambda rows: (several[rows], near[rows]))
    for asked in (1.0, 10.0):
        seen = 0
        for heads, _ in commands:
            threshold = Impostors(chosen.against(heads, fits).max(axis=1), *chances).threshold(asked)
            seen += int((scores(heads, said_, near[::alike]).max(axis=1) >= threshold).sum())
        assert seen / len(commands) / hours == pytest.approx(asked, rel=0.3)
