"""world.npz from what was held out of training: strangers, and how a command's own utterances score."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import LONGEST, SHORTEST, find_utterance
from speakerd.events import Samples
from speakerd.learning.calibration import own_scores
from speakerd.learning.enlarge import enlarge
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Adapter, Matrix, scores
from speakerd.recognition.lengths import Fits, fitting
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import Genuine, World
from speakerd.store.knowledge import Heads
from speakerd.training.augment import Augment
from speakerd.training.chances import Talk, Windows, chances_per_hour, windows
from speakerd.training.data import PEOPLE, Clip, Corpora, Pcm, samples_of
from speakerd.training.talk import talk_of

MOST_SHOTS = 10
DRAWS = 30
QUERIES = 30  # in each
COHORT, IMPOSTORS = 2000, 6000
TALK = 0.75  # of the strangers in the cohort who are not known words: what a speaker hears all day
OF_A_WORD = 20  # in the cohort, at most
CLIPS = 90  # of a word that is taught, give or take one person's
SHOTS, HOMES = 3, 6  # examples of commands that talk is counted against, and so many commands of each word
WORD_AFTER = 3  # recordings of speech: a word by itself, as they are said in a home

Word = tuple[str, str]  # its corpus, and itself


def build(encoder: Encoder, corpora: Corpora, adapter: Adapter, space: tuple[Matrix, Matrix], seed: int = 0) -> World:
    """Hear what was held out: words, each once as it is and once in some room, and running speech. ``space`` is the
    mean (dimension,) and the matrix (dimension, dimension) that were learned with the head.

    Words that many people say are taught, here. Half of the others are strangers in the cohort, as are pieces of the
    speech; the rest of the words are said in between the speech, and thresholds are set by what the spotter hears.
    """
    draw = np.random.default_rng(seed)
    rooms = Augment.among(corpora.noise, seed)
    by_word: dict[Word, list[Clip]] = defaultdict(list)
    for clip in corpora.held_words:
        by_word[clip.corpus, clip.word].append(clip)
    taught = {word for word, clips in by_word.items() if len({clip.speaker for clip in clips}) >= PEOPLE}
    others = sorted(by_word.keys() - taught)
    strange = set(draw.permutation(len(others))[: -(-len(others) // 2)].tolist())
    strangers = [clip for i, word in enumerate(others) if i in strange for clip in by_word[word][:OF_A_WORD]]
    between = [clip for i, word in enumerate(others) if i not in strange for clip in by_word[word][:OF_A_WORD]]

    talk = [(i, vector) for i, pcm in enumerate(corpora.held_speech) for vector in talk_of(encoder, pcm, draw)]
    words = [(-1, vector) for clip in strangers for vector in _clip(encoder, clip, rooms)]
    chosen = [(-1, vector) for clip in _known(corpora.words, draw) for vector in _clip(encoder, clip, rooms)]
    room = COHORT - len(chosen)
    chosen += [talk[i] for i in draw.permutation(len(talk))[: max(round(TALK * room), room - len(words))]]
    chosen += [words[i] for i in draw.permutation(len(words))[: COHORT - len(chosen)]]
    world = World(adapter, encoder.id, *space, cohort=np.zeros((0, encoder.dimension), np.float32))
    world = replace(world, cohort=world.place(np.stack([vector for _, vector in chosen])))
    source = np.array([recording for recording, _ in chosen])

    running = _running(encoder, world, source, corpora.held_speech, between, rooms, draw)
    world = running.some(draw.permutation(len(running.lengths))[:IMPOSTORS], world)
    said = [_said(encoder, _some_people(by_word[word], draw), rooms) for word in sorted(taught)]
    commands = [command for one in said for command in _commands(encoder, world, one, draw)]
    per_hour, clumped = chances_per_hour(world, running, commands)
    world = replace(world, impostors_per_hour=per_hour, clumped=clumped)
    return replace(world, genuine=_genuine(encoder, world, said, draw))


# -- strangers


def _known(clips: list[Clip], draw: np.random.Generator) -> list[Clip]:
    """Of each word that the encoder has learned from many people, what two of them say: words of everyday are strangers
    too, but a clump of them would stand for all that is said in their language."""
    by_word: dict[Word, dict[str, Clip]] = defaultdict(dict)
    for i in draw.permutation(len(clips)):
        by_word[clips[i].corpus, clips[i].word][clips[i].speaker] = clips[i]
    several = [list(said.values())[:2] for _, said in sorted(by_word.items()) if len(said) >= PEOPLE]
    return [clip for some in several for clip in some]


def _clip(encoder: Encoder, clip: Clip, rooms: Augment) -> Iterator[Matrix]:
    """A word as it is, and in some room."""
    for samples in _twice(clip, rooms):
        utterance = find_utterance(samples)
        if utterance is not None and SHORTEST <= utterance.seconds <= LONGEST:
            yield encoder.embed(utterance)


def _running(
    encoder: Encoder, world: World, source: NDArray[np.int64], speech: list[Pcm], between: list[Clip], rooms: Augment,
    draw: np.random.Generator,
) -> Talk:  # fmt: skip
    """Speech as the spotter hears it, every other recording in some room, with pauses that do not count as talk.
    ``source`` (cohort,) is the recording that a stranger is from: nobody is a stranger to himself."""
    vectors, near, places, ends = [], [], [], []
    now = talk = 0.0
    for i, pcm in enumerate(speech):
        parts = [samples_of(pcm)]
        if between and i % WORD_AFTER == 0:
            parts.append(samples_of(between[draw.integers(len(between))].samples))
        samples = np.concatenate([np.pad(part, SAMPLE_RATE // 2) for part in parts])
        heard = windows(encoder, rooms.one(samples) if i % 2 else samples)
        placed = world.place(heard.vectors.astype(np.float32))
        vectors.append(placed.astype(np.float16))
        strangers = source != i if (source != i).any() else source == i
        near.append(replace(world, cohort=world.cohort[strangers]).strangers(placed))
        places.append(heard.lengths)
        ends.append(now + heard.ends)
        now += len(samples) / SAMPLE_RATE
        talk += sum(map(len, parts)) / SAMPLE_RATE
    return Talk(
        np.concatenate(vectors), np.concatenate(near), np.concatenate(places), np.concatenate(ends), talk / 3600
    )  # fmt: skip


# -- commands


@dataclass(frozen=True)
class Said:
    """A clip of a word that is taught: who says it, how long it is, ``vectors`` (1 + variants, dimension), the variants
    only where it is heard as it was recorded (``quiet``) and may be an example; ``windows`` of it in a stream."""

    clip: Clip
    seconds: float
    vectors: Matrix
    quiet: bool
    windows: Windows


def _some_people(clips: list[Clip], draw: np.random.Generator) -> list[Clip]:
    """All that people say, until there are enough clips."""
    by_person: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_person[clip.speaker].append(clip)
    found: list[Clip] = []
    for person in draw.permutation(sorted(by_person)):
        if len(found) < CLIPS:
            found += by_person[person]
    return found


def _said(encoder: Encoder, clips: list[Clip], rooms: Augment) -> list[Said]:
    heard = []
    for clip in clips:
        for quiet, samples in zip((True, False), _twice(clip, rooms), strict=True):
            utterance = find_utterance(samples)
            if utterance is not None and SHORTEST <= utterance.seconds <= LONGEST:
                heard.append((clip, quiet, samples, utterance))
    wanted = fitting(encoder, [utterance.seconds for *_, utterance in heard])
    return [
        Said(
            clip, utterance.seconds,
            np.stack([encoder.embed(one) for one in (utterance, *(enlarge(utterance) if quiet else ()))]),
            quiet, windows(encoder, samples, wanted),
        )
        for clip, quiet, samples, utterance in heard
    ]  # fmt: skip


def _commands(
    encoder: Encoder, world: World, said: list[Said], draw: np.random.Generator
) -> Iterator[tuple[Heads, Fits]]:
    """A word taught by three people, several times."""
    quiet = {one.clip.speaker: one for one in said if one.quiet}
    people = draw.permutation(sorted(quiet))
    for at in range(0, min(HOMES * SHOTS, len(people) - SHOTS + 1), SHOTS):
        support = [quiet[person] for person in people[at : at + SHOTS]]
        heads, _ = learned(world, [world.place(one.vectors) for one in support], [None] * SHOTS)
        yield heads, fitting(encoder, [one.seconds for one in support])


def _genuine(encoder: Encoder, world: World, words: list[list[Said]], draw: np.random.Generator) -> tuple[Genuine, ...]:
    """Held-out words taught in quiet, by one person or by several, then said again in all sorts of rooms by the same or
    by others: what the examples score among themselves against what the spotter finds in the next utterances."""
    heard = [[_Query.of(world, one) for one in said] for said in words]
    rows = []
    for shots in range(1, MOST_SHOTS + 1):
        own, queries = [], []
        for said, asked in zip(words, heard, strict=True):
            for i in range(DRAWS):
                support, rest = (_of_one if i % 2 else _of_several)(said, shots, draw)
                if len(support) < shots or len(rest) < 3:
                    continue
                examples = [world.place(said[s].vectors) for s in support]
                heads, _ = learned(world, examples, [None] * shots)
                fits = fitting(encoder, [said[s].seconds for s in support])
                found = np.array([score for r in rest if (score := asked[r].best(heads, fits)) is not None])
                among = own_scores(world, examples, [None] * shots)
                own.append(np.full(len(found), among.mean() if shots > 1 else 0.0))
                queries.append(found)
        x, y = np.concatenate(own), np.concatenate(queries)
        slope, base = np.polyfit(x, y, 1) if shots > 1 else (0.0, y.mean())
        rows.append(Genuine(*map(float, (y.mean(), y.std(), base, slope, (y - base - slope * x).std()))))
    return tuple(rows)


@dataclass(frozen=True)
class _Query:
    """Windows of an utterance in the world's space: vectors (n, dimension), near (n, 2), lengths (n,)."""

    vectors: Matrix
    near: Matrix
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, world: World, one: Said) -> "_Query":
        placed = world.place(one.windows.vectors.astype(np.float32))
        return cls(placed, world.strangers(placed), one.windows.lengths)

    def best(self, heads: Heads, fits: Fits) -> float | None:
        rows = fits[self.lengths]
        return float(scores(heads, self.vectors[rows], self.near[rows]).max()) if rows.any() else None


