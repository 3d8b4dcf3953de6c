"""The gate alone: how much of commands it lets through, and how much of rooms in which nobody speaks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.audio.segmenter import FRAME, Segmenter, frames_of
from speakerd.config.settings import Gate
from speakerd.evaluation.metrics import Interval
from speakerd.events import Samples

STRICT = (0, 1, 2, 3)  # each with voices only; the one that is set also with any sound
LEAD = 2 * SAMPLE_RATE  # of the room alone, before a command: the gate knows the room
SPEECH = -30.0  # dB relative to the loudest part of a clip, from which on it counts as speech
DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Passed:
    """Shares of frames that pass with these settings of the gate, with 95 % intervals that resample recordings; of
    rooms also by ``kinds``, which are the names of the folders that they lie in."""

    aggressiveness: int
    voices_only: bool
    commands: Interval
    rooms: Interval
    clips: int
    minutes: float
    kinds: dict[str, float]


def measure(clips: Sequence[Path], noise: Sequence[Path], gate: Gate, snr: float, seed: int) -> Iterator[Passed]:
    """Commands with noise ``snr`` dB below them, after two seconds of that noise; and all noise by itself."""
    draw = np.random.default_rng(seed)
    rooms = [read_recording(path) for path in noise]
    scenes = [_scene(read_recording(path), rooms[int(draw.integers(len(rooms)))], snr, draw) for path in clips]
    for strict, voices_only in (*((strict, True) for strict in STRICT), (gate.aggressiveness, False)):
        tried = replace(gate, aggressiveness=strict, voices_only=voices_only)
        spoken = [passed(samples, tried)[speech] for samples, speech in scenes]
        quiet = [passed(samples, tried) for samples in rooms]
        kinds: dict[str, list[NDArray[np.bool_]]] = {}
        for path, one in zip(noise, quiet, strict=True):
            kinds.setdefault(path.parent.name, []).append(one)
        yield Passed(
            strict, voices_only, _share(spoken, draw), _share(quiet, draw), len(clips),
            sum(map(len, rooms)) / SAMPLE_RATE / 60,
            {kind: float(np.concatenate(several).mean()) for kind, several in kinds.items()},
        )  # fmt: skip


def passed(samples: Samples, gate: Gate) -> NDArray[np.bool_]:
    """Which frames (frames,) the gate lets through, those of the pre-roll and of the hangover among them."""
    segmenter = Segmenter(gate)
    through = np.zeros(-(-len(samples) // FRAME), bool)
    was_open = False
    for i, frame in enumerate(frames_of(samples)):
        segmenter.push(frame)
        if segmenter.open:
            through[i if was_open else max(0, i + 1 - len(segmenter.heard)) : i + 1] = True
        was_open = segmenter.open
    return through


def _scene(clip: Samples, room: Samples, snr: float, draw: np.random.Generator) -> tuple[Samples, NDArray[np.bool_]]:
    """A command in a room, and which frames of it are speech."""
    frames = np.stack(list(frames_of(np.pad(clip, (LEAD, SAMPLE_RATE // 2)))))
    power = np.square(frames).mean(axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (SPEECH / 10))
    speech = np.zeros(len(frames), bool)
    speech[loud[0] : loud[-1] + 1] = True
    samples = frames.ravel()
    noise = np.take(room, np.arange(len(samples)) + int(draw.integers(len(room))), mode="wrap")
    gain = np.sqrt(power[speech].mean() / max(float(np.square(noise).mean()), 1e-12)) * 10 ** (-snr / 20)
    return np.clip(samples + np.float32(gain) * noise, -1, 1), speech


def _share(recordings: Sequence[NDArray[np.bool_]], draw: np.random.Generator) -> Interval:
    through, frames = (np.array([f(one) for one in recordings]) for f in (np.sum, len))
    picks = draw.integers(0, len(recordings), (DRAWS, len(recordings)))
    low, high = np.quantile(through[picks].sum(axis=1) / frames[picks].sum(axis=1), [0.025, 0.975])
    return Interval(float(through.sum() / frames.sum()), float(low), float(high))
