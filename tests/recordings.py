"""Voices for the tests: people's recordings from ``shared/data`` beside the checkout, and the bundled ones.

Which tests need people's voices is their own affair: without the folder these skip, and nothing else does. Such
recordings cannot be installed, so they skip with SPEAKERD_TEST_ALL=1 too.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_audio
from speakerd.demo.truth import STREAM, said_in_stream
from speakerd.events import Samples

DATA = Path(__file__).resolve().parents[2] / "shared/data"


def clips(word: str, many: int, corpus: str = "wake-phrases") -> list[Samples]:
    """So many recordings of a word, each cut out with 150 ms around it."""
    _need_recordings()
    rows = [row for row in _words() if row["corpus"] == corpus and row["word"] == word][:many]
    assert len(rows) == many, f"{DATA} has {len(rows)} clips of {word}"
    return [_shard(row["shard"])[int(row["start"]) :][: int(row["length"])] for row in rows]


def by_one_person(word: str, many: int, speaker: str = "dsp20-0006") -> list[Samples]:
    """So many recordings of an English word by the same person, each cut out with 150 ms around it."""
    _need_recordings()
    rows = [row for row in _words() if row["speaker"] == speaker and row["word"] == word][:many]
    assert len(rows) == many, f"{DATA} has {len(rows)} clips of {word} by {speaker}"
    return [_shard(row["shard"])[int(row["start"]) :][: int(row["length"])] for row in rows]


def said_by(corpus: str, people: int, many: int, word: str | None = None) -> list[list[Samples]]:
    """So many recordings of the same word (None: any) by so many people each."""
    _need_recordings()
    rows = [row for row in _words() if row["corpus"] == corpus]
    rows = [row for row in rows if row["word"] == (word or min(row["word"] for row in rows))]
    by = {who: [row for row in rows if row["speaker"] == who][:many] for who in sorted({r["speaker"] for r in rows})}
    cut = [[_shard(r["shard"])[int(r["start"]) :][: int(r["length"])] for r in own] for own in by.values()]
    return [own for own in cut if len(own) == many][:people]


def talk(many: int) -> list[Samples]:
    """Read English sentences, each by somebody else, of about ten seconds."""
    _need_recordings()
    return [read_audio(path) for path in sorted((DATA / "speech/dev").glob("librispeech-*.opus"))[:many]]


def noises(kind: str = "") -> list[Samples]:
    """Recorded rooms, machines, animals and weather, or those of one kind."""
    _need_recordings()
    return [read_audio(path) for path in sorted((DATA / "noise/dev").rglob("*.opus")) if kind in path.name]


def speech(seconds: float) -> Samples:
    """Somebody who speaks and says no command: a person where there are recordings, else a synthesiser."""
    path = DATA / "speech/dev/librispeech-0001.opus"
    if path.exists():
        return read_audio(path)[: round(seconds * SAMPLE_RATE)]
    stream, others = read_audio(STREAM), [one for one in said_in_stream() if one.command is None]
    pieces = [stream[round(one.begin * SAMPLE_RATE) : round((one.end + 0.3) * SAMPLE_RATE)] for one in others]
    return np.concatenate(pieces)[: round(seconds * SAMPLE_RATE)]


def room(seconds: float, seed: int = 0, level: float = -66.0) -> Samples:
    """The noise of a quiet room, ``level`` in dBFS."""
    noise = np.random.default_rng(seed).normal(0, 10 ** (level / 20), round(seconds * SAMPLE_RATE))
    return noise.astype(np.float32)


def said(*pieces: Samples | float) -> Samples:
    """One after the other, in a quiet room: sounds, and pauses in seconds."""
    sounds = [np.zeros(round(p * SAMPLE_RATE), np.float32) if isinstance(p, float | int) else p for p in pieces]
    stream = np.concatenate(sounds)
    return np.asarray(stream + room(len(stream) / SAMPLE_RATE)[: len(stream)], np.float32)


def _need_recordings() -> None:
    if not (DATA / "words.csv").exists():
        pytest.skip(f"needs recordings of people's voices, and {DATA} is not there")


@cache
def _words() -> list[dict[str, str]]:
    with (DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "dev"]


@cache
def _shard(name: str) -> Samples:
    return read_audio(DATA / name)
