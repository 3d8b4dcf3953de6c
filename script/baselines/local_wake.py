"""local-wake 0.1.2: dynamic time warping over Google's speech embedding, or over MFCC.

Clips are treated as its ``record`` treats references: cut by its VAD and padded to the least that the embedding takes;
``compare`` warps one against another. Its ``listen`` fires as soon as one reference is near enough, so a word scores as
its nearest reference. One threshold serves all references.
"""

import argparse
import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from lwake import features  # type: ignore[import-not-found]
from numpy.typing import NDArray
from silero_vad import load_silero_vad  # type: ignore[import-not-found]

from baselines.trials import RATE, Clip, Scores, System, serve

record: Any = import_module("lwake.record")  # lwake.record itself is a function
Features = NDArray[np.float32]


class LocalWake(System[list[Features], Features]):
    def __init__(self, method: str) -> None:
        self._extract = {"embedding": features.extract_embedding_features, "mfcc": features.extract_mfcc_features}[
            method
        ]
        vad = load_silero_vad()
        record.load_silero_vad = lambda: vad  # it would load the network anew for each recording

    def learn(self, clips: Sequence[Clip]) -> list[Features]:
        return [self.hear(clip) for clip in clips]

    def hear(self, clip: Clip) -> Features:
        audio = record.trim_silence_with_vad(clip.samples[:, None].astype(np.float32) / 32768, RATE)
        audio = record.pad_audio(audio, record.MIN_SAMPLES)
        return np.asarray(self._extract(y=audio[:, 0]), np.float32)

    def score(self, word: list[Features], heard: Sequence[Features]) -> Scores:
        distance = features.dtw_cosine_normalized_distance
        return np.array([-min(distance(one, reference) for reference in word) for one in heard])


if __name__ == "__main__":
    logging.getLogger("local-wake").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser()
    parser.add_argument("questions", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("method", choices=["embedding", "mfcc"])
    given = parser.parse_args()
    serve(LocalWake(given.method), given.questions, given.answers)