def _of_several(said: list[Said], shots: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """Examples of different people, and what others say."""
    people = draw.permutation(sorted({one.clip.speaker for one in said}))
    support = []
    for person in people[:shots]:
        own = [i for i, one in enumerate(said) if one.clip.speaker == person and one.quiet]
        support += [int(draw.choice(own))] if own else []
    rest = [i for i, one in enumerate(said) if one.clip.speaker not in people[:shots]]
    return support, draw.permutation(rest)[:QUERIES].tolist()


def _of_one(said: list[Said], shots: int, draw: np.random.Generator) -> tuple[list[int], list[int]]:
    """Examples of one person, and what else that person says; and as much that others say, as they do in a household
    where one has taught it."""
    person = draw.choice(sorted({one.clip.speaker for one in said}))
    own = [i for i, one in enumerate(said) if one.clip.speaker == person]
    quiet = [i for i in own if said[i].quiet]
    support = draw.permutation(quiet)[:shots].tolist()
    used = {id(said[i].clip) for i in support}
    again = [i for i in own if id(said[i].clip) not in used][: QUERIES // 2]
    others = [i for i, one in enumerate(said) if one.clip.speaker != person]
    return support, again + draw.permutation(others)[: len(again)].tolist()


# -- sounds


def _twice(clip: Clip, rooms: Augment) -> tuple[Samples, Samples]:
    """A clip with a pause around it, as it is and in some room."""
    quiet = np.pad(samples_of(clip.samples), SAMPLE_RATE // 2)
    return quiet, rooms.one(quiet)
