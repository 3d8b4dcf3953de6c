"""Recordings that are tried: whose they are, where they lie, and what the encoder makes of them under a condition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.audio.segmenter import FRAME, LONGEST, SHORTEST, find_utterance, frames_of, utterances
from speakerd.config.settings import Gate
from speakerd.evaluation.conditions import CLEAN, Changed, Level, Noise
from speakerd.events import Samples, Utterance
from speakerd.learning.enlarge import VARIANTS, enlarge
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix

AUDIO = (".wav", ".flac", ".ogg", ".opus")

Names = NDArray[np.str_]
Indices = NDArray[np.intp]
Progress = Callable[[str], None]


class Piece(NamedTuple):
    """A recording, or the part of it between two samples (at 16 kHz). ``speech``: where in the part the utterance is,
    if the segmenter cut it out of a longer recording."""

    path: Path
    begin: int = 0
    end: int | None = None
    speech: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """The same wherever the corpus lies: by it the noise for this piece is drawn."""
        return f"{self.path.parent.name}/{self.path.name}:{self.begin}"


@dataclass(frozen=True)
class Sounds:
    """Pieces, and of each the corpus, the word ("" in running speech) and the speaker: (pieces,)."""

    pieces: tuple[Piece, ...]
    corpora: Names
    words: Names
    speakers: Names

    def __len__(self) -> int:
        return len(self.pieces)

    def __add__(self, other: "Sounds") -> "Sounds":
        return Sounds(
            self.pieces + other.pieces,
            np.concatenate([self.corpora, other.corpora]),
            np.concatenate([self.words, other.words]),
            np.concatenate([self.speakers, other.speakers]),
        )

    def only(self, rows: Indices) -> "Sounds":
        pieces = tuple(self.pieces[row] for row in rows)
        return Sounds(pieces, self.corpora[rows], self.words[rows], self.speakers[rows])


NOTHING = Sounds((), np.array([], np.str_), np.array([], np.str_), np.array([], np.str_))


def recordings(folder: Path) -> list[Path]:
    """All audio files below a folder, in order."""
    return sorted(filter(_is_audio, folder.rglob("*")))


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO and path.is_file()


def is_corpus(folder: Path) -> bool:
    """Whether a folder holds words (rather than corpora of words)."""
    return any(map(_is_audio, folder.glob("*/*")))


def words_in(folder: Path) -> Sounds:
    """All clips ``folder/<word>/<speaker>_nohash_<take>.*``. Where all clips of a word carry one speaker's name, nobody
    knows who spoke, and each counts as a speaker of its own."""
    paths = [path for path in sorted(folder.glob("*/*")) if _is_audio(path) and not path.parent.name.startswith("_")]
    words = np.array([path.parent.name for path in paths], np.str_)
    named = [path.name.split("_nohash_")[0] for path in paths]
    people: dict[str, set[str]] = {}
    for word, name in zip(words, named, strict=True):
        people.setdefault(word, set()).add(name)
    speakers = [
        name if len(people[word]) > 1 else str(path) for path, word, name in zip(paths, words, named, strict=True)
    ]
    corpora = np.full(len(paths), folder.resolve().name)
    return Sounds(tuple(Piece(path.absolute()) for path in paths), corpora, words, np.array(speakers, np.str_))


def speech_in(folder: Path, progress: Progress, gate: Gate | None = None) -> Sounds:
    """What lies between two pauses in running speech, and is as long as a command."""
    pieces = []
    for path in recordings(folder):
        progress(folder.name)
        for found in utterances(frames_of(read_recording(path)), gate):
            if SHORTEST <= found.seconds <= LONGEST:
                begin = round(found.start * SAMPLE_RATE) - found.begin
                pieces.append(Piece(path.absolute(), begin, begin + len(found.samples), (found.begin, found.end)))
    names = np.full(len(pieces), folder.resolve().name)
    speakers = np.array([str(piece.path) for piece in pieces], np.str_)
    return Sounds(tuple(pieces), names, np.full(len(pieces), ""), speakers)


@dataclass(frozen=True)
class Heard:
    """Embeddings (pieces, 1 + variants, dimension) as the encoder gives them, the variants those that an example is
    enlarged by (zeros where it was not to be an example); ``cut`` (pieces,): whether the segmenter found an utterance
    that can be a command (where not, the whole was heard, and it counts as rejected), ``seconds`` (pieces,) how long it
    is."""

    vectors: Matrix
    cut: NDArray[np.bool_]
    seconds: NDArray[np.float64]


def hear(
    encoder: Encoder, sounds: Sounds, progress: Progress, levels: Sequence[Level] = (CLEAN,),
    noise: Noise | None = None, gate: Gate | None = None, taught: Sequence[Level] = (CLEAN,),
) -> dict[Level, Heard]:  # fmt: skip
    """Hear every piece the way ``score`` does, as it is (CLEAN) and with ``noise`` at each of the other ``levels``
    (signal to noise ratio in dB), or changed. At the levels ``taught`` the words are enlarged as ``enroll`` does.

    Raises:
        AudioFileError: a recording cannot be read.
    """
    vectors = {level: np.zeros((len(sounds), 1 + VARIANTS, encoder.dimension), np.float32) for level in levels}
    cut = {level: np.zeros(len(sounds), bool) for level in levels}
    seconds = {level: np.zeros(len(sounds)) for level in levels}
    last, recording = None, np.zeros(0, np.float32)
    for i, piece in enumerate(sounds.pieces):
        if piece.path != last:  # pieces of one recording follow one another
            progress(str(sounds.corpora[i]))
            last, recording = piece.path, read_recording(piece.path)
        samples = _part(recording, piece)
        clean = _utterance(samples, piece, gate)
        for level in levels:
            if isinstance(level, Changed):
                found = _utterance(level.change(samples, piece.key), piece, gate)
            elif level == CLEAN or noise is None:
                found = clean
            else:
                begin, end = (clean.begin, clean.end) if clean.decided else (0, len(samples))
                found = _utterance(noise.mixed(samples, (begin, end), level, piece.key), piece, gate)
            vectors[level][i, 0] = encoder.embed(found)
            seconds[level][i] = found.seconds
            cut[level][i] = bool(found.decided) and SHORTEST <= found.seconds <= LONGEST
            if level in taught and cut[level][i] and sounds.words[i]:
                vectors[level][i, 1:] = [encoder.embed(variant) for variant in enlarge(found)]
    return {level: Heard(vectors[level], cut[level], seconds[level]) for level in levels}


def _part(recording: Samples, piece: Piece) -> Samples:
    part = recording[piece.begin : piece.end]
    long = FRAME if piece.end is None else piece.end - piece.begin
    return np.pad(part, (0, max(0, long - len(part))))


def _utterance(samples: Samples, piece: Piece, gate: Gate | None) -> Utterance:
    """The utterance of a piece; the whole piece, ``decided`` never (0), where the segmenter finds none."""
    if piece.speech is not None:
        return Utterance(samples, *piece.speech, 0.0, len(samples) / SAMPLE_RATE)
    found = find_utterance(samples, gate)
    if found is None:
        samples = samples[: int(LONGEST * SAMPLE_RATE)]
        return Utterance(samples, 0, len(samples), 0.0, 0.0)
    return found
