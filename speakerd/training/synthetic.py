"""Synthesised words and phrases in many languages: an auxiliary task that has the distillation losses alone.

Few languages are at hand as recordings. What the teacher makes of a sound needs no label, so words from the lists of
wordfreq, spoken by espeak-ng in all its voices and, in English, by flite in those that were once a person's, show the
student sounds and orders of sounds that no recording holds. They are never classes, never evaluated on, and never make
up what ships as impostors.
"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr
import wordfreq

from speakerd.audio.features import SAMPLE_RATE
from speakerd.errors import SpeakerdError

# wordfreq's language and the espeak-ng voices that speak it.
VOICES = {
    "ar": ["ar"], "bg": ["bg"], "bn": ["bn"], "ca": ["ca"], "cs": ["cs"], "da": ["da"], "de": ["de"], "el": ["el"],
    "en": ["en-us", "en-gb", "en-gb-scotland", "en-us-nyc", "en-029", "en-gb-x-gbcwmd"], "es": ["es", "es-419"],
    "fa": ["fa"], "fi": ["fi"], "fr": ["fr-fr", "fr-be", "fr-ch"], "he": ["he"], "hi": ["hi"], "hu": ["hu"],
    "id": ["id", "sw", "mi"], "is": ["is"], "it": ["it", "la", "eo"], "ko": ["ko"], "lt": ["lt"], "lv": ["lv"],
    "mk": ["mk"], "ms": ["ms"], "nb": ["nb"], "nl": ["nl", "af"], "pl": ["pl"], "pt": ["pt", "pt-br"], "ro": ["ro"],
    "ru": ["ru"], "sk": ["sk"], "sl": ["sl", "hr"], "sv": ["sv"], "ta": ["ta"], "tr": ["tr", "az"], "uk": ["uk"],
    "ur": ["ur"], "vi": ["vi", "vi-vn-x-south"], "zh": ["cmn"],
}  # fmt: skip
VARIANTS = (
    [f"m{i}" for i in range(1, 9)] + [f"f{i}" for i in range(1, 6)] * 2
    + ["Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee"]
    + ["Marco", "Mario", "Michael", "Mike", "Nguyen", "adam", "anika", "antonio", "aunty", "belinda", "benjamin"]
    + ["boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave", "iven", "john", "klatt", "klatt4"]
    + ["linda", "max", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "sandro", "shelby", "steph"]
    + ["steph2", "travis", "victor", "whisper", "zac"]
)  # fmt: skip
PEOPLE = ["awb", "rms", "slt"] * 2 + ["kal16"]  # flite's voices; the last is less like a person
BY_PEOPLE = 0.3  # so many are English in one of those
WORDS = 6000  # of each language, the commonest
LONGEST = 3.0  # seconds


def make(folder: Path, count: int, seed: int = 0) -> Iterator[int]:
    """Write ``count`` recordings below ``folder`` (those that are there stay); yields how many there are.

    Raises:
        SpeakerdError: espeak-ng or flite is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {
        language: [word for word in wordfreq.top_n_list(language, WORDS) if len(word) > 1 and word.isalpha()]
        for language in VOICES
    }
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda number: _one(folder / f"{number:05d}.flac", vocabulary, seed + number), range(count))
        for number, _ in enumerate(done, 1):
            yield number


def _one(path: Path, vocabulary: dict[str, list[str]], seed: int) -> None:
    if path.exists():
        return
    draw = np.random.default_rng(seed)
    while True:
        command = _of_people(vocabulary, draw) if draw.random() < BY_PEOPLE else _of_languages(vocabulary, draw)
        try:
            said = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
        except FileNotFoundError as error:
            raise SpeakerdError(f"{command[0]} is not installed: sudo apt install {command[0]}") from error
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            continue
        samples, rate = soundfile.read(BytesIO(said), dtype="float32")
        clip = _trimmed(soxr.resample(samples, rate, SAMPLE_RATE))
        if 0.25 < len(clip) / SAMPLE_RATE - 0.3 < LONGEST:
            new = path.with_suffix(".new")
            soundfile.write(new, clip, SAMPLE_RATE, format="FLAC")
            new.replace(path)
            return


def _of_languages(vocabulary: dict[str, list[str]], draw: np.random.Generator) -> list[str]:
    language = str(draw.choice(list(VOICES)))
    # common words are short, rare ones long: a phrase of common ones or one of any
    count = int(draw.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
    text = " ".join(draw.choice(vocabulary[language], size=count))
    voice = f"{draw.choice(VOICES[language])}+{draw.choice(VARIANTS)}"
    options = ["-p", str(draw.integers(20, 85)), "-s", str(draw.integers(120, 240))]
    return ["espeak-ng", "-v", voice, *options, "--stdout", text]


def _of_people(vocabulary: dict[str, list[str]], draw: np.random.Generator) -> list[str]:
    count = int(draw.choice([1, 2, 3, 4], p=[0.3, 0.35, 0.25, 0.1]))
    text = " ".join(draw.choice(vocabulary["en"], size=count))
    stretch = f"duration_stretch={draw.uniform(0.75, 1.35):.2f}"
    return ["flite", "-voice", str(draw.choice(PEOPLE)), "--setf", stretch, "-t", text, "-o", "/dev/stdout"]


def _trimmed(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The speech with 150 ms around it, as recorded clips have, at half of full scale."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=1e-6))
    if len(loud) == 0:
        return samples[:0]
    inside = samples[loud[0] : loud[-1] + 1]
    return np.pad(inside * np.float32(0.5) / np.abs(inside).max(), int(0.15 * SAMPLE_RATE))
