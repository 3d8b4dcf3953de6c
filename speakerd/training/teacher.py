"""Distillation targets from a published speech embedding (Lin et al. 2020, arXiv 2002.01322).

The teacher gives a 96-d frame every 80 ms that sees 775 ms; a causal student predicts it at the end of that span, which
is student frame ``LAG + i`` for teacher frame ``i``. A whole word's target is a summary of its frames when it is heard
alone (mean, deviation, and how its second half differs from its first), whitened with strong shrinkage: the strongest
simple few-shot space known to us (on the development words three examples a command make 0.92, 0.93, 0.82 and 0.80
ACC@1%FAR of it, and 0.76, 0.84, 0.58 and 0.69 of the mean with full whitening), so the student's space is pulled to it.
It is the mean of what the teacher makes of the word at three speeds, as if people of three sizes had said it: with
prototypes, relative to strangers, that takes the four from 0.911, 0.953, 0.892 and 0.861 to 0.915, 0.964, 0.906, 0.869.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import soxr
import torch
import torch.nn.functional as F  # noqa: N812
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper
from torch import Tensor

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.training.data import Pcm
from speakerd.training.model import BFLOAT16
from speakerd.training.scenes import MARGIN, Composition

LAG = 9
SUMMARY = 3 * 96
MIDDLE = 6200  # samples from the beginning of a teacher frame's span to its middle
HOP = 1280  # samples between teacher frames
BLOCK, STEP = 400, 160  # samples of a spectrum, and between spectra
SHORTEST = 24000  # samples that a clip is padded to before the teacher hears it
TOGETHER = 64  # scenes or clips that it hears at once
SPEEDS = (0.9, 1.0, 1.11)  # that a word is heard at, its pitch with it


@dataclass(frozen=True)
class Targets:
    """``frames`` (scenes, teacher frames, 96) float16 standardised; ``words`` (clips, SUMMARY) whitened, unit."""

    frames: Tensor
    words: Tensor


class Teacher:
    """The network of the file, computed by torch where the student learns."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """
        Raises:
            SpeakerdError: the file is no such network.
        """
        try:
            graph = onnx.load(path).graph
            (features,) = (attribute.g for node in graph.node if node.op_type == "Loop" for attribute in node.attribute)
            found = [*graph.initializer, *features.initializer]
            arrays = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()).to(device) for item in found}
            self._window = arrays["map/while/stft/hann_window/sub_2:0"]
            self._mel = arrays["map/while/linear_to_mel_weight_matrix:0"]
            first = [node.op_type for node in graph.node].index("Conv")
            self._layers = [_layer(node, arrays) for node in graph.node[first:] if node.op_type != "Transpose"]
        except (DecodeError, ValueError, KeyError) as error:
            raise SpeakerdError(f"{path} is not a model that can be run: {str(error).splitlines()[0]}") from error
        self.device = device

    @torch.no_grad()
    def frames(self, pcm: Tensor) -> Tensor:
        """(batch, samples; int16) to (batch, frames, 96)."""
        blocks = (pcm.to(self.device).float() / 32768).unfold(1, BLOCK, STEP) * self._window
        x = torch.log(torch.fft.rfft(blocks, 512).abs() @ self._mel + 1e-3).unsqueeze(1)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            for layer in self._layers:
                x = layer(x)
        return x.squeeze(3).transpose(1, 2).float()

    def words(self, clips: list[Pcm]) -> Tensor:
        """Summaries (clips, SUMMARY) of clips, each heard alone, at all SPEEDS."""
        return torch.stack([self._words([_at_speed(clip, speed) for clip in clips]) for speed in SPEEDS]).mean(dim=0)

    def _words(self, clips: list[Pcm]) -> Tensor:
        """The same at one speed."""
        told = torch.empty(len(clips), SUMMARY, device=self.device)
        order = np.argsort([len(clip) for clip in clips], kind="stable")
        for chunk in np.array_split(order, max(1, len(order) // TOGETHER)):
            some = [clips[i] for i in chunk]
            rooms = [max(SHORTEST, len(clip) + SAMPLE_RATE // 2) for clip in some]
            laid = np.zeros((len(some), rooms[-1]), np.int16)
            for row, clip, long in zip(laid, some, rooms, strict=True):
                row[(long - len(clip)) // 2 :][: len(clip)] = clip
            runs = self.frames(torch.from_numpy(laid))
            middles = np.arange(runs.shape[1]) * HOP + MIDDLE
            ends = np.array([max(len(clip) / 2 - MARGIN / 2, HOP) for clip in some])
            room = np.array(rooms)[:, None]
            inside = (np.abs(middles - room / 2) <= ends[:, None]) & (middles + MIDDLE <= room)
            first, count = inside.argmax(axis=1), inside.sum(axis=1)
            at = torch.from_numpy(np.minimum(first[:, None] + np.arange(count.max()), len(middles) - 1))
            mask = torch.from_numpy(np.arange(count.max()) < count[:, None]).float()
            rows = torch.arange(len(some))[:, None]
            told[torch.from_numpy(chunk)] = summaries(runs[rows, at], mask.to(self.device))
        return told


def _at_speed(pcm: Pcm, speed: float) -> Pcm:
    if speed == 1:
        return pcm
    samples = soxr.resample(pcm.astype(np.float32), SAMPLE_RATE, SAMPLE_RATE / speed, quality="QQ")
    return np.asarray(np.clip(samples, -32767, 32767), np.int16)


def _layer(node: onnx.NodeProto, arrays: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """One step of the network: (batch, channels, time, bands) to the same."""
    given = [arrays[name] for name in node.input[1:]]
    about = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    match node.op_type:
        case "Conv":  # along frequency it is padded, along time never
            bands = (0, about["kernel_shape"][1] // 2)
            return lambda x: F.conv2d(x, given[0], given[1] if len(given) > 1 else None, padding=bands)
        case "MaxPool":
            return lambda x: F.max_pool2d(x, about["kernel_shape"], about["strides"])
        case "BatchNormalization":
            scale, shift, mean, variance = given
            return lambda x: F.batch_norm(x, mean, variance, scale, shift, eps=about["epsilon"])
        case "Relu":
            return F.relu_
        case "LeakyRelu":
            return lambda x: F.leaky_relu_(x, about["alpha"])
        case "Max":
            least = float(given[0])
            return lambda x: x.clamp_(min=least)
    raise ValueError(f"{node.op_type} is none of its steps")


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

    frame_mean: Tensor
    frame_deviation: Tensor
    word_mean: Tensor
    whitening: Tensor

    @classmethod
    def fit(cls, frames: Tensor, words: Tensor) -> Self:
        values, vectors = torch.linalg.eigh(torch.cov(words.T.double()))
        values = values.clamp(min=0) + 2 * values.mean()
        flat = frames.flatten(0, 1)
        whitening = (vectors / values.sqrt()).float()
        return cls(flat.mean(dim=0), flat.std(dim=0) + 1e-3, words.mean(dim=0), whitening)

    @classmethod
    def load(cls, path: Path, device: str) -> Self:
        return cls(**{name: torch.from_numpy(array).to(device) for name, array in np.load(path).items()})

    def save(self, path: Path) -> None:
        np.savez(path, **{name: tensor.cpu().numpy() for name, tensor in vars(self).items()})

    def frame(self, frames: Tensor) -> Tensor:
        return ((frames - self.frame_mean) / self.frame_deviation).clamp(-8, 8)

    def word(self, words: Tensor) -> Tensor:
        return F.normalize((words - self.word_mean) @ self.whitening, dim=1)


def targets(teacher: Teacher, composition: Composition, scale: Scale | None) -> tuple[Targets, Scale]:
    """What the teacher says of a composition. ``scale`` None: fit it on this one."""
    pcm = torch.from_numpy(composition.pcm)
    frames = torch.cat([teacher.frames(some) for some in torch.split(pcm, TOGETHER)])
    words = teacher.words(composition.clips)
    scale = scale or Scale.fit(frames, words)
    return Targets(scale.frame(frames).half(), scale.word(words)), scale
