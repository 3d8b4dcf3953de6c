"""Embeddings that episodes are drawn from: what one encoder makes of words, talk and rooms, heard once and kept.

Every clip is heard as it is and in rooms (training/augment.py). Words that the encoder never heard come first: only
they show how tight the clusters of a new command are. A word that was recorded once becomes a class by being played at
other speeds and pitches, in other rooms.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.events import Samples, Utterance
from speakerd.learning.enlarge import enlarge
from speakerd.recognition.course import parted
from speakerd.recognition.encoder import Encoder, ModelError
from speakerd.recognition.head import Matrix
from speakerd.training.augment import Augment
from speakerd.training.data import Clip, Corpora, by_word, samples_of
from speakerd.training.talk import paused, talk_of, utterance_in

# Kinds of classes: said by many and held out of the encoder's training; said by many and learned by it; recorded once
# and held out. Talk and rooms are no classes.
HELD, SEEN, ONCE, TALK, ROOM = range(5)
CLIPS = 160  # of a held-out word, at most
SEEN_CLIPS = 40  # of a learned word
ONCE_WORDS, ONCE_VARIANTS = 1200, 5
SPEEDS = (0.88, 1.14)  # of words recorded once, changing their pitch too
ROOMS = 100  # pieces of noise

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cache:
    """``vectors`` (n, dimension) are the encoder's own unit embeddings, without courses; of each: its class ``word``
    (-1 for talk and rooms), who says it (numbers, unlike for different corpora), which ``clip`` it was made of, whether
    it was heard as recorded (``quiet``), and its kind. ``enlarged`` (m, variants, dimension) is what the device would
    make of an example (learning/enlarge.py), ``variants`` (n,) where in it the embedding's own are, or -1. ``encoder``
    is the id of the encoder."""

    encoder: str
    vectors: Matrix
    word: Ints
    speaker: Ints
    clip: Ints
    quiet: NDArray[np.bool_]
    kind: Ints
    enlarged: Matrix
    variants: Ints

    def save(self, path: Path) -> None:
        np.savez(
            path, encoder=np.array(self.encoder), vectors=self.vectors, word=self.word, speaker=self.speaker,
            clip=self.clip, quiet=self.quiet, kind=self.kind, enlarged=self.enlarged, variants=self.variants,
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path, encoder: str) -> "Cache":
        """Raises:
        ModelError: the embeddings are another encoder's.
        """
        with np.load(path, allow_pickle=False) as file:
            parts = {field.name: file[field.name] for field in fields(cls)}
        if str(parts["encoder"]) != encoder:
            raise ModelError(f"{path} holds embeddings of another encoder; remove it, and they are made again")
        return cls(**parts | {"encoder": encoder})


def hear(encoder: Encoder, corpora: Corpora, seed: int = 0) -> Cache:
    """Embed what episodes need: a few minutes on one core."""
    draw = np.random.default_rng(seed)
    rooms = Augment.among(corpora.noise, seed)
    rows: list[tuple[Matrix, int, int, int, bool, int, int]] = []
    enlarged: list[Matrix] = []
    words: dict[tuple[str, str], int] = {}
    speakers: dict[tuple[str, str], int] = {}
    for number, (clip, kind) in enumerate(_chosen(corpora, draw)):
        word = words.setdefault((clip.corpus, clip.word), len(words))
        speaker = speakers.setdefault((clip.corpus, clip.speaker), len(speakers))
        for samples, quiet in _variants(clip, kind, rooms, draw):
            found = utterance_in(samples)
            if found is None:
                continue
            more = -1
            if quiet and kind != SEEN:
                more = len(enlarged)
                enlarged.append(np.stack([encoder.embed(variant) for variant in enlarge(found)]))
            rows.append((encoder.embed(found), word, speaker, number, quiet, kind, more))
    for number, pcm in enumerate(corpora.held_speech):
        rows += [(vector, -1, number, -1, True, TALK, -1) for vector in talk_of(encoder, pcm, draw)]
    for start in draw.integers(0, len(rooms.noise) - SAMPLE_RATE, ROOMS):
        piece = rooms.noise[start : start + SAMPLE_RATE].numpy()
        rows.append((encoder.embed(Utterance(piece, 3200, 11200, 0.0, 0.0)), -1, -1, -1, True, ROOM, -1))
    vectors, *rest = zip(*rows, strict=True)
    columns = [np.array(column) for column in rest]
    word_, speaker_, clip_, quiet_, kind_, variants = columns
    return Cache(
        encoder.id, parted(np.stack(vectors), encoder.pooled)[0], word_, speaker_, clip_, quiet_.astype(bool), kind_,
        parted(np.stack(enlarged), encoder.pooled)[0], variants,
    )  # fmt: skip


def _chosen(corpora: Corpora, draw: np.random.Generator) -> Iterator[tuple[Clip, int]]:
    """The clips to be heard, and the kind of their words."""
    for clips, kind, most in ((corpora.held_words, HELD, CLIPS), (corpora.words, SEEN, SEEN_CLIPS)):
        of = by_word(clips)
        once = [word for word, said in of.items() if len(said) <= 2]
        for word in (word for word, said in of.items() if len(said) > 2):
            for i in draw.permutation(len(of[word]))[:most]:
                yield of[word][i], kind
        if kind == HELD:
            for i in draw.permutation(len(once))[:ONCE_WORDS]:
                yield of[once[i]][0], ONCE


def _variants(clip: Clip, kind: int, rooms: Augment, draw: np.random.Generator) -> Iterator[tuple[Samples, bool]]:
    quiet = paused(clip.samples)
    yield quiet, True
    for _ in range({HELD: 2, SEEN: 1, ONCE: ONCE_VARIANTS}[kind]):
        said = quiet
        if kind == ONCE:
            rate = draw.uniform(*SPEEDS)
            said = np.pad(soxr.resample(samples_of(clip.samples), SAMPLE_RATE * rate, SAMPLE_RATE), SAMPLE_RATE // 2)
        yield rooms.one(said), False
