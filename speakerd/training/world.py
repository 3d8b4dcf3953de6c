"""world.npz from what was held out of training: strangers, and how a command's own utterances score."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.learning.calibration import own_scores
from speakerd.learning.enlarge import enlarge
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Adapter, Matrix, scores
from speakerd.recognition.lengths import Fits, fitting
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import Coarse, Genuine, Resting, World, coarse
from speakerd.store.knowledge import Heads
from speakerd.training.augment import Augment
from speakerd.training.chances import Talk, Windows, chances_per_hour, windows
from speakerd.training.data import Clip, Corpora, Pcm, Word, by_word, many_say
from speakerd.training.talk import paused, talk_of, utterance_in

MOST_SHOTS = 10
DRAWS = 30
QUERIES = 30  # in each
ENOUGH = 0.75  # of the draws must be possible; of more examples than that as much is expected as of fewer
COHORT, IMPOSTORS = 700, 6000
TALK = 0.75  # of the strangers in the cohort that are not learned words: what a speaker hears all day
OF_A_WORD = 20  # clips, in the cohort or between the talk, at most
KNOWN = 4  # of a learned word, in the cohort: a clump of it would stand for all that is said in its language
MOST_KNOWN = COHORT // 3  # of all learned words: where there are hundreds, talk has its place still
CLIPS = 90  # of a word that is taught, give or take one person's
SHOTS, HOMES = 3, 6  # examples of commands that talk is counted against, and so many commands of each word
AT_A_TIME = 20 * SAMPLE_RATE  # samples of talk in one room
WORD_AFTER = 3  # recordings of speech: a word by itself, as they are said in a home


def build(encoder: Encoder, corpora: Corpora, adapter: Adapter, space: tuple[Matrix, Matrix], seed: int = 0) -> World:
    """Hear what was held out: words, each once as it is and once in some room, and running speech. ``space`` is the
    mean (dimension,) and the matrix (dimension, dimension) that were learned with the head.

    Words that many people say are taught, here, each of them where it is not among the strangers itself. The others are
    said in between the speech, and thresholds are set by what the spotter hears.
    """
    draw = np.random.default_rng(seed)
    rooms = Augment.among(corpora.noise, seed)
    words = by_word(corpora.held_words)
    taught = sorted(word for word, clips in words.items() if many_say(clips))
    between = [clip for word in sorted(words.keys() - set(taught)) for clip in words[word][:OF_A_WORD]]

    chosen = _strangers(encoder, corpora, [words[word] for word in taught], rooms, draw)
    world = World(adapter, encoder.id, *space, cohort=np.zeros((0, encoder.pooled), np.float32))
    cohort, courses = np.hsplit(world.place(np.stack([vector for *_, vector in chosen])), [encoder.pooled])
    world = replace(world, cohort=cohort, courses=coarse(courses))
    source, which = (np.array(column) for column in list(zip(*chosen, strict=True))[:2])

    running, heard = _running(encoder, world, source, corpora.overheard, between, rooms, draw)
    again = partial(_alone, encoder, world, heard)
    some = draw.permutation(len(running.lengths))[:IMPOSTORS]
    impostors, near = again(some)
    world = replace(world, impostors=Resting.of(impostors), near_impostors=near, lengths=running.lengths[some])
    said = [_said(encoder, _some_people(words[word], draw), rooms) for word in taught]
    # what somebody has taught is said by no stranger
    apart = [world.among(which != i) for i in range(len(taught))]
    commands = [one for own, clips in zip(apart, said, strict=True) for one in _commands(encoder, own, clips, draw)]
    per_hour, clumped = chances_per_hour(world, running, commands, again)
    world = replace(world, impostors_per_hour=per_hour, clumped=clumped)
    return replace(world, genuine=_genuine(encoder, apart, said, draw))


_Piece = tuple[NDArray[np.bool_], Windows]  # of talk, and who of the cohort is a stranger to it


# -- strangers


def _strangers(
    encoder: Encoder, corpora: Corpora, taught: list[list[Clip]], rooms: Augment, draw: np.random.Generator
) -> list[tuple[int, int, Matrix]]:
    """Who is in the cohort: the ``id`` of the recording of speech that it is from and the number of the word that is
    taught and said here, -1 where there is none, and the embedding (dimension,)."""
    talk = [(id(pcm), -1, vector) for pcm in corpora.held_speech for vector in talk_of(encoder, pcm, draw)]
    some = [(i, clips[j]) for i, clips in enumerate(taught) for j in draw.permutation(len(clips))[:OF_A_WORD]]
    heard = [(i, said) for i, clip in some for quiet in [paused(clip.samples)] for said in (quiet, rooms.one(quiet))]
    words = [(-1, i, encoder.embed(one)) for i, said in heard if (one := utterance_in(said)) is not None]
    known = (paused(clip.samples) for clip in learned_words(corpora.words, draw))
    every_day = (rooms.one(quiet) if i % 2 else quiet for i, quiet in enumerate(known))
    chosen = [(-1, -1, encoder.embed(one)) for said in every_day if (one := utterance_in(said)) is not None]
    room = COHORT - len(chosen)
    chosen += [talk[i] for i in draw.permutation(len(talk))[: max(round(TALK * room), room - len(words))]]
    return chosen + [words[i] for i in draw.permutation(len(words))[: COHORT - len(chosen)]]


def learned_words(clips: list[Clip], draw: np.random.Generator) -> list[Clip]:
    """Of each word that the encoder has learned from several people, what some of them say: words of everyday are
    strangers too."""
    of: dict[Word, dict[str, Clip]] = defaultdict(dict)
    for i in draw.permutation(len(clips)):
        of[clips[i].corpus, clips[i].word][clips[i].speaker] = clips[i]
    several = [list(said.values())[:KNOWN] for _, said in sorted(of.items()) if len(said) > 2]
    some = [clip for said in several for clip in said]
    return some[:: -(-len(some) // MOST_KNOWN) or 1]


def _running(
    encoder: Encoder, world: World, source: NDArray[np.int64], speech: list[Pcm], between: list[Clip], rooms: Augment,
    draw: np.random.Generator,
) -> tuple[Talk, list[_Piece]]:  # fmt: skip
    """Speech as the spotter hears it, every other recording in some room, with pauses that do not count as talk.
    ``source`` (cohort,) is the ``id`` of the recording that a stranger is from: nobody is a stranger to himself."""
    vectors, near, places, ends, all_heard = [], [], [], [], []
    now = talk = 0.0
    pieces = [(id(pcm), pcm[at : at + AT_A_TIME]) for pcm in speech for at in range(0, len(pcm), AT_A_TIME)]
    for i, (recording, piece) in enumerate(pieces):
        parts = [piece]
        if between and i % WORD_AFTER == 0:
            parts.append(between[draw.integers(len(between))].samples)
        samples = np.concatenate([paused(part) for part in parts])
        heard = windows(encoder, rooms.one(samples) if i % 2 else samples)
        placed = world.place(heard.vectors.astype(np.float32))
        vectors.append(coarse(placed))
        strangers = source != recording if (source != recording).any() else source == recording
        all_heard.append((strangers, heard))
        near.append(world.among(strangers).strangers(placed))
        places.append(heard.lengths)
        ends.append(now + heard.ends)
        now += len(samples) / SAMPLE_RATE
        talk += sum(map(len, parts)) / SAMPLE_RATE
    running = Talk(
        np.concatenate(vectors), np.concatenate(near), np.concatenate(places), np.concatenate(ends), talk / 3600
    )  # fmt: skip
    return running, all_heard


def _alone(encoder: Encoder, world: World, heard: list[_Piece], some: NDArray[np.int64]) -> tuple[Coarse, Matrix]:
    """``some`` (n,) of the windows as they are heard where they come close to a command, as ``World.place`` gives them
    (n, dimension; coarse), and their ``strangers`` (n, 2 or 4)."""
    first = np.cumsum([0] + [len(windows.ends) for _, windows in heard])
    of = np.searchsorted(first, some, side="right") - 1
    nothing = world.place(np.zeros((0, encoder.dimension), np.float32))
    vectors, near = (np.zeros((len(some), like.shape[1]), np.float32) for like in (nothing, world.strangers(nothing)))
    for piece in np.unique(of):
        strangers, windows = heard[piece]
        rows = np.flatnonzero(of == piece)
        vectors[rows] = world.place(np.stack([windows.alone(encoder, row) for row in some[rows] - first[piece]]))
        near[rows] = world.among(strangers).strangers(vectors[rows])
    return coarse(vectors), near


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
        plain = paused(clip.samples)
        for quiet, samples in ((True, plain), (False, rooms.one(plain))):
            utterance = utterance_in(samples)
            if utterance is not None:
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


def _genuine(
    encoder: Encoder, worlds: list[World], words: list[list[Said]], draw: np.random.Generator
) -> tuple[Genuine, ...]:
    """Held-out words taught in quiet, by one person or by several, then said again in all sorts of rooms by the same or
    by others: what the examples score among themselves against what the spotter finds in the next utterances."""
    heard = [[_Query(encoder, world, one.windows) for one in said] for said, world in zip(words, worlds, strict=True)]
    rows: list[Genuine] = []
    for shots in range(1, MOST_SHOTS + 1):
        own, queries = [], []
        for said, asked, world in zip(words, heard, worlds, strict=True):
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
        if rows and len(queries) < ENOUGH * DRAWS * len(words):  # few words have so many speakers: no others to compare
            rows.append(rows[-1])
            continue
        x, y = np.concatenate(own), np.concatenate(queries)
        slope, base = np.polyfit(x, y, 1) if shots > 1 else (0.0, y.mean())
        rows.append(Genuine(*map(float, (y.mean(), y.std(), base, slope, (y - base - slope * x).std()))))
    return tuple(rows)


class _Query:
    """An utterance as the spotter hears it, and once more where it is asked for."""

    def __init__(self, encoder: Encoder, world: World, windows: Windows) -> None:
        self._encoder, self._world, self._windows = encoder, world, windows
        self._placed = world.place(windows.vectors.astype(np.float32))
        self._near = world.strangers(self._placed)
        self._alone: dict[int, tuple[Matrix, Matrix]] = {}

    def best(self, heads: Heads, fits: Fits) -> float | None:
        """What the best window of those that fit scores by itself."""
        rows = np.flatnonzero(fits[self._windows.lengths])
        if not len(rows):
            return None
        best = int(rows[scores(heads, self._placed[rows], self._near[rows]).max(axis=1).argmax()])
        if best not in self._alone:
            placed = self._world.place(self._windows.alone(self._encoder, best)[None])
            self._alone[best] = placed, self._world.strangers(placed)
        return float(scores(heads, *self._alone[best]).max())


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
