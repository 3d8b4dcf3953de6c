"""Words that a synthesiser says, in many languages and voices."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from speakerd.audio.files import read_audio
from speakerd.errors import SpeakerdError
from speakerd.training.synthetic import LONGEST, VOICES, make

needs_voices = pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs voices")


@needs_voices
def test_words_are_said_once_and_lie_between_margins(tmp_path: Path) -> None:
    assert list(make(tmp_path, 6)) == [1, 2, 3, 4, 5, 6]
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"{i:05d}.flac" for i in range(6)]
    sounds = [read_audio(file) for file in files]
    for sound in sounds:
        assert 0.25 < len(sound) / 16000 - 0.3 < LONGEST
        assert np.abs(sound).max() == pytest.approx(0.5, abs=0.01)
        assert np.abs(sound[:2300]).max() == np.abs(sound[-2300:]).max() == 0
    assert len({len(sound) for sound in sounds}) > 3, "each says something else"
    made = {file: file.stat().st_mtime_ns for file in files}
    assert list(make(tmp_path, 7))[-1] == 7
    assert all(file.stat().st_mtime_ns == made[file] for file in files), "what is there stays"


@needs_voices
def test_the_seed_decides_what_is_said(tmp_path: Path) -> None:
    for folder, seed in (("one", 5), ("again", 5), ("other", 6)):
        list(make(tmp_path / folder, 1, seed))
    one, again, other = (read_audio(tmp_path / folder / "00000.flac") for folder in ("one", "again", "other"))
    np.testing.assert_array_equal(one, again)
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_without_a_synthesiser_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpeakerdError, match="apt install"):
        list(make(tmp_path / "words", 1))


@needs_voices
def test_every_voice_is_one_the_synthesiser_has(tmp_path: Path) -> None:
    import subprocess

    for voice in sorted({voice for voices in VOICES.values() for voice in voices}):
        said = subprocess.run(["espeak-ng", "-v", voice, "--stdout", "a"], capture_output=True)
        assert said.returncode == 0 and len(said.stdout) > 1000, voice
