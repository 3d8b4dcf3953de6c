"""Long streams with known events: what was said in them when, who had taught it, and how they are kept in files.

A stream is ``NAME.wav`` and ``NAME.txt``, a line for each command in it: seconds at which it begins and ends, its name,
and where it is said. Lines of two numbers, as Picovoice's wake-word-benchmark writes them, are of the command that the
file is named after. ``NAME.json`` says who taught the commands, and how much speech there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import soundfile

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import read_recording
from speakerd.errors import SpeakerdError
from speakerd.evaluation.sounds import recordings
from speakerd.events import Samples


class Said(NamedTuple):
    """A command in a stream, from its first sound to its last, in seconds; ``where``: "alone" or "in speech"."""

    start: float
    end: float
    command: str
    where: str = "alone"


@dataclass(frozen=True)
class Stream:
    """One recording (samples,) of a household of its own: ``taught`` are the clips that its commands were taught from,
    ``talk`` is how many seconds of it are speech."""

    name: str
    samples: Samples
    said: tuple[Said, ...]
    taught: dict[str, tuple[Path, ...]]
    talk: float

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class _About(msgspec.Struct, frozen=True):
    """What the json file beside a stream holds."""

    talk: float
    taught: dict[str, list[str]]


def write(folder: Path, stream: Stream) -> Stream:
    """Write a stream, and give it as it will be read; paths of the clips are absolute."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stream.name}.wav"
    soundfile.write(path, stream.samples, SAMPLE_RATE, subtype="PCM_16")
    lines = [f"{one.start:.2f}, {one.end:.2f}, {one.command}, {one.where}\n" for one in stream.said]
    path.with_suffix(".txt").write_text("".join(lines), encoding="utf-8")
    clips = {name: [str(clip.absolute()) for clip in paths] for name, paths in stream.taught.items()}
    path.with_suffix(".json").write_bytes(msgspec.json.encode(_About(stream.talk, clips)))
    return _read(path, {})


def read(folder: Path, taught: dict[str, tuple[Path, ...]]) -> Iterator[Stream]:
    """All streams of a folder. ``taught`` holds for those that do not say themselves who taught their commands; they
    are also taken for speech throughout.

    Raises:
        SpeakerdError: no stream is there, or the labels of one cannot be read.
    """
    paths = recordings(folder)
    if not paths:
        raise SpeakerdError(f"{folder}: no streams here; a stream is NAME.wav, and NAME.txt with what is said in it")
    for path in paths:
        yield _read(path, taught)


def _read(path: Path, taught: dict[str, tuple[Path, ...]]) -> Stream:
    samples, about = read_recording(path), path.with_suffix(".json")
    try:
        said = tuple(_said(line, path) for line in path.with_suffix(".txt").read_text(encoding="utf-8").splitlines())
        known = msgspec.json.decode(about.read_bytes(), type=_About) if about.exists() else None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise SpeakerdError(f"{path}: what is said in it cannot be read ({error})") from error
    if known is not None:
        clips = {name: tuple(map(Path, paths)) for name, paths in known.taught.items()}
        return Stream(path.stem, samples, said, clips, known.talk)
    lacking = {one.command for one in said} - set(taught)
    if lacking:
        raise SpeakerdError(f"{path}: nobody teaches {', '.join(sorted(lacking))}; --data has no such word")
    return Stream(
        path.stem, samples, said, {one.command: taught[one.command] for one in said}, len(samples) / SAMPLE_RATE
    )


def _said(line: str, path: Path) -> Said:
    """Raises:
    ValueError: not a line of labels.
    """
    start, end, *rest = (part.strip() for part in line.split(","))
    return Said(float(start), float(end), *(rest or [path.stem]))


def loudest(samples: Samples, block: int = 320) -> float:
    """Root mean square of the louder part of a recording (samples,): what is reached in 15 % of its blocks."""
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    return float(np.sqrt(np.quantile(np.square(blocks).mean(axis=1), 0.85))) if len(blocks) else 0.0
