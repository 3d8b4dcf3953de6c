"""Bundles: a household's commands in one file that can be carried to another speaker.

A zip archive of ``speakerd.json`` and a FLAC file for each example whose audio is kept. What one reads may have been
made by anybody: nothing is unpacked onto the disk, and everything is held against limits before it is believed.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass, replace
from itertools import count
from typing import Annotated, Literal

import msgspec
import numpy as np
import soundfile
from msgspec import Meta, Struct
from numpy.typing import NDArray

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError
from speakerd.store.knowledge import BadNameError, Example, name_key, tidy_name, tidy_speaker

ABOUT = "speakerd.json"
LARGEST = 40 * 1024 * 1024  # bytes, of the file and of everything in it
LARGEST_ABOUT = 64 * 1024 * 1024  # embeddings of some thousand examples
LONGEST = 12 * SAMPLE_RATE  # samples of one example
MOST = 1000  # commands
MOST_EXAMPLES = 40
WIDEST = 4096  # numbers in an embedding

Line = Annotated[str, Meta(min_length=1, max_length=1000)]


class BundleError(SpeakerdError):
    """The file is not a bundle, or one that cannot be believed; the message says why. Nothing was changed."""


@dataclass(frozen=True)
class Taught:
    """A command as it travels: what it is derived from, and nothing derived. ``negatives``: what was wrongly taken for
    it."""

    name: str
    action: str | None
    examples: tuple[Example, ...]
    negatives: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """``encoder`` is the id of the one that made the examples' embeddings."""

    encoder: str
    commands: tuple[Taught, ...]


class _Example(Struct, forbid_unknown_fields=True):
    source: str
    begin: Annotated[int, Meta(ge=0, le=LONGEST)]
    end: Annotated[int, Meta(ge=0, le=LONGEST)]
    speaker: Line | None
    doubt: Line | None
    audio: Annotated[str, Meta(pattern=r"^[0-9]{1,5}\.flac\Z")] | None
    vectors: bytes | None  # float32, little-endian (rows, dimension)
    rows: Annotated[int, Meta(ge=1, le=100)]


class _Command(Struct, forbid_unknown_fields=True):
    name: str
    action: Line | None
    examples: Annotated[list[_Example], Meta(min_length=1, max_length=MOST_EXAMPLES)]
    negatives: Annotated[list[_Example], Meta(max_length=MOST_EXAMPLES)]


class _About(Struct, forbid_unknown_fields=True):
    format: Literal[1]
    encoder: Line
    commands: Annotated[list[_Command], Meta(min_length=1, max_length=MOST)]


def pack(bundle: Bundle) -> bytes:
    """Raises:
    BundleError: it would be too large to be read again.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        numbers = count(1)

        def packed(example: Example) -> _Example:
            name = None if example.audio is None else f"{next(numbers)}.flac"
            if name is not None and example.audio is not None:
                archive.writestr(zipfile.ZipInfo(name), example.audio)  # without a date: it is nobody's business
            return _packed(example, name)

        commands = [
            _Command(c.name, c.action, [*map(packed, c.examples)], [*map(packed, c.negatives)]) for c in bundle.commands
        ]
        about = msgspec.json.encode(_About(1, bundle.encoder, commands))
        archive.writestr(zipfile.ZipInfo(ABOUT), about, zipfile.ZIP_DEFLATED)
    data = file.getvalue()
    if len(data) > LARGEST:
        raise BundleError(f"it would be of {len(data) >> 20} MB, and at most {LARGEST >> 20} can be read again")
    return data


def unpack(data: bytes) -> Bundle:
    """Raises:
    BundleError: see there.
    """
    if len(data) > LARGEST:
        raise BundleError(f"it is of {len(data) >> 20} MB; a bundle has at most {LARGEST >> 20}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            about = msgspec.json.decode(_file(archive, ABOUT, LARGEST_ABOUT), type=_About)
            named = [e.audio for c in about.commands for e in (*c.examples, *c.negatives) if e.audio is not None]
            strange = sorted(set(archive.namelist()) - {ABOUT, *named})
            if strange:
                raise BundleError(f"it holds {strange[0]!r}, which is no part of a bundle")
            if sum(info.file_size for info in archive.infolist() if info.filename != ABOUT) > LARGEST:
                raise BundleError(f"it unpacks to more than {LARGEST >> 20} MB")
            commands = tuple(_taught(command, archive) for command in about.commands)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"not a bundle, or a damaged one: {error}") from error
    except msgspec.MsgspecError as error:
        raise BundleError(f"not a bundle that this speakerd knows: {error}") from error
    except BadNameError as error:
        raise BundleError(f"it holds a name that is none: {error}") from error
    keys = [name_key(command.name) for command in commands]
    if len(set(keys)) < len(keys):
        raise BundleError("it holds two commands of the same name")
    return Bundle(about.encoder, commands)


def _packed(example: Example, audio: str | None) -> _Example:
    vectors = example.embeddings
    return _Example(
        example.source, example.begin, example.end, example.speaker, example.doubt, audio,
        None if vectors is None else vectors.astype("<f4").tobytes(), 1 if vectors is None else len(vectors),
    )  # fmt: skip


def _taught(command: _Command, archive: zipfile.ZipFile) -> Taught:
    examples, negatives = (tuple(_example(e, archive) for e in es) for es in (command.examples, command.negatives))
    return Taught(tidy_name(command.name), command.action, examples, negatives)


def _example(e: _Example, archive: zipfile.ZipFile) -> Example:
    if e.begin >= e.end:
        raise BundleError(f"an example of {e.source!r} ends before it begins")
    found = Example(_matrix(e), e.source, e.begin, e.end, e.speaker and tidy_speaker(e.speaker), e.doubt)
    if e.audio is None:
        return found
    audio = _file(archive, e.audio, LARGEST)
    try:
        with soundfile.SoundFile(io.BytesIO(audio)) as sound:
            fits = (sound.format, sound.samplerate, sound.channels) == ("FLAC", SAMPLE_RATE, 1)
            samples = len(sound.read(LONGEST + 1, dtype="int16")) if fits else 0
    except soundfile.LibsndfileError as error:
        raise BundleError(f"{e.audio} is not audio: {error.error_string}") from error
    if not e.end <= samples <= LONGEST:
        raise BundleError(f"{e.audio} is not an example: 16 kHz, mono, FLAC, and as long as it is said to be")
    return replace(found, audio=audio)


def _matrix(e: _Example) -> NDArray[np.float32] | None:
    if e.vectors is None:
        return None
    wide, rest = divmod(len(e.vectors), 4 * e.rows)
    if rest or not 0 < wide <= WIDEST:
        raise BundleError(f"the embeddings of an example of {e.source!r} are damaged")
    vectors = np.frombuffer(e.vectors, "<f4").reshape(e.rows, wide)
    if not np.isfinite(vectors).all():
        raise BundleError(f"the embeddings of an example of {e.source!r} hold what is no number")
    return vectors


def _file(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """A file in the archive; it is not believed how large it says it is."""
    try:
        with archive.open(name) as file:
            data = file.read(largest + 1)
    except KeyError:
        raise BundleError(f"not a bundle: there is no {name} in it") from None
    if len(data) > largest:
        raise BundleError(f"{name} in it unpacks to more than {largest >> 20} MB")
    return data
