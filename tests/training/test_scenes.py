"""Scenes: every word lies where the span says, under its own number, and the seed decides everything."""

import numpy as np
import pytest

from speakerd.training.scenes import SCENE, Composition, compose
from tests.training.tones import corpora, word_of


@pytest.fixture(scope="module")
def composition() -> Composition:
    return compose(corpora(), seed=1)


def test_spans_lie_where_the_words_are(composition: Composition) -> None:
    often, seldom = corpora().classes()
    names = {number: int(name.split()[1]) for (_, name), number in often.items()}
    rare = {number: int(name.split()[1]) for (_, name), number in seldom.items()}
    scenes = composition.pcm.astype(np.float32)
    for scene, start, end, in_often, in_seldom, _ in composition.spans:
        assert 0 <= start < end <= SCENE
        assert 0.25 * 16000 < end - start < 1.4 * 16000
        word = names[in_often] if in_seldom < 0 else rare[in_seldom]
        assert (in_often < 0) != (in_seldom < 0)
        assert word_of(scenes[scene, start:end]) == word
        margin = scenes[scene, max(0, start - 800) : start]  # shortly before it: not this word
        if len(margin) == 800:
            inside = scenes[scene, start : start + 800]
            assert np.abs(margin[:400]).mean() < np.abs(inside).mean()


def test_teacher_hears_each_word_alone_as_it_is_in_the_scene(composition: Composition) -> None:
    assert len(composition.clips) == len(composition.spans)
    assert [row[5] for row in composition.spans] == list(range(len(composition.clips)))
    for scene, start, end, *_, row in composition.spans:
        clip = composition.clips[row].astype(np.float32)
        margin = (len(clip) - (end - start)) // 2
        in_scene = composition.pcm[scene, start:end].astype(np.float32)
        assert np.corrcoef(in_scene, clip[margin : margin + len(in_scene)])[0, 1] > 0.95


def test_every_word_is_laid_once_at_most(composition: Composition) -> None:
    """The last scene, which is not full, may be left out."""
    numbers = [(row[3], row[4]) for row in composition.spans]
    counts = {number: numbers.count(number) for number in set(numbers)}
    assert all(count <= (6 if often >= 0 else 1) for (often, _), count in counts.items())
    assert len(composition.spans) >= 38 - 8
    assert composition.pcm.shape == (composition.spans[:, 0].max() + 1, SCENE)
    assert composition.pcm.dtype == np.int16
    assert np.abs(composition.pcm).max() < 32768


def test_the_seed_decides_everything(composition: Composition) -> None:
    again, other = compose(corpora(), seed=1), compose(corpora(), seed=2)
    np.testing.assert_array_equal(again.pcm, composition.pcm)
    np.testing.assert_array_equal(again.spans, composition.spans)
    assert other.pcm.shape != composition.pcm.shape or not np.array_equal(other.pcm, composition.pcm)


def test_a_limit_gives_the_first_scenes(composition: Composition) -> None:
    few = compose(corpora(), seed=1, limit=2)
    np.testing.assert_array_equal(few.pcm, composition.pcm[:2])
    np.testing.assert_array_equal(few.spans, composition.spans[composition.spans[:, 0] < 2])
    assert len(few.clips) == len(few.spans)
