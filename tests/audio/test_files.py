import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import AudioFileError, from_flac, read_audio, read_recording, resample, seconds_of, to_flac
from speakerd.demo.truth import lessons
from tests.recordings import speech
from tests.somebody import open_folder, without_rights


def tone(rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def refusal(path: Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        read_audio(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind", "least"),
    [
        ("a.wav", ("WAV", "PCM_16"), 0.9999),
        ("a.wav", ("WAV", "PCM_24"), 0.9999),
        ("a.wav", ("WAV", "FLOAT"), 0.9999),
        ("a.wav", ("WAV", "ULAW"), 0.99),
        ("a.flac", ("FLAC", "PCM_16"), 0.9999),
        ("a.ogg", ("OGG", "VORBIS"), 0.98),
        ("a.opus", ("OGG", "OPUS"), 0.98),
        ("a", ("FLAC", "PCM_16"), 0.9999),  # what it is counts, not what it is called
        ("a.mp3", ("WAV", "PCM_16"), 0.9999),
        ("a.raw", ("WAV", "PCM_16"), 0.9999),
    ],
)
def test_every_kind_of_file_holds_the_same_sound(
    tmp_path: Path, name: str, kind: tuple[str, str], least: float
) -> None:
    samples = speech(3)
    with (tmp_path / name).open("wb") as file:
        soundfile.write(file, samples, SAMPLE_RATE, format=kind[0], subtype=kind[1])
    read = read_audio(tmp_path / name)
    assert (read.shape, read.dtype) == (samples.shape, np.float32)
    assert likeness(read, samples) > least


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 192000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    read = read_audio(tmp_path / "a.wav")
    assert abs(len(read) - SAMPLE_RATE) <= 1
    middle = slice(2000, 14000)  # at its ends a resampler rings
    assert np.abs(read[middle] - tone(SAMPLE_RATE)[middle]).max() < 0.01


def test_channels_are_mixed(tmp_path: Path) -> None:
    left, right = tone(48000), np.random.default_rng(0).uniform(-0.3, 0.3, 48000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 48000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "a.wav"), resample((left + right) / 2, 48000), atol=1e-6)


def test_bundled_clips_are_readable() -> None:
    for clips in lessons().values():
        assert all(0.5 < len(read_audio(clip)) / SAMPLE_RATE < 10 for clip in clips)


def test_ten_minutes_are_read_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(tone(8000), 600), 8000)
    assert abs(len(read_audio(tmp_path / "long.wav")) - 600 * SAMPLE_RATE) <= 1


def test_numbers_beyond_full_scale_are_cut_off(tmp_path: Path) -> None:
    wild = np.array([0.5, 3e38, -3e38, 7.0, -0.5] * 100, np.float32)
    soundfile.write(tmp_path / "wild.wav", np.stack([wild, wild], axis=1), SAMPLE_RATE, subtype="FLOAT")
    assert read_audio(tmp_path / "wild.wav")[:5].tolist() == [0.5, 1, -1, 1, -0.5]


def test_clipped_recording_stays_within_full_scale_at_another_rate(tmp_path: Path) -> None:
    clipped = np.sign(np.random.default_rng(0).normal(size=44100))
    soundfile.write(tmp_path / "clipped.wav", clipped, 44100, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "clipped.wav")).max() == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = tone(SAMPLE_RATE)
    samples[5000] = value
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    assert "NaN or infinite" in refusal(tmp_path / "a.wav")


def wav(samples: int, rate: int = SAMPLE_RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.zeros(samples, np.float32), rate, format="WAV")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nothing.wav", b"", "no bytes"),
        ("header.wav", wav(0), "no samples"),
        ("click.wav", wav(1, 48000), "no samples"),
        ("cut.wav", wav(1000)[:30], "not audio"),
        ("notes.wav", b"milk, bread, butter", "not audio"),
        ("raw.raw", np.random.default_rng(0).bytes(32000), "not audio"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(500), "not audio"),
    ],
)
def test_what_is_no_sound_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    said = refusal(tmp_path / name)
    assert reason in said
    assert str(tmp_path) not in said  # whoever prints it puts the file before it


def test_folder_missing_file_and_impossible_name_are_told_apart(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "a folder, not an audio file"
    assert refusal(tmp_path / "gone.wav") == "no such file"
    assert refusal(tmp_path / "gone" / "gone.wav") == "no such file"
    assert refusal(tmp_path / ("x" * 300)) == "not readable: File name too long"
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "a.wav") == "not readable: Not a directory"


def test_file_that_one_may_not_read_is_refused() -> None:
    with open_folder() as folder:
        path = folder / "private.wav"
        path.write_bytes(wav(1000))
        path.chmod(0)
        assert without_rights(lambda: refusal(path)) == "not readable: Permission denied"


def test_name_that_is_not_unicode_is_no_obstacle(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/K\xfcche.wav"))  # as an old disk may hold it
    path.write_bytes(wav(1000))
    assert len(read_audio(path)) == 1000


def test_kept_examples_come_back_but_for_16_bit() -> None:
    samples = 1.5 * speech(2) / np.abs(speech(2)).max()
    assert np.abs(from_flac(to_flac(samples)) - np.clip(samples, -1, 1)).max() < 1.01 / 32768
    assert len(to_flac(samples)) < 2 * len(samples)  # compressed


def test_16_khz_is_left_as_it_is() -> None:
    samples = tone(SAMPLE_RATE)
    assert resample(samples, SAMPLE_RATE) is samples


def test_a_name_that_no_file_can_have() -> None:
    assert refusal(Path("a\0b.wav")) == "no file can have such a name"


def test_of_many_files_the_bad_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_bytes(b"milk, bread, butter")
    for read in (read_recording, seconds_of):
        with pytest.raises(AudioFileError, match=r"notes\.wav: not audio"):
            read(tmp_path / "notes.wav")
