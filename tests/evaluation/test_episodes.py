"""Draws: who teaches, who is asked, what is rejected, and the file for other systems."""

import json
from pathlib import Path

import numpy as np
import pytest

from speakerd.errors import SpeakerdError
from speakerd.evaluation.episodes import Episode, Support, Task, write
from speakerd.evaluation.sounds import Piece, Sounds

WORDS, PEOPLE, TAKES = ("on", "off", "up"), ("ann", "bob", "cid", "dee"), 4


@pytest.fixture
def sounds() -> Sounds:
    """Three words by four people, four times each; then two strange sounds."""
    said = [(w, p, t) for w in WORDS for p in PEOPLE for t in range(TAKES)]
    pieces = [Piece(Path(f"/data/{w}/{p}_nohash_{t}.wav")) for w, p, t in said]
    pieces += [Piece(Path("/talk.wav"), 0, 16000, (100, 900)), Piece(Path("/talk.wav"), 16000, 32000, (100, 900))]
    words, people = [w for w, _, _ in said] + ["", ""], [p for _, p, _ in said] + ["talk", "talk"]
    return Sounds(tuple(pieces), np.full(len(pieces), "c"), np.array(words), np.array(people))


def task(sounds: Sounds, shots: int, **more: object) -> Task:
    rows = np.arange(len(sounds) - 2)
    usable = np.ones(len(sounds), bool)
    return Task(sounds, "c", rows, usable, np.arange(len(sounds))[-2:], shots, **more)  # type: ignore[arg-type]


def who(sounds: Sounds, episode: Episode, word: str) -> tuple[list[str], list[str]]:
    place = episode.names.index(word)
    rows = episode.support[episode.owners == place], episode.queries[episode.truth == place]
    assert all((sounds.words[part] == word).all() for part in rows)
    return sounds.speakers[rows[0]].tolist(), sounds.speakers[rows[1]].tolist()


def test_across(sounds: Sounds) -> None:
    for episode in task(sounds, 3).episodes(10, 0):
        assert set(episode.names) == set(WORDS) and len(episode.negatives) == 2
        for word in WORDS:
            taught, asked = who(sounds, episode, word)
            assert len(set(taught)) == 3 and len(asked) == TAKES and not set(taught) & set(asked)


def test_the_same_person(sounds: Sounds) -> None:
    people = set()
    for episode in task(sounds, 3, support=Support.SAME).episodes(20, 0):
        assert len(set(sounds.speakers[np.concatenate([episode.support, episode.queries])])) == 1
        assert not set(episode.support) & set(episode.queries)
        for word in WORDS:
            taught, asked = who(sounds, episode, word)
            assert (len(taught), len(asked)) == (3, 1)
        people.add(str(sounds.speakers[episode.support[0]]))
    assert people == set(PEOPLE)


def test_anybody(sounds: Sounds) -> None:
    mixed = 0
    for episode in task(sounds, 10, support=Support.ANY).episodes(5, 0):
        for word in WORDS:
            taught, asked = who(sounds, episode, word)
            assert (len(taught), len(asked)) == (10, len(PEOPLE) * TAKES - 10)
            mixed += bool(set(taught) & set(asked))
        assert not set(episode.support) & set(episode.queries)
    assert mixed


def test_other_words_are_negatives(sounds: Sounds) -> None:
    pairs = set()
    for episode in task(sounds, 1, ways=2).episodes(20, 0):
        assert len(episode.names) == 2 and len(episode.negatives) == 2 + len(PEOPLE) * TAKES
        assert set(sounds.words[episode.negatives]) == {*WORDS, ""} - set(episode.names)
        pairs.add(episode.names)
    assert len(pairs) == 3


def test_draws_depend_on_the_seed_alone(sounds: Sounds) -> None:
    one, two = (list(task(sounds, 2).episodes(5, seed)) for seed in (0, 1))
    again = list(task(sounds, 2).episodes(3, 0))
    for before, after in zip(one, again, strict=False):
        np.testing.assert_array_equal(before.support, after.support)
    assert [e.seed for e in two] == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(one[1].support, two[0].support)
    assert len({e.support.tobytes() for e in one}) == 5


def test_only_what_enroll_would_take_teaches(sounds: Sounds) -> None:
    usable = sounds.speakers != "ann"
    for episode in Task(sounds, "c", np.arange(48), usable, np.array([48]), 2).episodes(10, 0):
        assert "ann" not in sounds.speakers[episode.support]
        assert "ann" in sounds.speakers[episode.queries], "but it is asked"


@pytest.mark.parametrize(
    ("shots", "more", "words"),
    [
        (4, {}, "c/off: 16 utterances of 4 speakers; 4 are needed to teach it, and others to try it"),
        (16, {"support": Support.ANY}, "c/off: 16 utterances; 16 are needed"),
        (4, {"support": Support.SAME}, "nobody says 3 of the words more than 4 times each"),
        (1, {"ways": 4}, "3 words, 4 were asked for"),
    ],
)
def test_too_few(sounds: Sounds, shots: int, more: dict[str, object], words: str) -> None:
    with pytest.raises(SpeakerdError, match=words):
        list(task(sounds, shots, **more).episodes(2, 0))


def test_the_file(sounds: Sounds, tmp_path: Path) -> None:
    episodes = list(task(sounds, 2).episodes(2, 3)) + list(task(sounds, 1, ways=1).episodes(1, 0))
    unknown = Episode.of("p", 9, {"on": np.array([0])}, {"on": np.array([1])}, np.array([], np.intp), np.array([16]))
    write(tmp_path / "draws.json", sounds, [*episodes, unknown])
    found = json.loads((tmp_path / "draws.json").read_text())
    assert set(found) == {"version", "episodes", "negatives"} and found["version"] == 1
    first, second, third, last = found["episodes"]
    assert set(first) == {"corpus", "seed", "support", "queries", "negatives"}
    assert (first["corpus"], first["seed"], second["seed"]) == ("c", 3, 4)
    assert first["negatives"] == second["negatives"] != third["negatives"]
    assert found["negatives"][first["negatives"]] == [["/talk.wav", 0, 16000], ["/talk.wav", 16000, 32000]]
    for name, rows in zip(episodes[0].names, episodes[0].support.reshape(-1, 2), strict=True):
        assert first["support"][name] == [str(sounds.pieces[row].path) for row in rows]
    assert first["queries"] == [
        [str(sounds.pieces[row].path), episodes[0].names[i]]
        for row, i in zip(episodes[0].queries, episodes[0].truth, strict=True)
    ]
    assert last["support"] == {"on": ["/data/on/ann_nohash_0.wav"], "_unknown_": ["/data/off/ann_nohash_0.wav"]}
