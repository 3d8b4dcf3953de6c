"""A household to ask, and its service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from speakerd.config import Config
from speakerd.control.messages import Recording
from speakerd.control.service import Service
from speakerd.events import Samples, Waiting
from speakerd.house import Mind
from speakerd.learning.household import Household
from speakerd.listening.journal import Journal
from speakerd.listening.policy import Switches
from tests.running import clip


class Ears:
    """A microphone that hears what it is given."""

    def __init__(self) -> None:
        self.frames: list[Samples | Waiting] = []
        self.open = self.opened = 0

    @contextmanager
    def __call__(self) -> Iterator[Iterator[Samples | Waiting]]:
        self.open += 1
        self.opened += 1
        try:
            yield iter(self.frames)
        finally:
            self.open -= 1


@pytest.fixture
def household(mind: Mind, tmp_path: Path) -> Household:
    return mind.household(tmp_path / "state", Config())


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def journal() -> Journal:
    return Journal(near=0.5)


@pytest.fixture
def service(household: Household, ears: Ears, journal: Journal, tmp_path: Path) -> Service:
    return Service(household, ears, 3, Switches.of(tmp_path / "state"), journal, lambda: {"up_seconds": 1})


def recordings(name: str, many: int = 3) -> list[Recording]:
    """Bundled recordings of a command."""
    return [Recording(f"{name} {i}.opus", clip(name, i).astype("<f4").tobytes()) for i in range(many)]
