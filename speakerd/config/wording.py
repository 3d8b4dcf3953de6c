"""How types and values are put in words for a person, and which setting was probably meant."""

import difflib
from collections.abc import Iterable
from typing import Any

import yaml
from msgspec import inspect
from msgspec.structs import fields

from speakerd.config.settings import Config


def kind(of: Any) -> str:
    """What a value of a type must be, such as "a whole number from 0 to 3"."""
    return _kind(inspect.type_info(of))


def _kind(of: inspect.Type) -> str:
    match of:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return (schema or {}).get("title") or _kind(inner)
        case inspect.UnionType(types=types):
            *first, last = (_kind(each) for each in types)
            return f"{', '.join(first)} or {last}"
        case inspect.IntType(ge=low, le=None):
            return f"a whole number from {low}"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(gt=low, le=high):
            return f"a number above {low}, at most {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case inspect.NoneType():
            return "null"
    return "some text"


def shown(node: yaml.Node) -> str:
    """A value as it stands in the file, in short."""
    if not isinstance(node, yaml.ScalarNode):
        return shape(node)
    value = node.value if len(node.value) <= 60 else node.value[:57] + "..."
    if is_empty(node):
        return "empty"
    return repr(value) if node.tag.endswith(":str") else str(value)


def shape(node: yaml.Node) -> str:
    """What kind of thing a node is, without its value."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a section" if isinstance(node, yaml.MappingNode) else "a single value"


def is_empty(node: yaml.Node) -> bool:
    return node.tag.endswith(":null")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name``, if any does."""
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The nearest known name as the end of a message; empty if none is near."""
    close = nearest(name, known)
    return f"; did you mean {prefix}{close}?" if close else ""


def right_setting(section: str, name: str, known: list[str]) -> str:
    """As the end of a message: what ``name``, which a section with the keys ``known`` does not have, was meant for."""
    everywhere = {key.name: f"{part.name}.{key.name}" for part in fields(Config) for key in fields(part.type)}
    near = did_you_mean(name, known, section and f"{section}.")
    elsewhere = nearest(name, everywhere)
    return near or (f"; did you mean {everywhere[elsewhere]}?" if elsewhere else f"; there are {', '.join(known)}")
