"""Audio files of any kind to 16 kHz mono and back: decoding by libsndfile, resampling by soxr."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from speakerd.audio.features import SAMPLE_RATE, Samples
from speakerd.errors import SpeakerdError


class AudioFileError(SpeakerdError):
    """A file that is not usable audio; the message says why, for the person who gave it."""


def read_audio(source: Path | BinaryIO, longest: float | None = None) -> Samples:
    """Decode a WAV, FLAC, Ogg, Opus or MP3 file to 16 kHz mono float32 in -1..1, (samples,); of one that is longer than
    ``longest`` seconds so much of it that this can be seen, since a small file may hold hours.

    Raises:
        AudioFileError: missing, not readable, not audio, empty, or holding values that are not numbers.
    """
    try:
        if isinstance(source, Path):
            # By descriptor: by name, libsndfile takes any .raw file for headerless sound, and names must be UTF-8.
            with source.open("rb") as file:
                samples, rate = _decoded(soundfile.SoundFile(file.fileno(), closefd=False), longest)
        else:
            samples, rate = _decoded(soundfile.SoundFile(source), longest)
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        raise AudioFileError(_why_unreadable(source, error)) from error
    if not np.isfinite(samples).all():
        raise AudioFileError("damaged: it holds values that are not numbers (NaN or infinite)")
    # Files of floating point numbers may hold any, and the squares of large ones are infinite; resampling overshoots.
    mono = np.clip(resample(np.clip(samples, -1, 1).mean(axis=1), rate), -1, 1)
    if len(mono) == 0:
        raise AudioFileError("empty: it holds no samples")
    return mono


def read_recording(path: Path) -> Samples:
    """The same of one file among many, which the message names."""
    try:
        return read_audio(path)
    except AudioFileError as error:
        raise AudioFileError(f"{path}: {error}") from error


def seconds_of(path: Path) -> float:
    """How long a recording is, by what its header says.

    Raises:
        AudioFileError: not audio; the message names it.
    """
    try:
        return float(soundfile.info(path).duration)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioFileError(f"{path}: {_why_unreadable(path, error)}") from error


def resample(samples: Samples, rate: float) -> Samples:
    """Bring mono ``samples`` from ``rate`` Hz to 16 kHz."""
    if rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def to_flac(samples: Samples) -> bytes:
    """16-bit FLAC of 16 kHz mono ``samples``."""
    out = io.BytesIO()
    soundfile.write(out, np.clip(samples, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def from_flac(data: bytes) -> Samples:
    return read_audio(io.BytesIO(data))


def _decoded(file: soundfile.SoundFile, longest: float | None) -> tuple[Samples, int]:
    """(samples, channels), and the rate."""
    with file:
        frames = -1 if longest is None else int((longest + 1) * file.samplerate)
        return file.read(frames, dtype="float32", always_2d=True), file.samplerate


def _why_unreadable(source: Path | BinaryIO, error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "a folder, not an audio file"
        case OSError():
            return f"not readable: {error.strerror}"
        case ValueError() if isinstance(source, Path):
            return "no file can have such a name"
    if isinstance(source, Path) and source.stat().st_size == 0:
        return "empty: the file has no bytes"
    return f"not audio that can be read (WAV, FLAC, Ogg, Opus): {getattr(error, 'error_string', error)}"
