"""The map of examples: people's voices, laid out in two dimensions."""

from itertools import combinations

import numpy as np

from speakerd.audio.segmenter import find_utterance
from speakerd.config import Config
from speakerd.house import Mind
from speakerd.learning.map import drawn
from tests.recordings import clips, said


def embedded(mind: Mind, word: str) -> np.ndarray:
    found = [find_utterance(said(0.5, clip, 0.5), Config().gate) for clip in clips(word, 3)]
    return np.stack([mind.world.place(mind.encoder.embed(one)) for one in found if one is not None])


def test_what_sounds_alike_lies_together(mind: Mind) -> None:
    words = ["archie", "hey_archie", "hadouken", "dracarys"]
    groups = [embedded(mind, word) for word in words]
    points = drawn(groups)
    assert [len(each) for each in points] == [len(group) for group in groups]
    assert np.abs(np.concatenate(points)).max() == 1
    middles = dict(zip(words, (each.mean(axis=0) for each in points), strict=True))
    apart = {pair: np.linalg.norm(middles[pair[0]] - middles[pair[1]]) for pair in combinations(words, 2)}
    assert min(apart, key=lambda pair: apart[pair]) == ("archie", "hey_archie")


def test_few_things_can_be_drawn_too(mind: Mind) -> None:
    assert drawn([]) == []
    alone = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    assert drawn([alone])[0].tolist() == [[0, 0]]
    twice = drawn([alone, alone])
    assert np.isfinite(np.concatenate(twice)).all()
    assert len(drawn([np.eye(5, dtype=np.float32)])[0]) == 5
