"""Distillation targets from a published speech embedding (Lin et al. 2020, arXiv 2002.01322), run by onnxruntime.

The teacher gives a 96-d frame every 80 ms that sees 775 ms; a causal student predicts it at the end of that span, which
is student frame ``LAG + i`` for teacher frame ``i``. A whole word's target is the mean of its frames when it is heard
alone, whitened: the strongest simple few-shot space known to us, so the student's own space is pulled towards it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.training.data import Pcm
from speakerd.training.scenes import Composition

LAG = 9
SHORTEST = 24000  # samples that a clip is padded to before the teacher hears it

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """``frames`` (scenes, teacher frames, 96) float16 standardised; ``words`` (clips, 96) float32 whitened, unit."""

    frames: NDArray[np.float16]
    words: Vectors


class Teacher:
    def __init__(self, path: Path, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a family of exceptions of its own
            raise SpeakerdError(f"{path} is not a model that can be run: {str(error).splitlines()[0]}") from error
        self._input = self._session.get_inputs()[0].name

    def frames(self, pcm: NDArray[np.int16]) -> Vectors:
        """(batch, samples) to (batch, frames, 96)."""
        (out,) = self._session.run(None, {self._input: pcm.astype(np.float32) / 32768})
        return np.asarray(out[:, :, 0], np.float32)

    def word(self, clip: Pcm) -> Vectors:
        """Mean frame of a clip heard alone, (96,)."""
        room = max(SHORTEST, len(clip) + SAMPLE_RATE // 2)
        before = (room - len(clip)) // 2
        frames = self.frames(np.pad(clip, (before, room - len(clip) - before))[None])
        return np.asarray(frames[0].mean(axis=0), np.float32)


@dataclass(frozen=True)
class Scale:
    """How the teacher's numbers are brought to one scale: frames by dimension, words by their full covariance."""

    frame_mean: Vectors
    frame_deviation: Vectors
    word_mean: Vectors
    whitening: Vectors

    @classmethod
    def fit(cls, frames: Vectors, words: Vectors) -> "Scale":
        values, vectors = np.linalg.eigh(np.cov(words.T))
        values = np.maximum(values, 1e-3 * values.mean())
        flat = frames.reshape(-1, frames.shape[-1])
        return cls(flat.mean(0), flat.std(0) + 1e-3, words.mean(0), (vectors / np.sqrt(values)).astype(np.float32))

    def word(self, words: Vectors) -> Vectors:
        white = (words - self.word_mean) @ self.whitening
        return np.asarray(white / np.linalg.norm(white, axis=1, keepdims=True), np.float32)


def targets(teacher: Teacher, composition: Composition, scale: Scale | None) -> tuple[Targets, Scale]:
    """What the teacher says of a composition. ``scale`` None: fit it on this one."""
    frames = np.concatenate([teacher.frames(composition.pcm[i : i + 16]) for i in range(0, len(composition.pcm), 16)])
    words = np.stack([teacher.word(clip) for clip in composition.clips])
    scale = scale or Scale.fit(frames, words)
    standard = np.clip((frames - scale.frame_mean) / scale.frame_deviation, -8, 8)
    return Targets(standard.astype(np.float16), scale.word(words)), scale
