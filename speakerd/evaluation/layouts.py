"""How streams are laid out: Picovoice's benchmark, and a household.

Each stream has its own draw of who teaches and who speaks, its own room and noise, so that resampling streams resamples
all of these. A stream depends on the seed and its number alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording, seconds_of
from speakerd.audio.segmenter import find_utterance
from speakerd.config.settings import Gate
from speakerd.errors import SpeakerdError
from speakerd.evaluation.episodes import Episode, Support, Task
from speakerd.evaluation.material import Material
from speakerd.evaluation.sounds import Sounds, recordings
from speakerd.evaluation.streams import Said, Stream, loudest
from speakerd.events import Samples
from speakerd.learning.enlarge import convolved

MINUTES = 10  # of a stream, if there are at least two as long
Generator = np.random.Generator


@dataclass(frozen=True)
class Surroundings:
    """Recordings of speech without commands, and of noise."""

    speech: Sequence[Path]
    noise: Sequence[Path]

    @classmethod
    def below(cls, speech: Iterable[Path], noise: Iterable[Path]) -> "Surroundings":
        """All recordings below these folders.

        Raises:
            SpeakerdError: there are none.
        """
        found = cls([p for f in speech for p in recordings(f)], [p for f in noise for p in recordings(f)])
        if not found.speech or not found.noise:
            raise SpeakerdError("streams are laid together from recordings of --speech and of --noise: give both")
        return found

    @property
    def hours(self) -> float:
        """Of different speech."""
        return sum(map(seconds_of, self.speech)) / 3600


def tasks(data: Path, shots: int, ways: int | None, support: Support) -> list[Task]:
    """What is drawn from the words below ``data``: a task for each corpus, with the words of the others as negatives.

    Raises:
        SpeakerdError: there are no recordings of words.
    """
    found = Material.of(data, [], [], lambda _: None, Gate())
    usable = np.ones(len(found.sounds), bool)
    return [
        Task(found.sounds, corpus, rows, usable, found.strange_to(corpus), shots, ways, support)
        for corpus, rows in found.corpora.items()
    ]


def teachers(several: Iterable[Task], seed: int) -> dict[str, tuple[Path, ...]]:
    """Clips that teach each word of all tasks."""
    return {name: clips for task in several for name, clips in _taught(task, next(task.episodes(1, seed))).items()}


# -- household

SPEECH, COMMAND, IN_SPEECH, WORD = range(4)
SHARES = (0.45, 0.22, 0.22, 0.11)  # of what comes next: talk, a command, a command within talk, another word


@lru_cache(maxsize=32)
def _sound(path: Path) -> Samples:
    """A recording; the same few lie in many places, and to decode one takes longer than to listen to it."""
    samples = read_recording(path)
    samples.setflags(write=False)
    return samples


def household(task: Task, around: Surroundings, hours: float, seed: int) -> Iterator[Stream]:
    """Somebody talks or a television runs, most of the time; commands are said between pauses or into the talk; other
    words are said, too. Near and far, in rooms, with noise 0 to 20 dB below the commands that changes every minute.

    Raises:
        SpeakerdError: too few speakers, clips or words.
    """
    streams, length = _streams(hours)
    for i, episode in enumerate(task.episodes(streams, seed)):
        draw = np.random.default_rng([seed, i])
        scene = _Scene(draw, length)
        words = episode.negatives[task.sounds.words[episode.negatives] != ""]
        while scene.left > 25 * SAMPLE_RATE:
            kind = int(draw.choice(4, p=SHARES))
            if kind in (COMMAND, IN_SPEECH):
                asked = int(draw.integers(len(episode.queries)))
                name = episode.names[episode.truth[asked]]
                _command(scene, _sound(task.sounds.pieces[episode.queries[asked]].path), name, kind, around)
            elif kind == WORD and len(words):
                row = int(draw.choice(words))
                scene.lay(_sound(task.sounds.pieces[row].path), draw.uniform(-34, -22))
            else:
                scene.lay(_talk(around, draw), draw.uniform(-38, -20))
            scene.pause(draw.uniform(0.6, 2.5))
        yield Stream(
            f"{task.corpus}-{i:03d}", scene.with_noise(around.noise), tuple(scene.said), _taught(task, episode),
            scene.talk / SAMPLE_RATE,
        )  # fmt: skip


def _command(scene: "_Scene", clip: Samples, name: str, kind: int, around: Surroundings) -> None:
    begin, end = _speech_in(clip)
    level = scene.draw.uniform(-34, -22)
    if kind == COMMAND:
        at = scene.lay(clip, level)
        scene.said.append(Said((at + begin) / SAMPLE_RATE, (at + end) / SAMPLE_RATE, name))
        return
    talk = _talk(around, scene.draw)
    cut = _quietest(talk, int(len(talk) * scene.draw.uniform(0.3, 0.7)))
    voice = level + scene.draw.uniform(-6, 3)  # the others are rarely louder than who speaks to the machine
    scene.lay(talk[:cut], voice)
    scene.pause(scene.draw.uniform(0, 0.2))
    margin = SAMPLE_RATE // 20
    first = max(0, begin - margin)
    at = scene.lay(clip[first : end + margin], level)
    scene.said.append(Said((at + begin - first) / SAMPLE_RATE, (at + end - first) / SAMPLE_RATE, name, "in speech"))
    scene.pause(scene.draw.uniform(0, 0.2))
    scene.lay(talk[cut:], voice)


class _Scene:
    """A stream while it is laid out: a room, and a place where the next sound goes."""

    def __init__(self, draw: Generator, length: int) -> None:
        self.draw = draw
        self._samples = np.zeros(length, np.float32)
        self._at = SAMPLE_RATE
        self.said: list[Said] = []
        self.talk = 0
        time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        tail = draw.standard_normal(len(time)) * np.exp(-6.9 * time / draw.uniform(0.15, 0.7))
        tail[: SAMPLE_RATE // 400] = 0  # the first reflection takes 2.5 ms
        self._tail = tail / np.sqrt(np.square(tail).sum())

    @property
    def left(self) -> int:
        return len(self._samples) - self._at

    def pause(self, seconds: float) -> None:
        self._at += round(seconds * SAMPLE_RATE)

    def lay(self, samples: Samples, level: float) -> int:
        """Lay speech down at a level (dBFS) and some distance; where it begins, in samples."""
        at = self._at
        samples = samples[: max(0, self.left)]
        response = np.asarray(self._tail * 10 ** (-self.draw.uniform(-3, 15) / 20), np.float32)  # direct to reverberant
        response[0] = 1
        heard = convolved(samples, response)[: self.left]
        self._samples[at : at + len(heard)] += heard * (10 ** (level / 20) / max(loudest(heard), 1e-5))
        self._at += len(samples)
        self.talk += len(samples)
        return at

    def with_noise(self, noise: Sequence[Path]) -> Samples:
        """The stream in its noise; 16 bits hold it."""
        samples = self._samples + self.draw.standard_normal(len(self._samples)).astype(np.float32) * 10 ** (-78 / 20)
        for at in range(0, len(samples), 60 * SAMPLE_RATE):
            piece = samples[at : at + 60 * SAMPLE_RATE]
            sound = _sound(noise[int(self.draw.integers(len(noise)))])
            wrapped = np.take(sound, np.arange(len(piece)) + int(self.draw.integers(len(sound))), mode="wrap")
            level = -31 - self.draw.uniform(0, 20)  # whole words are 3 dB below their loudest part
            piece += wrapped * (10 ** (level / 20) / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-5))
        return np.clip(samples, -1, 1)


def _talk(around: Surroundings, draw: Generator) -> Samples:
    """A piece of running speech, of 4 to 16 s where there is as much."""
    samples = _sound(around.speech[int(draw.integers(len(around.speech)))])
    return samples[: round(draw.uniform(4, 16) * SAMPLE_RATE)]


def _quietest(samples: Samples, near: int) -> int:
    """Where, within half a second, a recording is quietest: between two words, mostly."""
    block = SAMPLE_RATE // 50
    first = max(0, near - SAMPLE_RATE // 2)
    blocks = samples[first : near + SAMPLE_RATE // 2]
    blocks = blocks[: len(blocks) // block * block].reshape(-1, block)
    return first + (int(np.argmin(np.square(blocks).sum(axis=1))) * block if len(blocks) else 0)


def _speech_in(clip: Samples) -> tuple[int, int]:
    """Where in a clip the word is; the whole, where nothing is found."""
    found = find_utterance(clip)
    if found is None:
        return 0, len(clip)
    return round(found.start * SAMPLE_RATE), round(found.end_time * SAMPLE_RATE)


# -- Picovoice

SPEAKS, SNR, FRAME = 0.2, 10.0, 512


def picovoice(task: Task, around: Surroundings, hours: float, seed: int) -> Iterator[Stream]:
    """As in the benchmark of Picovoice (``mixer.py``): each word by itself, ``hours`` of it; clips at equal gaps; in
    the gaps recordings of speech, each kept with probability 0.2, else silence as long; noise throughout, 10 dB below.
    Everybody but who teaches is asked as often as there is room for at theirs, about two clips a minute at most.

    Raises:
        SpeakerdError: too few speakers, clips or words.
    """
    streams, length = _streams(hours)
    for word in sorted(set(task.sounds.words[task.rows])):
        rows = task.rows[task.sounds.words[task.rows] == word]
        alone = replace(task, rows=rows, ways=None)
        for i, episode in enumerate(alone.episodes(streams, seed)):
            draw = np.random.default_rng([seed, i])
            clips = draw.permutation(episode.queries)[: 2 * length // (60 * SAMPLE_RATE)]
            yield _benchmark(f"{task.corpus}-{word}-{i:03d}", str(word), task.sounds, clips.tolist(), around, draw,
                             length, _taught(task, episode))  # fmt: skip


def _benchmark(
    name: str, word: str, sounds: Sounds, rows: Sequence[int], around: Surroundings, draw: Generator,
    length: int, taught: dict[str, tuple[Path, ...]],
) -> Stream:  # fmt: skip
    gap = length // (len(rows) + 1)
    parts, said, at, talk = [], [], 0, 0
    for row in (*rows, None):
        filled = 0
        while filled < gap:
            part = _sound(around.speech[int(draw.integers(len(around.speech)))])[: gap - filled]
            spoken = draw.random() < SPEAKS
            parts.append(part if spoken else np.zeros_like(part))
            filled += len(part)
            talk += len(part) if spoken else 0
        at += filled
        if row is not None:
            parts.append(_sound(sounds.pieces[row].path))
            said.append(Said(at / SAMPLE_RATE, (at + len(parts[-1])) / SAMPLE_RATE, word))
            at += len(parts[-1])
            talk += len(parts[-1])
    noise: list[Samples] = []
    while sum(map(len, noise)) < at:
        sound = _sound(around.noise[int(draw.integers(len(around.noise)))])
        noise.append(sound / max(1e-5, float(np.abs(sound).max())))
    samples, begin = np.concatenate(noise)[:at], 0
    for part in parts:
        beside = samples[begin : begin + len(part)]
        if (energy := _energy(part)) > 0:
            beside += part * np.float32(np.sqrt(_energy(beside) * 10 ** (SNR / 10) / energy))
        begin += len(part)
    samples = samples / np.float32(max(1e-5, float(np.abs(samples).max())))
    return Stream(name, np.asarray(samples, np.float32), tuple(said), taught, talk / SAMPLE_RATE)


def _energy(samples: Samples) -> float:
    """Of the loudest frame."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.square(frames).sum(axis=1).max(initial=0))


def _streams(hours: float) -> tuple[int, int]:
    """How many, and how many samples each is long."""
    streams = max(2, round(hours * 60 / MINUTES))
    return streams, round(hours * 3600 * SAMPLE_RATE / streams)


def _taught(task: Task, episode: Episode) -> dict[str, tuple[Path, ...]]:
    return {
        name: tuple(task.sounds.pieces[row].path for row in episode.support[episode.owners == i])
        for i, name in enumerate(episode.names)
    }


LAYOUTS = {"household": household, "picovoice": picovoice}
