"""Encoders: what every one can do (:class:`Encoder`), and speakerd's own, a streaming trunk and a pooling head.

Models are run by onnxruntime on one thread. ``encoder.onnx`` turns feature frames (1, frames, 40), frames a multiple of
8, and a state into trunk frames, one every 80 ms, and the next state. ``pool.onnx`` turns runs of trunk frames, which
may overlap, into unit vectors; ``sounds.npz`` says what in the frames are sounds, of which an utterance's course is
made (course.py). An embedding is both. The graphs carry their format, name, rate, hop, dimension and a common id, so
that embeddings of different encoders are never compared. Encoders of another make are in
:mod:`speakerd.recognition.frames_encoder`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from speakerd.audio.features import HOP, MELS, SAMPLE_RATE, LogMel, at_pace, log_mel
from speakerd.errors import SpeakerdError
from speakerd.events import Embedding, Samples, Utterance
from speakerd.recognition.course import WIDTH, courses, joined, middle

FORMAT = "2"
STRIDE = 8  # feature frames per trunk frame
FRAME = HOP * STRIDE  # samples per trunk frame, 80 ms
BUNDLED = Path(__file__).resolve().parents[1] / "models"

# How much around the speech is pooled: what the encoder was trained on, give or take.
BEFORE, AFTER = int(0.08 * SAMPLE_RATE), int(0.16 * SAMPLE_RATE)
LEAD = int(0.3 * SAMPLE_RATE)  # what is heard before the speech in a stream: the gate's pre-roll

# How many times as slowly an utterance is heard that is heard by itself. What both have in common tells commands from
# all else better than one, at the pace it was said at, does.
PACES = (0.93, 1.075)

Array = NDArray[np.float32]


class ModelError(SpeakerdError):
    """A model file that is missing, damaged, or made for another version; the message says what to do."""


class Stream(Protocol):
    """Trunk frames of a stream of samples as they come; any split of a recording gives the same frames to 1e-4."""

    def push(self, samples: Samples) -> Array:
        """Trunk frames that ``samples`` complete: (frames, width), possibly none."""
        ...


class Encoder(Protocol):
    """A network that makes embeddings. Safe to share between threads; holds no state of a stream.

    ``id`` tells encoders apart whose embeddings must not be compared; ``name`` is for people. Of the ``dimension`` of
    an embedding the first ``pooled`` are what it holds and the rest, if there is any, in what order (course.py).
    """

    name: str
    id: str
    dimension: int
    pooled: int

    def stream(self) -> Stream: ...

    def pool(self, frames: Array, runs: Sequence[slice]) -> Array:
        """Unit vectors (runs, pooled) of runs of the trunk frames (frames, width) of a stream. What they share is
        worked out once."""
        ...

    def embeddings(self, pooled: Array, frames: Array, runs: Sequence[slice]) -> Array:
        """Unit embeddings (runs, dimension) of runs that :meth:`pool` made ``pooled`` of, with their courses."""
        ...

    def run_of(self, begin: int, end: int) -> slice:
        """The trunk frames of a stream that speech in ``samples[begin:end]`` is pooled from."""
        ...

    def reach(self, frames: int) -> int:
        """How many samples complete the first ``frames`` trunk frames of a stream."""
        ...

    def embed(self, utterance: Utterance) -> Embedding:
        """The embedding (dimension,) of an utterance heard alone."""
        frames = self.frames(utterance)
        whole = [slice(0, len(frames))]
        return np.asarray(self.embeddings(self.pool(frames, whole), frames, whole)[0], np.float32)

    def frames(self, utterance: Utterance) -> Array:
        """The trunk frames (frames, width) of an utterance heard alone: nothing before its pre-roll plays a part. A
        recording that was cut off close to the speech is heard with silence before it, as nothing in a stream comes at
        once."""
        utterance = _led(utterance)
        run = self.run_of(utterance.begin, utterance.end)
        return self.stream().push(_lasting(utterance.samples, self.reach(run.stop)))[run]


class TrunkEncoder(Encoder):
    """The encoder of one models folder that ``speakerd train`` made."""

    def __init__(self, folder: Path) -> None:
        """Load both graphs, and which of what the frames hold are sounds; without that, embeddings have no course.

        Raises:
            ModelError: a file is missing, not a model, of another format, or the two do not belong together.
        """
        self._trunk, about = _load(folder / "encoder.onnx")
        self._pool, other = _load(folder / "pool.onnx")
        if about.get("id") != other.get("id"):
            raise ModelError(f"{folder}: encoder.onnx and pool.onnx were not made together; install both again")
        self.name, self.pooled = about["name"], int(about["dimension"])
        self.dimension, known = self.pooled, repr(PACES).encode()
        self._sounds: tuple[Array, Array] | None = None
        if (sounds := folder / "sounds.npz").exists():
            self._sounds = mean, matrix = _sounds(sounds)
            known += mean.tobytes() + matrix.tobytes()
            self.dimension += WIDTH
        self.id = f"{about['id'][:8]}{zlib.crc32(known):08x}"  # all that embeddings come of
        (self._state_size,) = self._trunk.get_inputs()[1].shape[1:]

    def stream(self) -> "TrunkStream":
        return TrunkStream(self)

    def advance(self, features: Array, state: Array) -> tuple[Array, Array]:
        """Trunk frames (frames / 8, width) of ``features`` (frames, 40) and the next state."""
        frames, state = self._trunk.run(None, {"features": features[None], "state": state})
        return frames[0], state

    def first_state(self) -> Array:
        return np.zeros((1, self._state_size), np.float32)

    def pool(self, frames: Array, runs: Sequence[slice]) -> Array:
        first, last = min(run.start for run in runs), max(run.stop for run in runs)
        mask = np.zeros((len(runs), last - first), np.float32)
        for row, run in zip(mask, runs, strict=True):
            row[run.start - first : run.stop - first] = 1
        (out,) = self._pool.run(None, {"frames": frames[first:last], "mask": mask})
        return np.asarray(out, np.float32)

    def embeddings(self, pooled: Array, frames: Array, runs: Sequence[slice]) -> Array:
        if self._sounds is None:
            return pooled
        mean, matrix = self._sounds
        return joined(pooled, courses(np.asarray((frames - mean) @ matrix, np.float32), runs))

    def embed(self, utterance: Utterance) -> Embedding:
        """The embedding (dimension,) of an utterance heard alone, a little faster and a little slower than it was said:
        what both have in common. Takes twice what one window does."""
        utterance = _led(utterance)
        runs = [self.run_of(round(slower * utterance.begin), round(slower * utterance.end)) for slower in PACES]
        long = max(self.reach(round(run.stop / slower) + 1) for run, slower in zip(runs, PACES, strict=True))
        features = log_mel(_lasting(utterance.samples, long))
        found = []
        for run, slower in zip(runs, PACES, strict=True):
            frames, _ = self.advance(at_pace(features, slower, run.stop * STRIDE), self.first_state())
            found.append(self.embeddings(self.pool(frames, [run]), frames, [run]))
        return middle(np.concatenate(found), self.pooled)

    def run_of(self, begin: int, end: int) -> slice:
        first = max(0, begin - BEFORE) // FRAME
        return slice(first, max((end + AFTER) // FRAME, first + 3))

    def reach(self, frames: int) -> int:
        return frames * FRAME


class TrunkStream:
    """The trunk advanced as samples arrive."""

    def __init__(self, encoder: TrunkEncoder) -> None:
        self._encoder = encoder
        self._mel = LogMel()
        self._state = encoder.first_state()
        self._rest: Array = np.zeros((0, MELS), np.float32)

    def push(self, samples: Samples) -> Array:
        features = np.concatenate([self._rest, self._mel.push(samples)])
        whole = len(features) // STRIDE * STRIDE
        self._rest = features[whole:]
        if whole == 0:
            return np.zeros((0, 0), np.float32)
        frames, self._state = self._encoder.advance(features[:whole], self._state)
        return frames


def _led(utterance: Utterance) -> Utterance:
    """With silence before it where there is too little."""
    lead = max(0, LEAD - utterance.begin)
    samples = np.pad(utterance.samples, (lead, 0))
    return replace(utterance, samples=samples, begin=utterance.begin + lead, end=utterance.end + lead)


def _lasting(samples: Samples, long: int) -> Samples:
    return np.pad(samples[:long], (0, max(0, long - len(samples))))


def _sounds(path: Path) -> tuple[Array, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["mean"], file["matrix"]
    except Exception as error:  # numpy, zipfile and zlib each have exceptions of their own for damage
        raise ModelError(f"{path} is damaged ({error}): reinstall speakerd's models") from error


def _load(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, str]]:
    if not path.exists():
        raise ModelError(f"{path} is missing: reinstall speakerd, or set recognition.models to a folder that has it")
    session = open_model(path)
    about = session.get_modelmeta().custom_metadata_map
    if about.get("format") != FORMAT:
        raise ModelError(
            f"{path} is of format {about.get('format', 'unknown')}, this speakerd reads format {FORMAT}: "
            "install the models that came with it"
        )
    return session, about


def open_model(path: Path, graph: bytes | None = None) -> onnxruntime.InferenceSession:
    """``graph``: what the file holds, if that is known already.

    Raises:
    ModelError: not a model that onnxruntime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # a few hundred kilobytes are used; the arena would keep megabytes
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a family of exceptions of its own
        raise ModelError(f"{path} is not a model that can be run: {str(error).splitlines()[0]}") from error
