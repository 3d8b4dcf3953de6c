"""Recordings for training, read once from folders and kept in memory as 16-bit samples.

The folder is laid out like this, words in the layout of Speech Commands:

    DIR/words/train/<corpus>/<word>/<speaker>_nohash_<take>.wav
    DIR/speech/train/<source>/<name>.wav
    DIR/noise/train/<source>/<name>.wav
    DIR/synthetic/train/<name>.flac          (see synthetic.py; may be missing)

A part of the words and speech is held out of training by a hash of its name: from it come the strangers that scores
are taken relative to, and how a command's own utterances score (world.npz), honest only where the encoder never heard
them. Thresholds are set by talk of all sources alike, also by what the encoder was distilled on: commands are taken for
that as often as for talk by others.
"""

import zlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.errors import SpeakerdError
from speakerd.events import Samples

Pcm = NDArray[np.int16]
Word = tuple[str, str]  # its corpus, and itself

PEOPLE = 13  # who say a held-out word: ten who teach it and some who say it again
OVERHEARD = 1800.0  # seconds of talk of each source, at most
NOISE_SECONDS = 12  # twice a scene


@dataclass(frozen=True)
class Clip:
    """One recording of one word: who says it, what it is, and its samples."""

    corpus: str
    word: str
    speaker: str
    samples: Pcm


def by_word(clips: Collection[Clip]) -> dict[Word, list[Clip]]:
    """In the order in which words and clips come."""
    found: dict[Word, list[Clip]] = {}
    for clip in clips:
        found.setdefault((clip.corpus, clip.word), []).append(clip)
    return found


def many_say(clips: Collection[Clip]) -> bool:
    """Whether a word with these clips is said by so many that some can teach it."""
    return len({clip.speaker for clip in clips}) >= PEOPLE


@dataclass
class Corpora:
    """Everything found below one data folder, split into what is learned from and what is held out. ``overheard`` is
    talk as a speaker may hear it, as much of each source, and of that what is held out first: a single reader who fills
    hours says little of how often commands are heard wrongly in a television's many voices."""

    words: list[Clip] = field(default_factory=list)
    held_words: list[Clip] = field(default_factory=list)
    speech: list[Pcm] = field(default_factory=list)
    held_speech: list[Pcm] = field(default_factory=list)
    overheard: list[Pcm] = field(default_factory=list)
    noise: list[Pcm] = field(default_factory=list)
    synthetic: list[Pcm] = field(default_factory=list)

    def classes(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
        """Numbers for the words said often and for those said once or twice, each numbered from 0."""
        count = Counter((clip.corpus, clip.word) for clip in self.words)
        often = sorted(word for word, clips in count.items() if clips > 2)
        seldom = sorted(word for word, clips in count.items() if clips <= 2)
        return {w: i for i, w in enumerate(often)}, {w: i for i, w in enumerate(seldom)}

    def lacks(self) -> list[str]:
        """What there is too little of, for training and for what ships beside the encoder."""
        enough = {
            "words that are learned (nine in ten, by their names)": len(self.words) > 1,
            f"words that are held out (one in ten), two at least, said by {PEOPLE} people": (
                sum(map(many_say, by_word(self.held_words).values())) >= 2
            ),
            "running speech that is held out (one file in seven, by their names)": bool(self.held_speech),
            f"noise, {NOISE_SECONDS} s at least": seconds(self.noise) >= NOISE_SECONDS,
        }
        return [what for what, there in enough.items() if not there]


def is_held_out(name: str, one_in: int) -> bool:
    return zlib.crc32(name.encode()) % one_in == 0


def read_words(folder: Path, corpus: str) -> list[Clip]:
    """All clips of one corpus in Speech Commands layout."""
    return [
        Clip(corpus, path.parent.name, path.name.split("_nohash_")[0], read_pcm(path))
        for path in sorted(folder.glob("*/*.*"))
        if not path.parent.name.startswith("_")
    ]


def read_pcm(path: Path) -> Pcm:
    return np.asarray(np.round(np.clip(read_recording(path), -1, 1) * 32767), np.int16)


def read_corpora(data: Path, leave_out: Collection[str] = ()) -> Corpora:
    """Read what ``DIR`` holds, but for the corpora of words and sources of speech that are to be left out; a tenth of
    the words and a seventh of the speech files are held out.

    Raises:
        FileNotFoundError: no words below ``DIR/words/train``.
        SpeakerdError: what is to be left out is not there.
    """
    found = Corpora()
    words, speech = (_folders(data / kind / "train") for kind in ("words", "speech"))
    if unknown := set(leave_out) - {folder.name for folder in words + speech}:
        there = ", ".join(folder.name for folder in words + speech)
        raise SpeakerdError(f"{data}: there is no {', '.join(sorted(unknown))} to leave out, but {there}")
    for folder in words:
        if folder.name in leave_out:
            continue
        for clip in read_words(folder, folder.name):
            held = is_held_out(f"{clip.corpus}/{clip.word}", 10)
            (found.held_words if held else found.words).append(clip)
    if not found.words:
        raise FileNotFoundError(f"no recordings like {data}/words/train/<corpus>/<word>/<speaker>_nohash_0.wav")
    for folder in speech:
        if folder.name in leave_out:
            continue
        paths = sorted(folder.glob("*.*"))
        apart = [read_pcm(path) for path in paths if is_held_out(path.stem, 7)]
        learned = [read_pcm(path) for path in paths if not is_held_out(path.stem, 7)]
        found.held_speech += apart
        found.speech += learned
        begins = np.cumsum([0, *map(len, apart + learned)])[:-1]
        found.overheard += (apart + learned)[: int((begins < OVERHEARD * SAMPLE_RATE).sum())]
    found.noise = [read_pcm(path) for path in sorted((data / "noise/train").glob("*/*.*"))]
    found.synthetic = read_synthetic(data)
    return found


def read_synthetic(data: Path) -> list[Pcm]:
    return [read_pcm(path) for path in sorted((data / "synthetic/train").glob("*.flac"))]


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_dir()]


def samples_of(pcm: Pcm) -> Samples:
    """The same from -1 to 1."""
    return pcm.astype(np.float32) / np.float32(32768)


def seconds(clips: list[Pcm]) -> float:
    return sum(map(len, clips)) / SAMPLE_RATE
