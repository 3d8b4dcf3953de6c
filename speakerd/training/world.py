"""world.npz from what was held out of training: strangers, and how a command's own utterances score."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.events import Samples, Utterance
from speakerd.learning.calibration import own_scores
from speakerd.learning.enlarge import enlarge
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Adapter, Matrix, scores
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import Genuine, World
from speakerd.training.augment import Augment
from speakerd.training.data import PEOPLE, Clip, Corpora, Pcm, seconds

SHOTS = 10
DRAWS = 30
MOST = 2000  # embeddings in the cohort, and among the impostors
OF_A_WORD = 20  # of those, at most


def build(encoder: Encoder, corpora: Corpora, adapter: Adapter, space: tuple[Matrix, Matrix], seed: int = 0) -> World:
    """Hear everything that was held out, each word once as it is and once in some room. ``space`` is the mean
    (dimension,) and the matrix (dimension, dimension) that were learned with the head."""
    draw = np.random.default_rng(seed)
    rooms = Augment(torch.from_numpy(np.concatenate(corpora.noise).astype(np.float32) / 32768), seed)
    said_by = Counter((clip.corpus, clip.word) for clip in corpora.held_words)
    words = [
        heard
        for clip in corpora.held_words
        for heard in _heard(encoder, clip, rooms, enlarged=said_by[clip.corpus, clip.word] >= PEOPLE)
    ]
    spoken = [_spoken(encoder, pcm) for pcm in corpora.held_speech]
    pieces = [vector for pcm in corpora.held_speech for vector in _pieces(encoder, pcm, draw)]
    talk = [vector for vectors in spoken for vector in vectors] + pieces
    everything = np.stack([heard.vectors[0] for heard in words] + talk)
    # a word is either in the cohort or among the impostors, and so is a voice's running speech, half and half
    names = sorted({(heard.clip.corpus, heard.clip.word) for heard in words})
    side = dict(zip(names, draw.permutation(len(names)) % 2, strict=True))
    of_word = [(heard.clip.corpus, heard.clip.word) for heard in words]
    sides = np.array([side[word] for word in of_word] + [i * 2 // len(talk) for i in range(len(talk))])
    few = _few_of_each([*of_word, *range(len(talk))], draw)
    per_hour = sum(map(len, spoken)) / (seconds(corpora.held_speech) / 3600)
    empty = np.zeros((0, everything.shape[1]), np.float32)
    world = World(adapter, encoder.id, *space, empty, empty, (), per_hour)
    placed = world.place(everything)
    cohort, impostors = (_some(placed[few & (sides == half)], draw) for half in (0, 1))
    world = replace(world, cohort=cohort, impostors=impostors)
    return replace(world, genuine=_genuine(world, words, draw))


@dataclass(frozen=True)
class Heard:
    """What the encoder made of a clip, as it is (``quiet``) or in some room: ``vectors`` (1, dimension), or with its
    variants (1 + variants, dimension) where it may be an example."""

    clip: Clip
    vectors: NDArray[np.float32]
    quiet: bool


def _heard(encoder: Encoder, clip: Clip, rooms: Augment, enlarged: bool) -> Iterator[Heard]:
    quiet = np.pad(_samples(clip.samples), SAMPLE_RATE // 2)
    for samples in (quiet, rooms(torch.from_numpy(quiet)[None])[0].numpy()):
        utterance = find_utterance(samples)
        if utterance is not None and SHORTEST <= utterance.seconds <= LONGEST:
            variants = enlarge(utterance) if samples is quiet and enlarged else ()
            vectors = np.stack([encoder.embed(heard) for heard in (utterance, *variants)])
            yield Heard(clip, vectors, samples is quiet)


def _spoken(encoder: Encoder, pcm: Pcm) -> list[NDArray[np.float32]]:
    """What the spotter would take for a command in running speech."""
    found = utterances(frames_of(_samples(pcm)))
    return [encoder.embed(u) for u in found if SHORTEST <= u.seconds <= LONGEST]


def _pieces(encoder: Encoder, pcm: Pcm, draw: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Pieces of sentences as long as words and short phrases."""
    samples = _samples(pcm)
    at = 0
    while at + 2 * SAMPLE_RATE < len(samples):
        length = int(draw.uniform(0.4, 1.6) * SAMPLE_RATE)
        piece = samples[max(0, at - 4800) : at + length + 3200]
        begin = min(at, 4800)
        yield encoder.embed(Utterance(piece, begin, begin + length, 0.0, 0.0))
        at += length + int(draw.uniform(0.2, 0.8) * SAMPLE_RATE)


