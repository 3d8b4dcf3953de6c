"""Fixtures for every test."""

from tests.system.pulse import null_devices, pulse

__all__ = ["null_devices", "pulse"]
