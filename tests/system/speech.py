"""Recordings of one phrase: people's where ../shared/data lies beside the checkout, else a synthesiser's."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import soundfile

from speakerd.audio.files import read_audio
from tests.needs import need

DATA = Path(__file__).parents[2] / "../shared/data"
PHRASE = "hadouken"
VOICES = ["en-us", "en-gb", "en-gb-scotland", "en-us+f2", "en-us+m3", "en-gb+f3", "en-gb+m1", "en-gb-scotland+f1"]
PAUSE = np.zeros(16000, np.float32)


def recordings(folder: Path) -> list[Path]:
    """Eight WAV files, each with a pause before and after the phrase."""
    paths = []
    for number, samples in enumerate(_people() if DATA.is_dir() else _voices(folder)):
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], np.concatenate([PAUSE, samples, PAUSE]), 16000)
    return paths


def _people() -> list[np.ndarray]:
    with (DATA / "words.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["split"], row["word"]) == ("dev", PHRASE)][: len(VOICES)]
    shards = {row["shard"]: soundfile.read(DATA / row["shard"], dtype="float32")[0] for row in rows}
    return [shards[row["shard"]][int(row["start"]) :][: int(row["length"])] for row in rows]


def _voices(folder: Path) -> list[np.ndarray]:
    need("espeak-ng")
    spoken = []
    for voice in VOICES:
        subprocess.run(["espeak-ng", "-v", voice, "-w", folder / "spoken.wav", PHRASE], check=True)
        spoken.append(read_audio(folder / "spoken.wav"))
    return spoken
