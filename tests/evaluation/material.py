"""Folders in Speech Commands layout, made of the bundled recordings."""

from collections.abc import Iterable
from pathlib import Path

import soundfile

from tests.recordings import room
from tests.running import CLIPS, clip


def three_words(folder: Path) -> Path:
    """Three words by nine people each, near, in the middle of the room, and far away; some say them twice."""
    for name, takes in CLIPS.items():
        (folder / name).mkdir(parents=True)
        for voice in range(len(takes)):
            for distance, gain in enumerate((1.0, 0.3, 0.1)):
                samples = gain * clip(name, voice)
                samples = samples + room(len(samples) / 16000, seed=distance, level=-75.0)[: len(samples)]
                soundfile.write(folder / name / f"p{voice}{distance}_nohash_0.wav", samples, 16000)
        for voice in range(len(takes)):
            soundfile.write(folder / name / f"p{voice}0_nohash_1.wav", 0.5 * clip(name, voice), 16000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_/x.wav", room(1.0), 16000)
    (folder / "README.md").touch()
    return folder


def folder_of(path: Path, names: Iterable[str]) -> Path:
    """Clips of these names, all of the first word, by three voices in turn."""
    for i, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path / name, clip(next(iter(CLIPS)), i % 3), 16000)
    return path


def quietly(_: str) -> None:
    """Progress that nobody watches."""
