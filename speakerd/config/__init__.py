"""The settings: one YAML file, typed, with every key documented once (:mod:`speakerd.config.settings`)."""

import os
from collections.abc import Iterator
from pathlib import Path

from speakerd.config.document import ConfigError
from speakerd.config.reading import Reading
from speakerd.config.settings import (
    Audio,
    Config,
    Enrolment,
    Gate,
    Http,
    Learning,
    Listening,
    Outputs,
    Recognition,
    Requirement,
    ShellAction,
    WebhookAction,
)

__all__ = [
    "Audio",
    "Config",
    "ConfigError",
    "Enrolment",
    "Gate",
    "Http",
    "Learning",
    "Listening",
    "Outputs",
    "Recognition",
    "Requirement",
    "ShellAction",
    "WebhookAction",
    "file_to_change",
    "load",
    "where",
]

SYSTEM_FILE = Path("/etc/speakerd/speakerd.yaml")


def load(path: Path | None) -> Config:
    """Read the settings from ``path``; None: from the user's file, else the system's, else the defaults.

    Raises:
        ConfigError: the file is missing though named, not readable, not YAML, or holds what is not a setting.
    """
    file = path or _usual_file()
    if file is None:
        return Config()
    reading = Reading(file)
    if reading.problems:
        raise ConfigError("\n".join(f"{file}:{line}: {problem}" for line, problem in sorted(reading.problems)))
    return reading.config


def where(path: Path | None, key: str) -> str:
    """Where a setting such as ``audio.device`` comes from, for messages: file and line, else the file in which it
    could be set, or "the default" where there is no file. ``path`` as for :func:`load`."""
    file = path or _usual_file()
    if file is None:
        return "the default"
    try:
        line = Reading(file).lines.get(key)
    except ConfigError:
        line = None
    return f"{file}:{line}" if line else str(file)


def file_to_change(path: Path | None) -> Path:
    """Where a changed setting belongs: the file that is in use, else the user's own. ``path`` as for :func:`load`."""
    return path or _usual_file() or next(_usual_files())


def _usual_file() -> Path | None:
    return next((file for file in _usual_files() if _is_there(file)), None)


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:  # then reading it says so, rather than that nobody learns why it does not count
        return True


def _usual_files() -> Iterator[Path]:
    home = os.environ.get("HOME")
    user = os.environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    if user:
        yield Path(user, "speakerd/speakerd.yaml")
    yield SYSTEM_FILE
