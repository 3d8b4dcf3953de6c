"""EfficientWord-Net 1.0.5 (resnet_50_arc): the nearest of a word's embeddings, by cosine.

Its microphone engine cannot be imported without PyAudio, so the network, the features and the score are called as that
engine calls them. Where ``generate_reference`` puts a clip at random into 1.5 s of digital silence, it is put into the
middle of that here, which serves it better by 5 points. A longer clip that is tried is heard in
windows of 1.5 s every 0.75 s, as in its examples, and its best window counts. It asks for four references or more; it
gets as many as everybody. One threshold serves all words.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from eff_word_net.audio_processing import Resnet50_Arc_loss  # type: ignore[import-not-found]
from numpy.typing import NDArray

from baselines.trials import Clip, Scores, System, serve

Vectors = NDArray[np.float32]


class EfficientWord(System[Vectors, Vectors]):
    def __init__(self) -> None:
        self._model = Resnet50_Arc_loss()
        self._known: dict[tuple[str, int | None], Vectors] = {}

    def learn(self, clips: Sequence[Clip]) -> Vectors:
        return np.concatenate([self._reference(clip) for clip in clips])

    def hear(self, clip: Clip) -> Vectors:
        window = self._model.window_frames
        if len(clip.samples) <= window:
            return self._reference(clip)
        starts = [*range(0, len(clip.samples) - window, window // 2), len(clip.samples) - window]
        audio = clip.samples.astype(np.float32) / 32768
        return np.concatenate([self._model.audioToVector(audio[at : at + window]) for at in starts])

    def score(self, word: Vectors, heard: Sequence[Vectors]) -> Scores:
        return np.array([max(self._model.scoreVector(vector[None], word) for vector in vectors) for vectors in heard])

    def _reference(self, clip: Clip) -> Vectors:
        key = (clip.path, clip.begin)
        if key not in self._known:
            window = self._model.window_frames
            audio = clip.samples[max(0, len(clip.samples) - window) // 2 :][:window].astype(np.float32) / 32768
            before = (window - len(audio)) // 2
            audio = np.pad(audio, (before, window - len(audio) - before))
            self._known[key] = np.asarray(self._model.audioToVector(audio), np.float32)
        return self._known[key]


if __name__ == "__main__":
    serve(EfficientWord(), Path(sys.argv[1]), Path(sys.argv[2]))
