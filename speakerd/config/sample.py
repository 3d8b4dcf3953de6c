"""The text of ``config/speakerd.yaml``, written from the types: every key with its description and its default."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from speakerd.config.settings import Config
from speakerd.config.wording import kind


def sample() -> str:
    lines = [*_comment(Config.__doc__)]
    for section in fields(Config):
        lines += ["", *_comment(section.type.__doc__), f"{section.name}:"]
        for key in fields(section.type):
            about, default = key.type.__metadata__[0], getattr(section.default, key.name)
            limits = f" ({kind(key.type)})" if type(default) in (int, float) else ""
            lines += _indented([*_comment(about.description + limits), f"{key.name}: {_plain(default)}"])
            for example in about.examples or ():
                lines += _indented(["# For example:", *(f"# {line}" for line in _block(key.name, example, set()))])
    return "\n".join(lines) + "\n"


def _block(name: str, value: Any, told: set[str]) -> Iterator[str]:
    """YAML of a value, with the descriptions of its keys, each told once."""
    inner: list[str] = []
    if isinstance(value, Struct):
        for key in fields(type(value)):
            about = key.type.__metadata__[0].description
            inner += [] if about in told else _comment(about)
            told.add(about)
            inner += _block(key.name, getattr(value, key.name), told)
    elif isinstance(value, dict):
        for key, each in value.items():
            inner += _block(key, each, told)
    name = name if name.replace(" ", "").isalpha() else _plain(name)
    yield from [f"{name}:", *_indented(inner)] if inner else [f"{name}: {_plain(value)}"]


def _comment(text: str | None) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text or "", 96))


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _plain(value: Any) -> str:
    """A value on one line: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)
