"""world.npz from what was held out of training: whitening, strangers, and how a command's own utterances score."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.events import Samples, Utterance
from speakerd.learning.calibration import own_scores
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.scoring import scores
from speakerd.recognition.world import Genuine, Matrix, World, unit, whitening_of
from speakerd.training.augment import Augment
from speakerd.training.data import Clip, Corpora, Pcm, seconds

SHOTS = 10
DRAWS = 30
MOST = 2000  # embeddings in the cohort, and among the impostors


def build(encoder: Encoder, corpora: Corpora, seed: int = 0) -> World:
    """Hear everything that was held out, each word once as it is and once in some room."""
    draw = np.random.default_rng(seed)
    rooms = Augment(torch.from_numpy(np.concatenate(corpora.noise).astype(np.float32) / 32768), seed)
    words = [heard for clip in corpora.held_words for heard in _heard(encoder, clip, rooms)]
    spoken = [_spoken(encoder, pcm) for pcm in corpora.held_speech]
    pieces = [vector for pcm in corpora.held_speech for vector in _pieces(encoder, pcm, draw)]
    talk = [vector for vectors in spoken for vector in vectors] + pieces
    everything = np.stack([heard.vector for heard in words] + talk)
    mean, whitening = whitening_of(everything)
    # a word is either in the cohort or among the impostors, and so is a voice's running speech, half and half
    names = sorted({(heard.clip.corpus, heard.clip.word) for heard in words})
    side = dict(zip(names, draw.permutation(len(names)) % 2, strict=True))
    sides = np.array(
        [side[heard.clip.corpus, heard.clip.word] for heard in words] + [i * 2 // len(talk) for i in range(len(talk))]
    )
    per_hour = sum(map(len, spoken)) / (seconds(corpora.held_speech) / 3600)
    empty = np.zeros((0, everything.shape[1]), np.float32)
    world = World(encoder.id, mean, whitening, empty, empty, (), per_hour)
    white = world.whiten(everything)
    cohort, impostors = (_some(white[sides == half], draw) for half in (0, 1))
    world = replace(world, cohort=cohort, impostors=impostors)
    return replace(world, genuine=_genuine(world, words, draw))


@dataclass(frozen=True)
class Heard:
    """What the encoder made of a clip, as it is (``quiet``) or in some room."""

    clip: Clip
    vector: NDArray[np.float32]
    quiet: bool


def _heard(encoder: Encoder, clip: Clip, rooms: Augment) -> Iterator[Heard]:
    quiet = np.pad(_samples(clip.samples), SAMPLE_RATE // 2)
    for samples in (quiet, rooms(torch.from_numpy(quiet)[None])[0].numpy()):
        utterance = find_utterance(samples)
        if utterance is not None and SHORTEST <= utterance.seconds <= LONGEST:
            yield Heard(clip, encoder.embed(utterance), samples is quiet)


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
            vectors = world.whiten(np.stack([one.vector for one in said]))
            strangers = _without(world, vectors)
            for i in range(DRAWS):
                support, rest = (_of_one if i % 2 else _of_several)(said, shots, draw)
                if len(support) < shots or len(rest) < 3:
                    continue
                matrix = unit(vectors[support].mean(axis=0, keepdims=True))
                found = scores(strangers, vectors[rest], matrix, strangers.nearness(matrix))[:, 0]
                among = own_scores(strangers, vectors[support], [None] * shots)
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
