"""Fixtures for every test."""

from tests.audio.recorder import record
from tests.system.pulse import null_devices, pulse

__all__ = ["null_devices", "pulse", "record"]
