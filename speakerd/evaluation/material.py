"""What an evaluation is made of: the sounds of all folders, heard once under each condition."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerd.config import Config
from speakerd.config.settings import Gate
from speakerd.errors import SpeakerdError
from speakerd.evaluation.conditions import CLEAN, Level, Noise
from speakerd.evaluation.few_shot import Trial
from speakerd.evaluation.sounds import NOTHING, Indices, Progress, Sounds, hear, is_corpus, speech_in, words_in
from speakerd.evaluation.space import Vectors
from speakerd.house import Mind
from speakerd.recognition.lengths import fitting


@dataclass(frozen=True)
class Conditions:
    """Signal to noise ratios (CLEAN for none) at which, and changes with which, clips are asked; ``taught_in_noise``:
    those that teach, too."""

    levels: tuple[Level, ...] = (CLEAN,)
    noise: Noise | None = None
    taught_in_noise: bool = False


class Ear:
    """All sounds of an evaluation as they were heard under each condition."""

    def __init__(
        self, mind: Mind, sounds: Sounds, conditions: Conditions, config: Config, progress: Progress,
        silence: bool = False,
    ) -> None:  # fmt: skip
        """Hears everything; takes a few milliseconds a clip and condition."""
        self.sounds, self.world = sounds, mind.world
        wanted = dict.fromkeys((CLEAN, *conditions.levels))
        taught = conditions.levels if conditions.taught_in_noise else (CLEAN,)
        heard = hear(mind.encoder, sounds, progress, tuple(wanted), conditions.noise, config.gate, taught)
        vectors = {
            level: Vectors.of(mind.world, found.vectors, found.cut, found.seconds) for level, found in heard.items()
        }
        self.clean = vectors[CLEAN]
        self.trials = {
            level: Trial(
                mind.world, vectors[level if conditions.taught_in_noise else CLEAN], vectors[level], config.listening,
                partial(fitting, mind.encoder), silence,
            )
            for level in conditions.levels
        }  # fmt: skip

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Clips that ``enroll`` would take under every condition in which something is taught."""
        return np.asarray(np.all([trial.support.cut for trial in self.trials.values()], axis=0))


@dataclass(frozen=True)
class Material:
    """Sounds of all folders; ``corpora``: rows by name of what is learned, ``outside``: rows of what never is."""

    sounds: Sounds
    corpora: dict[str, Indices]
    outside: Indices

    @classmethod
    def of(
        cls, data: Path, negatives: Iterable[Path], speech: Iterable[Path], progress: Progress, gate: Gate
    ) -> "Material":
        """Raises:
        SpeakerdError: there are no recordings of words below ``data``.
        """
        folders = [data] if is_corpus(data) else [path for path in sorted(data.iterdir()) if is_corpus(path)]
        if not folders:
            raise SpeakerdError(f"{data}: no recordings like WORD/SPEAKER_nohash_0.wav here")
        sounds, corpora = NOTHING, {}
        for folder in folders:
            found = words_in(folder)
            corpora[folder.resolve().name] = len(sounds) + np.arange(len(found))
            sounds += found
        first = len(sounds)
        for folder in negatives:
            sounds += words_in(folder)
        for folder in speech:
            sounds += speech_in(folder, progress, gate)
        return cls(sounds, corpora, np.arange(first, len(sounds)))

    def strange_to(self, corpus: str) -> Indices:
        """Rows that no command of a corpus is in: other corpora, and what never is a command."""
        others = [rows for name, rows in self.corpora.items() if name != corpus]
        return np.concatenate([*others, self.outside])
