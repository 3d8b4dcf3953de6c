"""From a YAML file to settings, collecting every problem on the way with its line.

The tree of YAML nodes is walked beside the types: only the nodes know their lines, and a converted document would hold
true and false where somebody wrote ``on`` as a key or ``off`` as an argument.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import yaml
from msgspec import Struct
from msgspec.structs import fields

from speakerd.config.document import compose
from speakerd.config.settings import SECRET, Action, Config, ShellAction, WebhookAction
from speakerd.config.wording import did_you_mean, is_empty, kind, right_setting, shape, shown

STANDARD_TAGS = "tag:yaml.org,2002:"


class Reading:
    """What a file says: ``problems`` (line, text), ``lines`` of each dotted key, ``config`` if there are no problems.

    Raises:
        ConfigError: the file is not readable or not YAML.
    """

    def __init__(self, file: Path) -> None:
        self.problems: list[tuple[int, str]] = []
        self.lines: dict[str, int] = {}
        self.config = Config()
        self._loader, document = compose(file)
        if document is not None:
            self.lines[""] = _line(document)
            self.config = self._section(document, Config, "")
        self._check_actions_of_commands()
        self._check_requirements()
        self._check_who_may_reach_the_page()

    # Each of these gives the value of a node, or None after it noted a problem.

    def _value(self, node: yaml.Node, of: Any, key: str) -> Any:
        plain = get_args(of)[0] if get_origin(of) is Annotated else of
        if not node.tag.startswith(STANDARD_TAGS):
            return self._wrong(key, f"{key} has the tag {node.tag}, which means nothing here")
        if plain == Action:
            return self._action(node, key)
        if isinstance(plain, type) and issubclass(plain, Struct):
            return self._section(node, plain, key)
        if get_origin(plain) is dict:
            names, values = get_args(plain)
            return self._named(node, names, values, key)
        if get_origin(plain) is list:
            return self._list(node, of, key)
        return self._single(node, of, key)

    def _section(self, node: yaml.Node, of: type[Struct], key: str) -> Any:
        settings = {field.name: field.type for field in fields(of)}
        values = {}
        for name, here, child in self._pairs(node, key, f"a section with {', '.join(settings)}"):
            if name in settings:
                values[name] = self._value(child, settings[name], here)
            else:
                self._wrong(here, f"{here} is not a setting{right_setting(key, name, [*settings])}")
        absent = [field.name for field in fields(of) if field.required and field.name not in values]
        return of(**values) if not absent else self._wrong(key, f"{key} needs {' and '.join(absent)}")

    def _action(self, node: yaml.Node, key: str) -> Any:
        both: dict[str, type[Struct]] = {"shell": ShellAction, "webhook": WebhookAction}
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        names = [name.value for name, _ in pairs if isinstance(name, yaml.ScalarNode)]
        chosen = [of for name, of in both.items() if name in names]
        if len(chosen) == 1:
            return self._section(node, chosen[0], key)
        near = next(filter(None, (did_you_mean(name, both, f"{key}.") for name in names)), "")
        what = "shell: [program, argument, ...] or webhook: address"
        return self._wrong(key, f"{key} must have {what}, and not both" if chosen else f"{key} needs {what}{near}")

    def _named(self, node: yaml.Node, names: Any, values: Any, key: str) -> dict[str, Any]:
        result = {}
        for name, here, child in self._pairs(node, key, "a section, with one `name: value` a line"):
            if not _fits(name, names):
                self._wrong(here, f"{name!r} in {key} must be {kind(names)}")
            result[name] = self._value(child, values, here)
        return result

    def _list(self, node: yaml.Node, of: Any, key: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._wrong(key, f"{key} is {shown(node)}; it must be {kind(of)}, such as [one, two]")
        for index, child in enumerate(node.value):
            self.lines[f"{key}.{index}"] = _line(child)
        plain = get_args(of)[0]
        values = [self._single(child, get_args(plain)[0], f"{key}.{index}") for index, child in enumerate(node.value)]
        if not values and not _fits(values, of):
            return self._wrong(key, f"{key} is an empty list; it must be {kind(of)}")
        return values

    def _single(self, node: yaml.Node, of: Any, key: str) -> Any:
        value = self._scalar(node, of) if isinstance(node, yaml.ScalarNode) else node
        if _fits(value, of):
            return msgspec.convert(value, of)
        if any(meta.extra == SECRET for meta in getattr(of, "__metadata__", ())):
            return self._wrong(key, f"{key} must be {kind(of)} (its value is not shown here, since it may be secret)")
        return self._wrong(key, f"{key} is {shown(node)}; it must be {kind(of)}")

    def _scalar(self, node: yaml.ScalarNode, of: Any) -> Any:
        plain = get_args(of)[0] if get_origin(of) is Annotated else of
        if plain is str and not is_empty(node):
            return node.value  # as written: [mpc, volume, 50] are three texts, [lamp, off] two
        try:
            return self._loader.construct_object(node)
        except (ValueError, yaml.YAMLError):  # the 99th of May
            return node

    def _pairs(self, node: yaml.Node, key: str, what: str) -> Iterator[tuple[str, str, yaml.Node]]:
        """Name, dotted key and value of everything in a section; an empty one stands for the defaults."""
        if is_empty(node):
            return
        if not isinstance(node, yaml.MappingNode):
            self._wrong(key, f"{key or 'the file'} is {shape(node)}; it must be {what}")
            return
        seen: dict[str, int] = {}
        for name, child in node.value:
            if not isinstance(name, yaml.ScalarNode):
                self.problems.append((_line(name), f"{key or 'the file'} has {shape(name)} where a name must be"))
                continue
            here = f"{key}.{name.value}" if key else name.value
            if name.value in seen:
                self.problems.append((_line(name), f"{here} is here a second time; first in line {seen[name.value]}"))
                continue
            seen[name.value] = self.lines[here] = _line(name)
            yield name.value, here, child

    def _wrong(self, key: str, problem: str) -> None:
        self.problems.append((self.lines[key], problem))

    def _check_actions_of_commands(self) -> None:
        outputs = self.config.outputs
        sections = {"outputs.on": outputs.on} | {f"outputs.by.{who}": on for who, on in (outputs.by or {}).items()}
        for section, on in sections.items():
            for command, actions in (on or {}).items():
                for index, name in enumerate(actions or ()):
                    if name not in outputs.actions:
                        here = f"{section}.{command}"
                        known = (
                            did_you_mean(str(name), outputs.actions)
                            or f"; there are {', '.join(outputs.actions) or 'none'}"
                        )
                        self._wrong(f"{here}.{index}", f"{here} has {name!r}, which is not in outputs.actions{known}")

    def _check_requirements(self) -> None:
        """Whatever needs itself, or needs what needs it, could never be heard."""
        requires = self.config.listening.requires or {}
        needs = {name.casefold(): one.command.casefold() for name, one in requires.items() if one and one.command}
        everybody = needs.pop("*", None)

        def needed(name: str) -> str | None:
            return needs.get(name, everybody if name != everybody else None)

        for name in requires:
            chain = [name.casefold()]
            while (following := needed(chain[-1])) is not None and following not in chain:
                chain.append(following)
            if name != "*" and following == chain[0]:
                here = f"listening.requires.{name}"
                self._wrong(here, f"{here} can never be heard: {' needs '.join([*chain, chain[0]])}")

    def _check_who_may_reach_the_page(self) -> None:
        http = self.config.http
        if not http.enabled or self.problems:
            return
        try:
            here_only = ip_address(http.address).is_loopback
        except ValueError:
            self._wrong("http.address", f"http.address is {http.address!r}; it must be an IP address, such as 0.0.0.0")
            return
        if not here_only and not http.token and not http.token_file:
            self._wrong(
                "http.address",
                f"http.address is {http.address}, which others can reach: that needs http.token or http.token_file "
                "(make one: openssl rand -hex 16)",
            )
        if (http.certificate is None) != (http.key is None):
            self._wrong("http", "http.certificate and http.key go together; one of them is missing")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _fits(value: Any, of: Any) -> bool:
    try:
        msgspec.convert(value, of)
    except msgspec.ValidationError:
        return False
    return True