def _samples(pcm: Pcm) -> Samples:
    return pcm.astype(np.float32) / np.float32(32768)


def _few_of_each(sources: list[Any], draw: np.random.Generator) -> NDArray[np.bool_]:
    """Which to keep, so that no word is there more than so often: a world in which a few words are said by hundreds is
    not the one outside (on the development words that alone cost up to 0.1 ACC@1%FAR)."""
    seen: Counter[Any] = Counter()
    kept = np.zeros(len(sources), bool)
    for i in draw.permutation(len(sources)):
        seen[sources[i]] += 1
        kept[i] = seen[sources[i]] <= OF_A_WORD
    return kept


def _some(vectors: Matrix, draw: np.random.Generator) -> Matrix:
    return vectors[draw.permutation(len(vectors))[:MOST]]


def _genuine(world: World, heard: list[Heard], draw: np.random.Generator) -> tuple[Genuine, ...]:
    """Held-out words taught in quiet, by one person or by several, then said again in all sorts of rooms by the same or
    by others: what the examples score among themselves against what the next utterances score."""
    by_word: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for one in heard:
        by_word[one.clip.corpus, one.clip.word].append(one)
    often = [said for said in by_word.values() if len({one.clip.speaker for one in said}) >= 6]
    rows = []
    for shots in range(1, SHOTS + 1):
        own, queries = [], []
        for said in often:
            placed = [world.place(one.vectors) for one in said]
            vectors = np.stack([each[0] for each in placed])
            strangers = _without(world, vectors)
            for i in range(DRAWS):
                support, rest = (_of_one if i % 2 else _of_several)(said, shots, draw)
                if len(support) < shots or len(rest) < 3:
                    continue
                examples = [placed[s] for s in support]
                heads, _ = learned(strangers, examples, [None] * shots)
                found = scores(heads, vectors[rest], strangers.strangers(vectors[rest]))[:, 0]
                among = own_scores(strangers, examples, [None] * shots)
                own.append(np.full(len(found), among.mean() if shots > 1 else 0.0))
                queries.append(found)
        x, y = np.concatenate(own), np.concatenate(queries)
        slope, base = np.polyfit(x, y, 1) if shots > 1 else (0.0, y.mean())
        rows.append(Genuine(*map(float, (y.mean(), y.std(), base, slope, (y - base - slope * x).std()))))
    return tuple(rows)


def _of_several(said: list[Heard], shots: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """Examples of different people, and what others say."""
    people = draw.permutation(sorted({one.clip.speaker for one in said}))
    support = []
    for person in people[:shots]:
        own = [i for i, one in enumerate(said) if one.clip.speaker == person and one.quiet]
        support += [int(draw.choice(own))] if own else []
    rest = [i for i, one in enumerate(said) if one.clip.speaker not in people[:shots]]
    return support, draw.permutation(rest)[:40].tolist()


def _of_one(said: list[Heard], shots: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """Examples of one person, and what else that person says."""
    person = draw.choice(sorted({one.clip.speaker for one in said}))
    own = [i for i, one in enumerate(said) if one.clip.speaker == person]
    quiet = [i for i in own if said[i].quiet]
    support = draw.permutation(quiet)[:shots].tolist()
    used = {id(said[i].clip) for i in support}
    return support, [i for i in own if id(said[i].clip) not in used][:40]


def _without(world: World, own: Matrix) -> World:
    """The world without a word's own utterances in the cohort."""
    return replace(world, cohort=world.cohort[(world.cohort @ own.T).max(axis=1) < 0.9999])
