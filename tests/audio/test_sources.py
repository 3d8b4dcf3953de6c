import io
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from speakerd.audio.files import AudioFileError, read_audio
from speakerd.audio.sources import FileSource, PcmSource, Source
from speakerd.events import Samples, Waiting
from tests.needs import need
from tests.system.pulse import Pulse


def heard(source: Source) -> Samples:
    """All frames of a source, each of which must be one, as one recording."""
    frames = [frame for frame in source if not isinstance(frame, Waiting)]
    assert {(frame.shape, frame.dtype) for frame in frames} <= {((320,), np.dtype(np.float32))}
    return np.concatenate([np.zeros(0, np.float32), *frames])


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-20000, 20000, samples).astype("<i2")


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, int]]:
    """A stream to read, as standard input is one, and the descriptor that feeds it."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream:
        yield stream, write


@pytest.mark.parametrize(("rate", "channels", "kind"), [(16000, 1, "wav"), (48000, 2, "flac"), (8000, 1, "ogg")])
def test_file_comes_whole_in_frames_with_zeros_at_the_end(tmp_path: Path, rate: int, channels: int, kind: str) -> None:
    path = tmp_path / f"clip.{kind}"
    soundfile.write(path, np.random.default_rng(2).uniform(-0.5, 0.5, (rate + 77, channels)), rate)
    samples = read_audio(path)
    sound = heard(FileSource(path))
    assert len(sound) == -(-len(samples) // 320) * 320
    assert np.array_equal(sound[: len(samples)], samples)
    assert not sound[len(samples) :].any()


def test_file_that_is_not_audio_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("milk, bread")
    with pytest.raises(AudioFileError, match="not audio"):
        FileSource(tmp_path / "notes.wav")


def test_closed_file_ends(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", noise(16000), 16000)
    source = FileSource(tmp_path / "clip.wav")
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []


@pytest.mark.parametrize("portion", [1, 7, 639, 640, 4096, 100000])
def test_pcm_in_portions_of_any_size_is_the_same_sound(pipe: tuple[BinaryIO, int], portion: int) -> None:
    stream, feed = pipe
    sound = noise(5000)

    def write() -> None:
        data = sound.tobytes() + b"x"  # and half a sample, as when the writer is killed
        for at in range(0, len(data), portion):
            os.write(feed, data[at : at + portion])
        os.close(feed)

    threading.Thread(target=write).start()
    got = heard(PcmSource(stream))
    assert len(got) == 16 * 320
    assert np.array_equal(got[:5000] * 32768, sound)
    assert not got[5000:].any()


def test_pcm_frame_comes_with_its_last_byte(pipe: tuple[BinaryIO, int]) -> None:
    stream, feed = pipe
    data = noise(640).tobytes()
    frames = iter(PcmSource(stream))
    began = time.monotonic()
    for at in (0, 640):
        os.write(feed, data[at : at + 640])
        frame = next(frames)
        assert not isinstance(frame, Waiting)
        assert np.array_equal(frame * 32768, np.frombuffer(data[at : at + 640], "<i2"))
    assert time.monotonic() - began < 0.4
    os.close(feed)


def test_pcm_that_pauses_gives_waiting_within_a_second_and_then_goes_on(pipe: tuple[BinaryIO, int]) -> None:
    stream, feed = pipe
    frames = iter(PcmSource(stream))
    os.write(feed, bytes(600))
    began = time.monotonic()
    assert next(frames) == Waiting("no sound arrives on standard input")
    assert time.monotonic() - began < 1
    os.write(feed, bytes(40))
    assert not isinstance(next(frames), Waiting)
    os.close(feed)


def test_pcm_closed_by_another_thread_ends_within_a_second(pipe: tuple[BinaryIO, int]) -> None:
    stream, feed = pipe
    source = PcmSource(stream)
    threading.Timer(0.2, source.close).start()
    began = time.monotonic()
    assert all(isinstance(item, Waiting) for item in source)
    assert 0.2 <= time.monotonic() - began < 1.2
    os.close(feed)


def test_pcm_from_memory() -> None:
    assert np.array_equal(heard(PcmSource(io.BytesIO(noise(960).tobytes()))) * 32768, noise(960))


def test_arecord_can_be_piped_in(pulse: Pulse, tmp_path: Path) -> None:
    need("arecord")
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, 16000)
    command = ["arecord", "-q", "-f", "S16_LE", "-r", "16000", "-c", "1", "-d", "3"]
    with subprocess.Popen(command, env=pulse.env, stdout=subprocess.PIPE) as arecord:
        assert arecord.stdout is not None
        player = threading.Timer(0.7, pulse.play, [tmp_path / "tone.wav"])
        player.start()
        sound = heard(PcmSource(arecord.stdout))  # type: ignore[arg-type]
        player.join()
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    loud = loud[loud > 320]  # arecord begins with a WAV header
    assert 15500 < loud[-1] - loud[0] < 16001  # PulseAudio swallows some milliseconds of what begins loud
    assert np.abs(np.diff(sound[loud[0] : loud[-1]])).max() < 0.09  # and nothing in the middle
    assert np.abs(np.fft.rfft(sound[loud[0] :][:16000])).argmax() == 440
