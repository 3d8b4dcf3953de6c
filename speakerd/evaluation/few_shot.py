"""Few-shot, open-set evaluation on folders in Speech Commands layout, along the very path of ``enroll`` and ``score``.

Each draw teaches every word of a corpus from K clips of K different speakers, with the product's own prototypes and
thresholds; queries are all clips of the other speakers, negatives the words of other corpora and pieces of speech.
Figures at a false accept rate use the oracle threshold of the literature (chosen on the negatives of the draw); the
calibrated columns use the threshold that ``enroll`` would have set, which saw neither queries nor negatives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.files import read_audio
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.config.settings import Listening
from speakerd.errors import SpeakerdError
from speakerd.evaluation.metrics import Interval, accuracy_at, auroc, interval
from speakerd.learning.calibration import TALK_HOURS, own_scores, promise
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.scoring import prototypes, scores
from speakerd.recognition.world import Matrix, World

AUDIO = (".wav", ".flac", ".ogg", ".opus")


@dataclass(frozen=True)
class Corpus:
    """What the encoder heard of a folder. ``vectors`` (clips, dimension) whitened; ``cut`` (clips,): whether the
    segmenter found an utterance that can be a command (where not, the clip counts as rejected)."""

    name: str
    vectors: Matrix
    cut: NDArray[np.bool_]
    words: NDArray[np.str_]
    speakers: NDArray[np.str_]


@dataclass(frozen=True)
class Figures:
    """One line of the table: what was tried, and intervals over the draws."""

    corpus: str
    words: int
    shots: int
    draws: int
    queries: float
    negatives: int
    closed_set: Interval
    acc_at_1: Interval
    acc_at_5: Interval
    auroc: Interval
    calibrated_hit: Interval
    calibrated_far: Interval
    expected_frr: Interval


def hear_words(encoder: Encoder, world: World, folder: Path, progress: Callable[[str], None]) -> Corpus:
    """Hear all clips ``folder/<word>/<speaker>_nohash_<take>.*``. Where all clips of a word carry one speaker's name,
    nobody knows who spoke, and each counts as a speaker of its own."""
    paths = [p for p in sorted(folder.glob("*/*")) if p.suffix.lower() in AUDIO and not p.parent.name.startswith("_")]
    vectors, cut = [], []
    for path in paths:
        progress(folder.name)
        utterance = find_utterance(read_audio(path))
        good = utterance is not None and SHORTEST <= utterance.seconds <= LONGEST
        cut.append(good)
        vectors.append(encoder.embed(utterance) if utterance is not None and good else np.ones(encoder.dimension))
    words = np.array([path.parent.name for path in paths])
    named = [path.name.split("_nohash_")[0] for path in paths]
    alone = {word for word in set(words) if len({n for n, w in zip(named, words, strict=True) if w == word}) == 1}
    speakers = [str(path) if path.parent.name in alone else name for path, name in zip(paths, named, strict=True)]
    return Corpus(folder.name, world.whiten(np.stack(vectors)), np.array(cut), words, np.array(speakers))


def hear_speech(encoder: Encoder, world: World, folder: Path, progress: Callable[[str], None]) -> Matrix:
    """What the spotter would take for a command in running speech: (utterances, dimension), whitened."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO):
        progress(folder.name)
        cuts = utterances(frames_of(read_audio(path)))
        found += [encoder.embed(u) for u in cuts if SHORTEST <= u.seconds <= LONGEST]
    return world.whiten(np.stack(found)) if found else np.zeros((0, encoder.dimension), np.float32)


@dataclass(frozen=True)
class Draw:
    """The outcome of one draw: best score of each query and whether it was named right; the same with thresholds."""

    best: NDArray[np.float32]
    right: NDArray[np.bool_]
    negatives: NDArray[np.float32]
    hits: float
    false_accepts: float
    expected_frr: float


