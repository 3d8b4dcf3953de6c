"""What an episode asks was not in what it taught, and what it keeps out was not in its inner loop."""

from pathlib import Path

import numpy as np
import pytest

from speakerd.recognition.encoder import ModelError
from speakerd.training.meta.cache import HELD, ONCE, ROOM, SEEN, TALK, Cache
from speakerd.training.meta.episodes import Episode, Rows
from tests.training.meta.conftest import HELD as WORDS
from tests.training.meta.conftest import Heard


def rows_of(heard: Heard, vectors: np.ndarray) -> Rows:
    """Which utterances of the cache these are; what was made of one on the device is none of them."""
    everything = heard.episodes().vectors.numpy()
    return np.array(
        [row for v in vectors if (row := int((everything @ v).argmax())) >= 0 and everything[row] @ v > 1 - 1e-6]
    )


@pytest.fixture(scope="module")
def drawn(heard: Heard) -> list[tuple[int, Episode]]:
    episodes = heard.episodes(seed=3)
    return [(kind, episodes(kind)) for kind in (HELD, ONCE) for _ in range(15)]


def test_cache_holds_all_kinds(heard: Heard) -> None:
    cache = heard.cache
    assert set(cache.kind) == {HELD, SEEN, ONCE, TALK, ROOM}
    assert len(set(cache.word[cache.kind == HELD])) == len(WORDS)
    assert (cache.word[cache.kind >= TALK] == -1).all()
    np.testing.assert_allclose(np.linalg.norm(cache.vectors, axis=1), 1, atol=1e-5)
    once = [np.sum(cache.word == word) for word in set(cache.word[cache.kind == ONCE])]
    assert min(once) >= 4, "a word that was recorded once is heard in other ways, too"
    for row in np.flatnonzero(cache.variants >= 0)[::9]:
        own = cache.enlarged[cache.variants[row]] @ cache.vectors[row]
        others = cache.enlarged[cache.variants[row]] @ cache.vectors[cache.word != cache.word[row]].T
        assert own.mean() > others.mean() + 0.3


def test_cache_comes_back(heard: Heard, tmp_path: Path) -> None:
    heard.cache.save(tmp_path / "cache.npz")
    loaded = Cache.load(tmp_path / "cache.npz", heard.cache.encoder)
    for name in ("vectors", "word", "speaker", "clip", "quiet", "kind", "enlarged", "variants"):
        assert np.array_equal(getattr(loaded, name), getattr(heard.cache, name))
    with pytest.raises(ModelError, match=r"embeddings of another encoder; remove it"):
        Cache.load(tmp_path / "cache.npz", "other")


def test_what_is_asked_was_not_taught(heard: Heard, drawn: list[tuple[int, Episode]]) -> None:
    for kind, episode in drawn:
        taught, asked = rows_of(heard, episode.task.support.numpy()), rows_of(heard, episode.tried.numpy())
        assert len(asked) == len(episode.named) > 0
        assert not set(taught) & set(asked)
        if kind == HELD:
            assert not set(heard.cache.clip[taught]) & set(heard.cache.clip[asked])


def test_asked_utterances_are_of_the_commands(heard: Heard, drawn: list[tuple[int, Episode]]) -> None:
    for _, episode in drawn:
        words = heard.cache.word[rows_of(heard, episode.tried.numpy())]
        for command in range(episode.task.member.shape[1]):
            assert len(set(words[episode.named.numpy() == command])) <= 1


def test_strangers_are_strange(heard: Heard, drawn: list[tuple[int, Episode]]) -> None:
    """Neither side has the episode's words, and no word or voice is on both."""
    cache = heard.cache
    for _, episode in drawn:
        inside, outside = (rows_of(heard, part.numpy()) for part in (episode.task.others, episode.strangers))
        asked = set(cache.word[rows_of(heard, episode.tried.numpy())])
        for side in (inside, outside):
            assert asked.isdisjoint(cache.word[side])
        words = [set(cache.word[side]) - {-1} for side in (inside, outside)]
        assert words[0].isdisjoint(words[1])
        voices = [set(cache.speaker[side[cache.kind[side] == TALK]]) for side in (inside, outside)]
        assert voices[0].isdisjoint(voices[1])


@pytest.mark.parametrize(("ways", "shots"), [(1, 1), (1, 5), (4, 3)])
def test_as_many_ways_and_shots_as_wanted(heard: Heard, ways: int, shots: int) -> None:
    episodes = heard.episodes()
    for _ in range(10):
        member = episodes(HELD, ways, shots).task.member
        assert member.shape[1] == ways
        assert 1 <= (member == 1).sum(dim=0).min() <= (member == 1).sum(dim=0).max() <= shots
