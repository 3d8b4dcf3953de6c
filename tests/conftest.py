"""Fixtures for every test."""

import pytest

from speakerd.config import Config
from speakerd.house import Mind
from tests.audio.recorder import record
from tests.system.pulse import null_devices, pulse

__all__ = ["mind", "null_devices", "pulse", "record"]


@pytest.fixture(scope="session")
def mind() -> Mind:
    """The bundled models, loaded once."""
    return Mind.load(Config())