def one_draw(world: World, corpus: Corpus, negatives: Matrix, shots: int, seed: int, budget: Listening) -> Draw:
    """Teach every word from ``shots`` clips of different speakers, then try everything else."""
    draw = np.random.default_rng(seed)
    names = sorted(set(corpus.words))
    share = budget.false_accepts_per_day / TALK_HOURS / len(names)
    queries = np.ones(len(corpus.words), bool)
    matrices, promises = [], []
    for name in names:
        of_word = np.flatnonzero((corpus.words == name) & corpus.cut)
        chosen = draw.permutation(sorted(set(corpus.speakers[of_word])))[:shots]
        support = np.array([draw.choice(of_word[corpus.speakers[of_word] == speaker]) for speaker in chosen])
        queries[(corpus.words == name) & np.isin(corpus.speakers, chosen)] = False
        vectors = corpus.vectors[support]
        nobody: list[str | None] = [None] * len(support)
        matrix, _ = prototypes(vectors, nobody)
        matrices.append(matrix)
        own = own_scores(world, vectors, nobody)
        promises.append(promise(world, matrix, own, len(support), share, budget.highest_frr))
    matrix = np.concatenate(matrices)
    near = world.nearness(matrix)
    found = scores(world, corpus.vectors[queries], matrix, near)
    best = np.where(corpus.cut[queries], found.max(axis=1), -9).astype(np.float32)
    right = np.array(names)[found.argmax(axis=1)] == corpus.words[queries]
    against = scores(world, negatives, matrix, near)
    thresholds = np.array([p.threshold for p in promises])
    return Draw(
        best, right, against.max(axis=1),
        hits=float(np.mean((best >= thresholds[found.argmax(axis=1)]) & right)),
        false_accepts=float(np.mean(against.max(axis=1) >= thresholds[against.argmax(axis=1)])),
        expected_frr=float(np.mean([p.expected_frr for p in promises])),
    )  # fmt: skip


def figures(world: World, corpus: Corpus, negatives: Matrix, shots: int, draws: int, budget: Listening) -> Figures:
    """Raises:
    SpeakerdError: a word has too few speakers to be taught by some and tried by others.
    """
    for word in sorted(set(corpus.words)):
        speakers = len(set(corpus.speakers[(corpus.words == word) & corpus.cut]))
        if speakers <= shots:
            raise SpeakerdError(
                f"{corpus.name}/{word}: utterances of {speakers} speakers; {shots} are needed to teach it, "
                "and others to try it"
            )
    tried = [one_draw(world, corpus, negatives, shots, seed, budget) for seed in range(draws)]

    def over(measure: Callable[[Draw], float]) -> Interval:
        return interval([measure(draw) for draw in tried])

    return Figures(
        corpus.name, len(set(corpus.words)), shots, draws, float(np.mean([len(d.best) for d in tried])), len(negatives),
        closed_set=over(lambda d: float(d.right.mean())),
        acc_at_1=over(lambda d: accuracy_at(d.best, d.right, d.negatives, 0.01)),
        acc_at_5=over(lambda d: accuracy_at(d.best, d.right, d.negatives, 0.05)),
        auroc=over(lambda d: auroc(d.best, d.negatives)),
        calibrated_hit=over(lambda d: d.hits),
        calibrated_far=over(lambda d: d.false_accepts),
        expected_frr=over(lambda d: d.expected_frr),
    )  # fmt: skip


def is_corpus(folder: Path) -> bool:
    """Whether a folder holds words (rather than corpora of words)."""
    return any(path.suffix.lower() in AUDIO for path in folder.glob("*/*"))


def table(lines: list[Figures]) -> Iterator[str]:
    """Markdown, one line at a time."""
    yield (
        "| corpus | words | K | queries x draws | negatives | closed-set | ACC@1%FAR | ACC@5%FAR | AUROC "
        "| calibrated: heard | negatives accepted | promised misses |"
    )
    yield "|" + "---|" * 12
    for f in lines:
        cells = [f.closed_set, f.acc_at_1, f.acc_at_5, f.auroc, f.calibrated_hit, f.calibrated_far, f.expected_frr]
        counts = f"{f.corpus} | {f.words} | {f.shots} | {f.queries:.0f} x {f.draws} | {f.negatives}"
        yield f"| {counts} | " + " | ".join(map(str, cells)) + " |"
