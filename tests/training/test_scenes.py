"""Scenes: every word lies where the span says, under its own number, and the seed decides everything."""

import numpy as np
import pytest

from speakerd.training.scenes import MARGIN, SCENE, Composition, babble, compose
from tests.training.tones import corpora, tone, word_of


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
        if in_often == in_seldom == -1:
            continue  # a phrase
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
    numbers = [(row[3], row[4]) for row in composition.spans if row[3:5].max() >= 0]
    counts = {number: numbers.count(number) for number in set(numbers)}
    assert all(count <= (6 if often >= 0 else 1) for (often, _), count in counts.items())
    assert len(composition.spans) >= 38 - 8
    assert composition.pcm.shape == (composition.spans[:, 0].max() + 1, SCENE)
    assert composition.pcm.dtype == np.int16
    assert np.abs(composition.pcm).max() < 32768


def test_phrases_are_of_one_speaker_and_as_long_as_their_words() -> None:
    words = corpora()
    phrases, single = 0, 0
    for seed in range(6):
        made = compose(words, seed)
        for row in made.spans:
            if row[3:5].max() >= 0:
                single += 1
                continue
            phrases += 1
            clip = made.clips[row[5]].astype(np.float32)
            inner = clip[MARGIN : len(clip) - MARGIN]
            parts = {word_of(inner[:4000]), word_of(inner[-4000:])}
            assert parts <= set(range(8))
            assert len(clip) > 1.2 * 0.7 * 16000, "more than one word"
    assert 0.1 < phrases / (phrases + single) < 0.3


def test_what_was_synthesised_is_laid_among_the_words_without_a_class() -> None:
    words = corpora()
    words.synthetic = [(tone(9, 0.6) * 32767).astype(np.int16)] * 10
    found = compose(words, seed=1)
    unnamed = [found.clips[row[5]] for row in found.spans if row[3:5].max() < 0]
    assert sum(word_of(clip[MARGIN:-MARGIN].astype(np.float32)) in (8, 9) for clip in unnamed) >= 6


def test_babble_is_many_voices_and_as_long_as_asked() -> None:
    many, one = babble(corpora(), 9, seed=1)
    assert len(many) == 9 * 16000 and len(one) == 3 * 16000
    assert np.abs(many.astype(np.float32)).mean() > 100
    np.testing.assert_array_equal(many, babble(corpora(), 9, seed=1)[0])


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
