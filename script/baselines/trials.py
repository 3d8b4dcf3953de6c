"""What a system is asked, and what it answers.

Peers need packages that do not go together, so each runs in a Python of its own, in which there is numpy but no
speakerd: questions and answers travel in files.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

RATE = 16000
Pcm = NDArray[np.int16]
Scores = NDArray[np.float64]

Word = TypeVar("Word")
Heard = TypeVar("Heard")


@dataclass(frozen=True)
class Clip:
    """16 kHz mono, and where it comes from: a whole file, or the samples of one from ``begin`` to ``end``."""

    samples: Pcm
    path: str
    begin: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Draw:
    """Clips by number: ``support[w]`` teaches word ``w``, and ``tried`` are to be scored against every word."""

    support: list[list[int]]
    tried: list[int]


@dataclass(frozen=True)
class Questions:
    clips: list[Clip]
    draws: list[Draw]

    def save(self, path: Path) -> None:
        pcm = [clip.samples for clip in self.clips]
        about = {
            "clips": [[clip.path, clip.begin, clip.end] for clip in self.clips],
            "draws": [asdict(draw) for draw in self.draws],
        }
        np.savez(path, pcm=np.concatenate(pcm), lengths=[len(samples) for samples in pcm], about=json.dumps(about))

    @classmethod
    def load(cls, path: Path) -> "Questions":
        with np.load(path, allow_pickle=False) as file:
            pcm = np.split(file["pcm"], np.cumsum(file["lengths"])[:-1])
            about = json.loads(str(file["about"]))
        clips = [Clip(samples, *source) for samples, source in zip(pcm, about["clips"], strict=True)]
        return cls(clips, [Draw(**draw) for draw in about["draws"]])


class System(ABC, Generic[Word, Heard]):
    """A way to learn words from a few clips each, and to say how well another clip fits each of them."""

    @abstractmethod
    def learn(self, clips: Sequence[Clip]) -> Word:
        """What is kept of the clips that teach a word."""

    @abstractmethod
    def hear(self, clip: Clip) -> Heard:
        """What is made of a clip before it is compared with words."""

    @abstractmethod
    def score(self, word: Word, heard: Sequence[Heard]) -> Scores:
        """How well each clip fits the word, (clips,): higher is surer, comparable across words."""


def answer(system: System[Word, Heard], questions: Questions) -> list[Scores]:
    """Scores (tried, words) of each draw. A clip is heard once, however many draws try it."""
    heard: dict[int, Heard] = {}
    answers = []
    for draw in questions.draws:
        for clip in draw.tried:
            if clip not in heard:
                heard[clip] = system.hear(questions.clips[clip])
        tried = [heard[clip] for clip in draw.tried]
        words = [system.learn([questions.clips[clip] for clip in support]) for support in draw.support]
        answers.append(np.stack([system.score(word, tried) for word in words], axis=1))
    return answers


def serve(system: System[Word, Heard], questions: Path, answers: Path) -> None:
    """What a peer's own Python runs."""
    np.savez(answers, *answer(system, Questions.load(questions)))


def read_answers(path: Path) -> list[Scores]:
    with np.load(path, allow_pickle=False) as file:
        return [file[f"arr_{i}"] for i in range(len(file.files))]
