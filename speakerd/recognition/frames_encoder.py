"""Encoders of another make: any ONNX model from a waveform to embedding frames, told apart by its metadata.

The model takes samples (1, samples), float32 in -1..1, and gives frames (1, frames, ..., dimension): one every ``hop``
samples, each of ``window`` of them. docs/encoders.md is for those who have such a model.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from speakerd.audio.features import SAMPLE_RATE
from speakerd.events import Samples
from speakerd.recognition.course import unit
from speakerd.recognition.encoder import Array, Encoder, ModelError, open_model


@dataclass(frozen=True)
class Description:
    """What a model says of itself in its metadata, under these names. ``window`` and ``hop`` are in samples."""

    name: str
    sample_rate: int
    window: int
    hop: int
    dimension: int

    @classmethod
    def of(cls, session: onnxruntime.InferenceSession, path: Path) -> "Description":
        """Raises:
        ModelError: the metadata lack something, or hold what cannot be.
        """
        about = session.get_modelmeta().custom_metadata_map
        lacking = [key for key in cls.__dataclass_fields__ if not about.get(key)]
        if lacking:
            raise ModelError(
                f"{path} does not say what it is: its metadata lack {', '.join(lacking)}. Add them with "
                f"`speakerd encoder {path} --name NAME --window SAMPLES --hop SAMPLES --data DIR`"
            )
        try:
            name, numbers = about["name"], [int(about[key]) for key in ("sample_rate", "window", "hop", "dimension")]
        except ValueError as error:
            raise ModelError(f"{path}: its metadata sample_rate, window, hop, dimension must be numbers") from error
        if numbers[0] != SAMPLE_RATE:
            raise ModelError(f"{path} wants {numbers[0]} samples a second; speakerd has {SAMPLE_RATE}")
        about_it = cls(name, *numbers)
        if not 1 <= about_it.hop <= about_it.window or about_it.dimension < 1:
            raise ModelError(f"{path}: its metadata hop and dimension must be at least 1, hop at most window")
        return about_it


def beside(path: Path) -> tuple[Path, Path]:
    """Where the world and the head of the encoder in ``path`` lie.

    Raises:
        ModelError: one is missing.
    """
    files = path.with_suffix(".world.npz"), path.with_suffix(".adapt.onnx")
    for file in files:
        if not file.is_file():
            raise ModelError(
                f"{file} is missing: commands are learned, and their thresholds set, by what strangers score with this "
                f"encoder. Make it with `speakerd encoder {path} --data DIR`"
            )
    return files


class FramesEncoder(Encoder):
    """An encoder in a file of another make. Frame ``i`` of a stream has its middle at sample ``i * hop``."""

    def __init__(self, path: Path) -> None:
        """Load it, and try whether it does what its metadata say.

        Raises:
            ModelError: missing, not a model, without metadata, or unlike them; the message says what to do.
        """
        if not path.is_file():
            raise ModelError(f"{path} is missing: recognition.encoder names an ONNX file")
        self._session = open_model(path)
        self._about = about = Description.of(self._session, path)
        self.name, self.dimension, self.pooled = about.name, about.dimension, about.dimension
        self.id = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        self._input = self._session.get_inputs()[0].name
        for frames in (1, 4):
            given = self._tried(np.zeros(about.window + (frames - 1) * about.hop, np.float32), path)
            if given != (frames, about.dimension):
                raise ModelError(
                    f"{path}: {about.window + (frames - 1) * about.hop} samples should give {frames} x "
                    f"{about.dimension} numbers (window {about.window}, hop {about.hop}), and gave "
                    f"{' x '.join(map(str, given))}: its metadata are wrong"
                )

    def stream(self) -> "FrameStream":
        return FrameStream(self, self._about.window, self._about.hop)

    def run(self, samples: Samples) -> Array:
        """Frames (frames, dimension) of all windows that fit into ``samples``."""
        (out,) = self._session.run(None, {self._input: samples[None]})
        return np.asarray(out, np.float32).reshape(-1, out.shape[-1])

    def pool(self, frames: Array, runs: Sequence[slice]) -> Array:
        return unit(np.stack([frames[run].mean(axis=0) for run in runs]))

    def embeddings(self, pooled: Array, frames: Array, runs: Sequence[slice]) -> Array:
        return pooled

    def run_of(self, begin: int, end: int) -> slice:
        first = begin // self._about.hop
        return slice(first, max(end // self._about.hop, first) + 1)

    def reach(self, frames: int) -> int:
        return (frames - 1) * self._about.hop + self._about.window - self._about.window // 2

    def _tried(self, samples: Samples, path: Path) -> tuple[int, ...]:
        try:
            return self.run(samples).shape
        except Exception as error:  # onnxruntime has a family of exceptions of its own
            raise ModelError(
                f"{path} does not take a waveform (1, {len(samples)}) of float32: {str(error).splitlines()[0]}"
            ) from error


class FrameStream:
    """Windows cut from samples as they arrive; before the first there is silence."""

    def __init__(self, encoder: FramesEncoder, window: int, hop: int) -> None:
        self._encoder, self._window, self._hop = encoder, window, hop
        self._rest = np.zeros(window // 2, np.float32)

    def push(self, samples: Samples) -> Array:
        self._rest = np.concatenate([self._rest, samples])
        whole = (len(self._rest) - self._window) // self._hop + 1
        if whole <= 0:
            return np.zeros((0, self._encoder.dimension), np.float32)
        frames = self._encoder.run(self._rest[: self._window + (whole - 1) * self._hop])
        self._rest = self._rest[whole * self._hop :]
        return frames
