"""Protocols of papers, for who has Google's Speech Commands v2 on disk: their words, splits, episodes and rules.

The splits are those of ``validation_list.txt`` and ``testing_list.txt`` beside the words, or, where these are absent,
of the rule that they were made by (a hash of the speaker's name). Threshold rule of all: the lowest threshold at which
at most 1 % (5 %) of the episode's negatives are accepted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import seconds_of
from speakerd.errors import SpeakerdError
from speakerd.evaluation.controls import Scorer, nearest_mean, open_ncm, prototype
from speakerd.evaluation.episodes import Episode
from speakerd.evaluation.sounds import Indices, Names, Piece, Sounds, recordings, words_in

TRAINING, VALIDATION, TESTING = "training", "validation", "testing"
SILENCE = "_silence_"

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN_WORDS = ("backward", "forward", "visual", "follow", "learn")
OTHERS = (
    "bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house", "marvin",
    "nine", "one", "seven", "sheila", "six", "three", "tree", "two", "wow", "zero",
)  # fmt: skip
QUERIES = 15  # clips a class that are asked in an episode, where a protocol does not ask all

Rows = dict[str, Indices]
Drawn = tuple[Rows, Rows, Indices, Indices]  # support and queries by word, negatives, examples of unknown words


@dataclass(frozen=True)
class Protocol:
    """``drawn``: of one episode, from the corpus, shots and ways. ``rule``: how the paper scores; ``silence``: whether
    silence is a class, so that clips without an utterance may be named."""

    name: str
    paper: str
    shots: tuple[int, ...]
    ways: int
    draws: int
    rule: Scorer
    drawn: Callable[["SpeechCommands", int, int, np.random.Generator], Drawn]
    silence: bool = False

    def episodes(self, corpus: "SpeechCommands", shots: int, ways: int | None, draws: int, seed: int) -> list[Episode]:
        """Raises:
        SpeakerdError: the folder does not hold the protocol's words, or too few clips of them.
        """
        found = []
        for i in range(draws):
            support, queries, negatives, unknown = self.drawn(
                corpus, shots, ways or self.ways, np.random.default_rng(seed + i)
            )
            found.append(Episode.of(self.name, seed + i, support, queries, negatives, unknown))
        return found


class SpeechCommands:
    """The corpus on disk: ``sounds``, and of each the ``split`` that it belongs to."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        SpeakerdError: the folder holds no words.
        """
        words = words_in(folder)
        if not len(words):
            raise SpeakerdError(f"{folder}: no recordings like yes/0a7c2a8d_nohash_0.wav here")
        silence = _silence(folder)
        self.folder, self.sounds = folder, words + silence
        listed = {TESTING: _listed(folder / "testing_list.txt"), VALIDATION: _listed(folder / "validation_list.txt")}
        splits = [_split(piece, listed) for piece in words.pieces]
        # of the recordings of noise the papers do not say which part is tested; every other second is
        splits += [TRAINING if i % 2 == 0 else TESTING for i in range(len(silence))]
        self.split: Names = np.array(splits, np.str_)

    def rows(self, word: str, split: str | None = None) -> Indices:
        """Raises:
        SpeakerdError: there is no clip of the word in that split.
        """
        there = (self.sounds.words == word) & ((self.split == split) if split else True)
        if not there.any():
            raise SpeakerdError(f"{self.folder} has no {split or ''} clips of {word!r}: is it Speech Commands v2?")
        return np.flatnonzero(there)


def compact(sounds: Sounds, episodes: Sequence[Episode]) -> tuple[Sounds, list[Episode]]:
    """Only those sounds that occur, so that no others need to be heard."""
    rows = np.unique(np.concatenate([r for e in episodes for r in (e.support, e.queries, e.negatives)]))

    def place(of: Indices) -> Indices:
        return np.searchsorted(rows, of)

    moved = [
        replace(e, support=place(e.support), queries=place(e.queries), negatives=place(e.negatives)) for e in episodes
    ]
    return sounds.only(rows), moved


def _rusci(corpus: SpeechCommands, shots: int, ways: int, draw: np.random.Generator) -> Drawn:
    support = {word: _some(corpus.rows(word, TRAINING), shots, draw) for word in COMMANDS}
    unknown = np.concatenate([corpus.rows(word, TRAINING) for word in UNKNOWN_WORDS])
    queries = {word: corpus.rows(word, TESTING) for word in COMMANDS}
    negatives = np.concatenate([corpus.rows(word, TESTING) for word in OTHERS])
    return support, queries, negatives, _some(unknown, shots, draw)


def _gok(corpus: SpeechCommands, shots: int, ways: int, draw: np.random.Generator) -> Drawn:
    classes = (*COMMANDS, SILENCE)
    support = {word: _some(corpus.rows(word, TRAINING), shots, draw) for word in classes}
    queries = {word: corpus.rows(word, TESTING) for word in classes}
    negatives = np.concatenate([corpus.rows(word, TESTING) for word in (*OTHERS, *UNKNOWN_WORDS)])
    return support, queries, negatives, _none()


def _splitgsc(corpus: SpeechCommands, shots: int, ways: int, draw: np.random.Generator) -> Drawn:
    words = draw.permutation(COMMANDS).tolist()
    support, queries = {}, {}
    for word in words[:ways]:
        support[word], queries[word] = _apart(corpus.rows(word), shots, draw)
    negatives = np.concatenate([_some(corpus.rows(word), QUERIES, draw) for word in words[ways:]])
    return support, queries, negatives, _none()


def _parnami(corpus: SpeechCommands, shots: int, ways: int, draw: np.random.Generator) -> Drawn:
    words = draw.choice((*COMMANDS, *OTHERS), ways, replace=False).tolist()
    support, queries = {}, {}
    for word in words:
        support[word], queries[word] = _apart(_one_a_speaker(corpus, corpus.rows(word), draw), shots, draw)
    return support, queries, _none(), _none()


def _parnami_open(corpus: SpeechCommands, shots: int, ways: int, draw: np.random.Generator) -> Drawn:
    support, queries, negatives, none = _parnami(corpus, shots, ways, draw)
    unknown = np.concatenate([corpus.rows(word, TESTING) for word in UNKNOWN_WORDS])
    support["_unknown_"], queries["_unknown_"] = _apart(unknown, shots, draw)
    support[SILENCE], queries[SILENCE] = _apart(corpus.rows(SILENCE), shots, draw)
    return support, queries, negatives, none


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("rusci", "Rusci and Tuytelaars 2023 (2306.02161)", (10,), 10, 10, open_ncm, _rusci),
        Protocol("gok", "Gok et al. 2025 (2506.17686)", (10,), 11, 100, prototype, _gok, silence=True),
        # The paper's own ten test words are not known to us; the ten commands stand for them.
        Protocol("splitgsc", "Kim et al. 2022 (2206.13691)", (1, 5), 5, 100, nearest_mean, _splitgsc),
        Protocol("parnami", "Parnami and Lee 2020 (2007.14463), core", (1, 5), 4, 100, nearest_mean, _parnami),
        Protocol(
            "parnami-open", "Parnami and Lee 2020 (2007.14463), core, silence, unknown", (1, 5), 4, 100, nearest_mean,
            _parnami_open, silence=True,
        ),
    )
}  # fmt: skip


def _some(rows: Indices, many: int, draw: np.random.Generator) -> Indices:
    """Raises:
    SpeakerdError: there are not so many.
    """
    if len(rows) < many:
        raise SpeakerdError(f"{many} clips of each word are needed, and of one there are {len(rows)}")
    return draw.permutation(rows)[:many]


def _apart(rows: Indices, shots: int, draw: np.random.Generator) -> tuple[Indices, Indices]:
    """Clips that teach, and others that are asked."""
    chosen = _some(rows, shots + QUERIES, draw)
    return chosen[:shots], chosen[shots:]


def _one_a_speaker(corpus: SpeechCommands, rows: Indices, draw: np.random.Generator) -> Indices:
    mixed = draw.permutation(rows)
    return mixed[np.unique(corpus.sounds.speakers[mixed], return_index=True)[1]]


def _none() -> Indices:
    return np.zeros(0, np.intp)


def _listed(file: Path) -> frozenset[str] | None:
    return frozenset(file.read_text(encoding="utf-8").splitlines()) if file.exists() else None


def _split(piece: Piece, listed: dict[str, frozenset[str] | None]) -> str:
    name = f"{piece.path.parent.name}/{piece.path.name}"
    if all(names is not None for names in listed.values()):
        return next((split for split, names in listed.items() if names and name in names), TRAINING)
    # The rule in the corpus' own README: the speaker's hash decides, so that nobody is in two splits.
    share = int(sha1(piece.path.name.split("_nohash_")[0].encode(), usedforsecurity=False).hexdigest(), 16) % 2**27
    percent = share * 100 / (2**27 - 1)
    return VALIDATION if percent < 10 else TESTING if percent < 20 else TRAINING


def _silence(folder: Path) -> Sounds:
    """One second after another of the recordings of noise that belong to the corpus."""
    pieces = []
    for path in recordings(folder / "_background_noise_"):
        seconds = int(seconds_of(path))
        pieces += [Piece(path.absolute(), i * SAMPLE_RATE, (i + 1) * SAMPLE_RATE) for i in range(seconds)]
    names = np.full(len(pieces), folder.resolve().name)
    return Sounds(tuple(pieces), names, np.full(len(pieces), SILENCE), np.full(len(pieces), SILENCE))
