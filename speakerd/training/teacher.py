"""Distillation targets from a published speech embedding (Lin et al. 2020, arXiv 2002.01322), run by onnxruntime.

The teacher gives a 96-d frame every 80 ms that sees 775 ms; a causal student predicts it at the end of that span, which
is student frame ``LAG + i`` for teacher frame ``i``. A whole word's target is a summary of its frames when it is heard
alone (mean, deviation, and how its second half differs from its first), whitened with strong shrinkage: the strongest
simple few-shot space known to us (on the development words three examples a command make 0.92, 0.93, 0.82 and 0.80
ACC@1%FAR of it, and 0.76, 0.84, 0.58 and 0.69 of the mean with full whitening), so the student's space is pulled to it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.training.data import Pcm
from speakerd.training.scenes import MARGIN, Composition

LAG = 9
SUMMARY = 3 * 96
MIDDLE = 6200  # samples from the beginning of a teacher frame's span to its middle
HOP = 1280  # samples between teacher frames
SHORTEST = 24000  # samples that a clip is padded to before the teacher hears it

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """``frames`` (scenes, teacher frames, 96) float16 standardised; ``words`` (clips, SUMMARY) whitened, unit."""

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
        """Summary (SUMMARY,) of a clip heard alone."""
        room = max(SHORTEST, len(clip) + SAMPLE_RATE // 2)
        before = (room - len(clip)) // 2
        (frames,) = self.frames(np.pad(clip, (before, room - len(clip) - before))[None])
        middles = np.arange(len(frames)) * HOP + MIDDLE
        inside = np.abs(middles - room / 2) <= max(len(clip) / 2 - MARGIN / 2, HOP)
        (summary,) = summaries(torch.from_numpy(frames[inside][None]), torch.ones(1, int(inside.sum()))).numpy()
        return np.asarray(summary, np.float32)


def summaries(runs: Tensor, mask: Tensor) -> Tensor:
    """Runs of teacher frames (runs, frames, 96) and a mask (runs, frames; 1 = counts, no gaps) to (runs, SUMMARY)."""
    count = mask.sum(dim=1, keepdim=True)
    place = (torch.cumsum(mask, dim=1) - 1) / (count - 1).clamp(min=1)
    place = torch.where(count > 1, place, torch.full_like(place, 0.5))

    def mean(weight: Tensor) -> Tensor:
        weight = weight * mask
        return (runs * weight.unsqueeze(2)).sum(dim=1) / weight.sum(dim=1, keepdim=True)

    middle = mean(mask)
    spread = ((runs - middle.unsqueeze(1)).square() * mask.unsqueeze(2)).sum(dim=1) / count
    halves = mean((1.5 - 2 * place).clamp(0, 1)) - mean((2 * place - 0.5).clamp(0, 1))
    return torch.cat([middle, 2 * spread.sqrt(), 0.3 * halves], dim=1)


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
        values = np.maximum(values, 0) + 2 * values.mean()
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
