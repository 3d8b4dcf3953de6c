"""Puts the parts together on a folder of state: what the daemon and a command that works alone have in common."""

from dataclasses import dataclass
from pathlib import Path

from speakerd.audio.segmenter import GateSettings
from speakerd.config import Config
from speakerd.learning.calibration import Budget
from speakerd.learning.household import Household, LearningSettings
from speakerd.recognition.encoder import BUNDLED, Encoder
from speakerd.recognition.world import World
from speakerd.store.knowledge import Knowledge
from speakerd.store.store import Store


@dataclass(frozen=True)
class Mind:
    """The models: what it takes to compare speech, with nothing taught yet."""

    encoder: Encoder
    world: World

    @classmethod
    def load(cls, config: Config) -> "Mind":
        """Raises:
        ModelError: a model is missing, damaged or of another version.
        """
        folder = Path(config.recognition.models) if config.recognition.models else BUNDLED
        encoder = Encoder(folder)
        return cls(encoder, World.load(folder / "world.npz", encoder.id))

    def household(self, state: Path, config: Config) -> Household:
        """Raises:
        StoreError: the state cannot be used.
        """
        return Household(Store(state, self.encoder.id), self.encoder, self.world, learning_settings(config))


def gate_settings(config: Config) -> GateSettings:
    gate = config.gate
    return GateSettings(gate.aggressiveness, gate.hangover_ms, gate.preroll_ms)


def learning_settings(config: Config) -> LearningSettings:
    budget = Budget(config.listening.false_accepts_per_day, config.listening.highest_frr)
    return LearningSettings(gate_settings(config), budget, config.enrolment.keep_audio)


def nothing_known(mind: Mind) -> Knowledge:
    return Knowledge(0, mind.encoder.id)
