"""Bundles, and files that only look like one."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile

from speakerd.audio.files import to_flac
from speakerd.events import Samples
from speakerd.store import bundle as bundles
from speakerd.store.bundle import ABOUT, LONGEST, Bundle, BundleError, Taught, pack, unpack
from speakerd.store.knowledge import Example
from tests.running import LAMP, NIGHT, clip

VECTORS = np.random.default_rng(0).normal(size=(7, 12)).astype(np.float32)


def example(audio: bytes | None, **more: Any) -> Example:
    return Example(VECTORS, "one.wav", 4000, 12000, audio=audio, **more)


GOOD = Bundle(
    "an-encoder",
    (
        Taught(
            LAMP, "lamp", (example(to_flac(clip(LAMP)), speaker="Zoë", doubt="noisy"), example(to_flac(clip(LAMP, 1))))
        ),
        Taught(NIGHT, None, (example(None),), (example(to_flac(clip(NIGHT))),)),
    ),
)


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A bundle of which some file in it is another one."""
    with zipfile.ZipFile(io.BytesIO(pack(GOOD))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def about(change: Callable[[dict[str, Any]], None]) -> bytes:
    def do(files: dict[str, bytes]) -> None:
        said = json.loads(files[ABOUT])
        change(said)
        files[ABOUT] = json.dumps(said).encode()

    return changed(do)


def sound(samples: Samples, rate: int = 16000, format: str = "FLAC") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=format)
    return out.getvalue()


def test_what_is_packed_is_unpacked() -> None:
    found = unpack(pack(GOOD))
    assert found.encoder == GOOD.encoder
    for here, there in zip(GOOD.commands, found.commands, strict=True):
        assert (here.name, here.action) == (there.name, there.action)
        pairs = [*zip(here.examples, there.examples, strict=True), *zip(here.negatives, there.negatives, strict=True)]
        for one, other in pairs:
            assert (one.source, one.begin, one.end, one.speaker, one.doubt, one.audio) == (
                other.source, other.begin, other.end, other.speaker, other.doubt, other.audio,
            )  # fmt: skip
            np.testing.assert_array_equal(one.embeddings, other.embeddings)
    assert pack(found) == pack(GOOD), "the same is the same, whenever it is packed"


def test_any_zip_program_can_open_it_and_anybody_can_listen() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(GOOD))) as archive:
        assert archive.namelist() == ["1.flac", "2.flac", "3.flac", ABOUT]
        samples, rate = soundfile.read(io.BytesIO(archive.read("1.flac")))
    assert rate == 16000
    assert len(samples) == len(clip(LAMP))


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a bundle"),
    "text": (b"lamp, night", "not a bundle"),
    "half": (pack(GOOD)[: len(pack(GOOD)) // 2], "not a bundle"),
    "another zip": (changed(lambda files: files.pop(ABOUT) and None), "there is no speakerd.json in it"),
    "a way out": (changed(lambda files: files.update({"../../etc/passwd": b"x"})), "no part of a bundle"),
    "an absolute way": (changed(lambda files: files.update({"/etc/passwd": b"x"})), "no part of a bundle"),
    "a way out in the list": (
        about(lambda said: said["commands"][0]["examples"][0].update(audio="../1.flac")),
        "not a bundle that this speakerd knows",
    ),
    "no audio where it says": (changed(lambda files: files.pop("2.flac") and None), "no 2.flac in it"),
    "another format": (about(lambda said: said.update(format=2)), "not a bundle that this speakerd knows"),
    "more": (about(lambda said: said.update(run="rm")), "not a bundle that this speakerd knows"),
    "no name": (about(lambda said: said["commands"][0].update(name=" ")), "a name that is none"),
    "a name with a line break": (about(lambda said: said["commands"][0].update(name="a\nb")), "a name that is none"),
    "twice": (about(lambda said: said["commands"][0].update(name=NIGHT.upper())), "two commands of the same name"),
    "forty-one": (
        about(lambda said: said["commands"][0].update(examples=said["commands"][0]["examples"] * 21)),
        "not a bundle that this speakerd knows",
    ),
    "backwards": (
        about(lambda said: said["commands"][0]["examples"][0].update(begin=12000, end=12000)),
        "ends before it begins",
    ),
    "past the end": (
        about(lambda said: said["commands"][0]["examples"][0].update(end=LONGEST)),
        "as long as it is said to be",
    ),
    "long": (changed(lambda files: files.update({"1.flac": sound(np.zeros(LONGEST + 1))})), "as long as it is said"),
    "another rate": (changed(lambda files: files.update({"1.flac": sound(clip(LAMP), 48000)})), "16 kHz, mono"),
    "stereo": (changed(lambda files: files.update({"1.flac": sound(np.zeros((20000, 2)))})), "16 kHz, mono"),
    "no FLAC": (changed(lambda files: files.update({"1.flac": sound(clip(LAMP), format="WAV")})), "16 kHz, mono"),
    "no sound": (changed(lambda files: files.update({"1.flac": b"fLaC" + bytes(100)})), "1.flac is not audio"),
    "odd vectors": (
        about(lambda said: said["commands"][0]["examples"][0].update(vectors="AAAA")),
        "embeddings of an example of 'one.wav' are damaged",
    ),
    "no numbers": (
        about(lambda said: said["commands"][0]["examples"][0].update(vectors="AADAfwAAwH8=", rows=1)),
        "hold what is no number",
    ),
}


@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_believed_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        unpack(data)


def test_every_single_damaged_byte_is_refused_or_harmless() -> None:
    data, draw = pack(GOOD), np.random.default_rng(1)
    for at in draw.integers(len(data), size=100):
        broken = bytearray(data)
        broken[at] ^= int(draw.integers(1, 256))
        try:
            found = unpack(bytes(broken))
        except BundleError:
            continue
        assert [command.name for command in found.commands] == [LAMP, NIGHT]


def test_what_unpacks_to_much_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LARGEST_ABOUT", 100_000)
    with pytest.raises(BundleError, match="unpacks to more than"):
        unpack(changed(lambda files: files.update({ABOUT: b" " * 10_000_000})))
    monkeypatch.setattr(bundles, "LARGEST", 300_000)
    with pytest.raises(BundleError, match="unpacks to more than"):
        unpack(changed(lambda files: files.update({"1.flac": bytes(10_000_000)})))
    with pytest.raises(BundleError, match="a bundle has at most"):
        unpack(bytes(300_001))
