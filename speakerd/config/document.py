"""A file's text to YAML nodes, or to words about why that cannot be done."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from speakerd.errors import SpeakerdError


class ConfigError(SpeakerdError):
    """Every problem that the settings have, one a line: file, line, what is wrong, the nearest right thing."""


def compose(file: Path) -> tuple[yaml.SafeLoader, yaml.Node | None]:
    """The one document of a file (None if there is nothing in it) and the loader that knows its values.

    Raises:
        ConfigError: the file is missing, not readable, not UTF-8 or not YAML.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: there is no such file") from error
    except OSError as error:
        raise ConfigError(f"{file}: not readable: {error.strerror}") from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}:{line}: not UTF-8 (byte 0x{data[error.start]:02x}); save the file with that encoding"
        ) from error
    try:
        loader = yaml.SafeLoader(text)
        return loader, loader.get_single_node()
    except yaml.YAMLError as error:
        problems = sorted(_problems(text, error).items())
        # Not chained: the words of the parser quote the line, which may hold a password.
        raise ConfigError("\n".join(f"{file}:{line}: {problem}" for line, problem in problems)) from None


def _problems(text: str, error: yaml.YAMLError) -> dict[int, str]:
    """Line and text of what keeps a file from being YAML; the parser itself stops at the first thing."""
    problems = dict(_at_fault(text, error))
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            problems[number] = "indented with a tab; YAML wants spaces"
    return problems


def _at_fault(text: str, error: yaml.YAMLError) -> Iterator[tuple[int, str]]:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        yield line, f"the character U+{error.character:04X} cannot stand in a YAML file"
    elif isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        began = error.context_mark
        if "alias" in f"{error.context} {error.problem}":
            problem = 'a * at the beginning needs quotes: "*"'
        elif "\\t" in str(error.problem):
            problem = "a tab stands here; YAML wants spaces"
        elif began and began.line != mark.line:
            problem = f"not YAML: {error.problem}, {error.context} that begins in line {began.line + 1}"
        else:
            problem = f"not YAML: {error.problem}"
        yield mark.line + 1, problem
