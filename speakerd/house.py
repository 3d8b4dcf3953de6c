"""Puts the parts together on a folder of state: what the daemon and a command that works alone have in common."""

from dataclasses import dataclass
from pathlib import Path

from speakerd.config import Config
from speakerd.learning.household import Household
from speakerd.memory import give_back
from speakerd.recognition.encoder import BUNDLED, Encoder, ModelError, TrunkEncoder
from speakerd.recognition.world import World
from speakerd.store.store import Store

SMALL = "small"  # the models that come along beside the usual ones


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
        chosen = config.recognition
        if chosen.encoder and chosen.models:
            raise ModelError("recognition.encoder and recognition.models are both set; one of them says what to use")
        if chosen.encoder:
            from speakerd.recognition.frames_encoder import FramesEncoder, beside

            foreign = FramesEncoder(Path(chosen.encoder))
            return cls(foreign, World.load(*beside(Path(chosen.encoder)), foreign.id)).settled()
        folder = BUNDLED / SMALL if chosen.models == SMALL else Path(chosen.models or BUNDLED)
        own = TrunkEncoder(folder)
        return cls(own, World.load(folder / "world.npz", folder / "adapt.onnx", own.id)).settled()

    def settled(self) -> "Mind":
        """Itself, with the memory given back that loading took, or teaching."""
        self.world.rest()
        give_back()
        return self

    @property
    def id(self) -> str:
        """What was derived with other models is derived again."""
        return f"{self.encoder.id}-{self.world.id}"

    def household(self, state: Path, config: Config) -> Household:
        """Raises:
        StoreError: the state cannot be used.
        """
        return Household(Store(state, self.encoder.id, self.id), self.encoder, self.world, config)
