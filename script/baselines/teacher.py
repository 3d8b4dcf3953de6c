"""A published speech embedding (Lin et al. 2020, arXiv 2002.01322) with prototypes: the strongest simple baseline.

A clip's embedding is the mean of the network's frames (96-d, one every 80 ms) over the clip padded to at least 1.5 s;
embeddings are whitened by the full covariance of world embeddings, a word is the mean of its unit vectors, and a clip
scores its cosine to that.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from baselines.trials import RATE, Clip, Pcm, Scores, System

Vector = NDArray[np.float32]
SHORTEST = 24000  # samples that a clip is padded to
FLOOR = 1e-3  # of the mean variance: directions with less are noise


class Embedding:
    """The network as published, its mel front end inside: (batch, samples) in, (batch, frames, 1, 96) out."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, samples: Pcm) -> Vector:
        """(96,)"""
        room = max(SHORTEST, len(samples) + RATE // 2)
        before = (room - len(samples)) // 2
        padded = np.pad(samples, (before, room - len(samples) - before)).astype(np.float32) / 32768
        (frames,) = self._session.run(None, {self._input: padded[None]})
        return np.asarray(frames[0, :, 0].mean(axis=0), np.float32)


class Whitened(System[Vector, Vector]):
    def __init__(self, embedding: Embedding, world: Sequence[Vector]) -> None:
        """``world``: embeddings of words and talk that are neither commands nor negatives."""
        values, vectors = np.linalg.eigh(np.cov(np.stack(world).T))
        self._embedding = embedding
        self._mean = np.mean(world, axis=0)
        self._whitening = vectors / np.sqrt(np.maximum(values, FLOOR * values.mean()))
        self._known: dict[tuple[str, int | None], Vector] = {}

    def learn(self, clips: Sequence[Clip]) -> Vector:
        prototype = np.mean([self.hear(clip) for clip in clips], axis=0)
        return np.asarray(prototype / np.linalg.norm(prototype), np.float32)

    def hear(self, clip: Clip) -> Vector:
        key = (clip.path, clip.begin)
        if key not in self._known:
            white = (self._embedding(clip.samples) - self._mean) @ self._whitening
            self._known[key] = np.asarray(white / np.linalg.norm(white), np.float32)
        return self._known[key]

    def score(self, word: Vector, heard: Sequence[Vector]) -> Scores:
        return np.asarray(np.stack(heard) @ word, np.float64)
