"""world.npz from what was held out of training: whitening, strangers, and how a command's own utterances score."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.events import Samples, Utterance
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
    words = [(clip, vector) for clip in corpora.held_words for vector in _heard(encoder, clip.samples, rooms)]
    spoken = [_spoken(encoder, pcm) for pcm in corpora.held_speech]
    pieces = [vector for pcm in corpora.held_speech for vector in _pieces(encoder, pcm, draw)]
    talk = [vector for vectors in spoken for vector in vectors] + pieces
    everything = np.stack([vector for _, vector in words] + talk)
    mean, whitening = whitening_of(everything)
    # a word is either in the cohort or among the impostors, and so is a voice's running speech, half and half
    names = sorted({(clip.corpus, clip.word) for clip, _ in words})
    side = dict(zip(names, draw.permutation(len(names)) % 2, strict=True))
    sides = np.array(
        [side[clip.corpus, clip.word] for clip, _ in words] + [i * 2 // len(talk) for i in range(len(talk))]
    )
    per_hour = sum(map(len, spoken)) / (seconds(corpora.held_speech) / 3600)
    empty = np.zeros((0, everything.shape[1]), np.float32)
    world = World(encoder.id, mean, whitening, empty, empty, (), per_hour)
    white = world.whiten(everything)
    cohort, impostors = (_some(white[sides == half], draw) for half in (0, 1))
    world = replace(world, cohort=cohort, impostors=impostors)
    return replace(world, genuine=_genuine(world, words, draw))


def _heard(encoder: Encoder, pcm: Pcm, rooms: Augment) -> Iterator[NDArray[np.float32]]:
    clean = np.pad(_samples(pcm), SAMPLE_RATE // 2)
    for samples in (clean, rooms(torch.from_numpy(clean)[None])[0].numpy()):
        utterance = find_utterance(samples)
        if utterance is not None and SHORTEST <= utterance.seconds <= LONGEST:
            yield encoder.embed(utterance)


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


def _genuine(
    world: World, words: list[tuple[Clip, NDArray[np.float32]]], draw: np.random.Generator
) -> tuple[Genuine, ...]:
    """Held-out words taught by several people, their other utterances scored: by number of examples."""
    by_word: dict[tuple[str, str], list[tuple[str, NDArray[np.float32]]]] = defaultdict(list)
    for clip, vector in words:
        by_word[clip.corpus, clip.word].append((clip.speaker, world.whiten(vector)))
    often = {name: said for name, said in by_word.items() if len({speaker for speaker, _ in said}) >= 6}
    rows = []
    for shots in range(1, SHOTS + 1):
        means, deviations = [], []
        for said in often.values():
            strangers = _without(world, np.stack([vector for _, vector in said]))
            for _ in range(DRAWS):
                order = draw.permutation(len(said))
                support, queries = order[:shots], order[shots : shots + 40]
                matrix = unit(np.stack([said[i][1] for i in support]).mean(axis=0, keepdims=True))
                found = scores(strangers, np.stack([said[i][1] for i in queries]), matrix, strangers.nearness(matrix))
                means.append(float(found.mean()))
                deviations.append(float(found.std()))
        rows.append(Genuine(float(np.mean(means)), float(np.std(means)), float(np.mean(deviations))))
    return tuple(rows)


def _without(world: World, own: Matrix) -> World:
    """The world without a word's own utterances in the cohort."""
    strange = (world.cohort @ own.T).max(axis=1) < 0.9999 if len(world.cohort) else np.zeros(0, bool)
    return replace(world, cohort=world.cohort[strange])
