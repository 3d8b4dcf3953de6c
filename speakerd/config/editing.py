"""Changing a setting in the file, which keeps its comments and everything else as somebody wrote it."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import fields

from speakerd.config.document import ConfigError
from speakerd.config.reading import Reading
from speakerd.config.settings import Config
from speakerd.config.wording import kind

# Those that can be tried without harm: none names a program, an address, a file, or who may reach the speaker.
SAFE = (
    "listening.false_accepts_per_day",
    "listening.highest_frr",
    "gate.aggressiveness",
    "gate.hangover_ms",
    "gate.preroll_ms",
    "enrolment.takes",
    "enrolment.keep_audio",
    "speaking.volume",
    "speaking.tone_on_detection",
)


def adjustable(config: Config) -> list[dict[str, Any]]:
    """The settings that are safe to change: key, value, default, and in words what it is and what it may be."""
    return [_told(config, *key.split(".")) for key in SAFE]


def _told(config: Config, section: str, name: str) -> dict[str, Any]:
    default = getattr(Config(), section)
    (setting,) = (field for field in fields(type(default)) if field.name == name)
    return {
        "key": f"{section}.{name}",
        "value": getattr(getattr(config, section), name),
        "default": getattr(default, name),
        "kind": kind(setting.type),
        "description": setting.type.__metadata__[0].description,
    }


def change(file: Path, key: str, value: bool | int | float) -> None:
    """Write a setting into ``file``, which is made where there is none.

    Raises:
        ConfigError: the key is not one of :data:`SAFE`, the value is not one that it can have, or the file cannot be
            written, or not be understood. It is as it was.
    """
    if key not in SAFE:
        raise ConfigError(f"{key} cannot be changed from here; these can: {', '.join(SAFE)}")
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        changed = with_setting(text, key, value)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".speakerd-", delete=False
        ) as new:
            new.write(changed)
            new.flush()
            os.fsync(new.fileno())
        try:
            problems = Reading(Path(new.name)).problems
            if problems:
                raise ConfigError("; ".join(problem for _, problem in problems))
            if file.exists():
                shutil.copystat(file, new.name)
                shutil.chown(new.name, file.stat().st_uid, file.stat().st_gid)
            Path(new.name).replace(file)
        finally:
            Path(new.name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written by the speaker ({error.strerror}): set {key} to {json.dumps(value)} there "
            "yourself, then `systemctl reload speakerd`"
        ) from error


def with_setting(text: str, key: str, value: bool | int | float) -> str:
    """The text of a file in which ``key`` has ``value``.

    Raises:
        ConfigError: the text is not YAML.
    """
    section, name = key.split(".")
    told = json.dumps(value)
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        raise ConfigError("the settings are not YAML as they stand; `speakerd config check` says where") from None
    if root is None:
        return _ended(text) + f"{section}:\n  {name}: {told}\n"
    there = _child(root, section)
    if there is None and isinstance(root, yaml.MappingNode) and root.flow_style:
        return _put(text, root.start_mark.index + 1, f"{section}: {{{name}: {told}}}, ")
    if there is None:
        return _ended(text) + f"\n{section}:\n  {name}: {told}\n"
    old = _child(there, name)
    if old is not None:
        return text[: old.start_mark.index] + told + text[old.end_mark.index :]
    if not isinstance(there, yaml.MappingNode):  # empty
        return text[: there.start_mark.index] + f"\n  {name}: {told}" + text[there.end_mark.index :]
    if there.flow_style:
        return _put(text, there.start_mark.index + 1, f"{name}: {told}, ")
    return _put(text, there.start_mark.index, f"{name}: {told}\n{' ' * there.start_mark.column}")


def _child(node: yaml.Node, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((child for key, child in pairs if key.value == name), None)


def _put(text: str, at: int, what: str) -> str:
    return text[:at] + what + text[at:]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
