"""What all commands share: their options, who answers their requests, how they speak."""

import functools
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import msgspec

from speakerd.config import Config, load
from speakerd.control.messages import Known, Request, Snapshot, Status
from speakerd.control.service import Service
from speakerd.control.socket import SYSTEM_SOCKET, answers, ask, socket_of
from speakerd.errors import SpeakerdError
from speakerd.listening.journal import Journal
from speakerd.listening.policy import Switches
from speakerd.store.knowledge import Knowledge

if TYPE_CHECKING:
    from speakerd.house import Mind

F = TypeVar("F", bound=Callable[..., Any])


class NewFile(click.Path):
    """A file that is written when all is done, which may take hours: whether it can be is seen before."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)  # type: ignore[assignment]
        if not os.access(path.absolute().parent, os.W_OK):
            self.fail(f"'{path}' cannot be written: no folder {path.absolute().parent}", param, ctx)
        return path


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Raises:
    SpeakerdError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise SpeakerdError(f"{file} cannot be written: {error.strerror}") from error


@dataclass
class Session:
    """One call of the program. ``state`` None: the system's daemon if it runs, else the user's own state."""

    state_option: Path | None
    config_path: Path | None
    json: bool

    @cached_property
    def config(self) -> Config:
        return load(self.config_path)

    @cached_property
    def state(self) -> Path:
        """The folder that a command works on when no daemon answers for it."""
        if self.state_option is not None:
            return self.state_option.absolute()
        if "STATE_DIRECTORY" in os.environ:  # started by systemd
            return Path(os.environ["STATE_DIRECTORY"])
        base = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
        return Path(base) / "speakerd"

    @cached_property
    def daemon(self) -> Path | None:
        """The socket of the daemon to ask, None where none runs."""
        usual = [] if self.state_option or "STATE_DIRECTORY" in os.environ else [SYSTEM_SOCKET]
        return next((path for path in [*usual, socket_of(self.state)] if answers(path)), None)

    @cached_property
    def mind(self) -> "Mind":
        from speakerd.house import Mind

        return Mind.load(self.config)

    def ask(self, request: Request) -> Iterator[dict[str, Any]]:
        """Answered by the running daemon, else here."""
        if self.daemon is not None:
            return ask(self.daemon, request)
        return self.here.ask(request)

    @cached_property
    def switches(self) -> Switches:
        """Those of the state, for a command that works on it alone."""
        return Switches.of(self.state)

    def muted(self) -> str | None:
        """That the speaker is muted, and until when, in words; None where it is not."""
        (status,) = [self.switches.status()] if self.daemon is None else self.ask(Status())
        return cast("str | None", status["muted"])

    @cached_property
    def here(self) -> Service:
        """A service in this process, with the microphone to itself."""
        from contextlib import closing, contextmanager

        from speakerd.audio.microphone import Microphone

        @contextmanager
        def ears() -> Iterator[Any]:
            audio = self.config.audio
            with closing(Microphone(audio.device, audio.channel)) as microphone:
                yield iter(microphone)

        household = self.mind.household(self.state, self.config)
        nothing = Journal(0.0)  # only a daemon has heard anything
        return Service(household, ears, self.config.enrolment.takes, self.switches, nothing, lambda: {"running": False})

    def knowledge(self) -> Knowledge:
        """What is known, for a command that recognises by itself."""
        return self.snapshot().knowledge()

    def snapshot(self) -> Snapshot:
        """What is known, and whose voices."""
        (snapshot,) = self.ask(Known())
        return msgspec.convert(snapshot, Snapshot)

    def say(self, item: dict[str, Any], words: str | None = None) -> None:
        """One line: JSON if asked for, else the words (None: nothing)."""
        if self.json:
            line = json.dumps(item, ensure_ascii=sys.stdout.encoding.lower() != "utf-8")
        elif words is None:
            return
        else:
            line = words
        print(line, flush=True)


class _Place(click.Path):
    """A path that is not empty: an empty one, of a variable that is not set, would mean the present folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; leave it out for the usual one", param, ctx)
        return super().convert(value, param, ctx)


def common(command: F) -> F:
    """Adds --state, --config and --json, and hands the command a :class:`Session`; errors for people end with 1."""

    @click.option("--state", type=_Place(path_type=Path), help="Folder of what was taught.")
    @click.option("--config", type=_Place(path_type=Path), help="Settings (YAML).")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
    @functools.wraps(command)
    def wrapped(state: Path | None, config: Path | None, as_json: bool, **options: Any) -> None:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
        if isinstance(sys.stdout, io.TextIOWrapper):  # names may hold what this terminal has no signs for
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            command(Session(state, config, as_json), **options)
        except SpeakerdError as error:
            fail(str(error))
        except BrokenPipeError:  # whoever read our lines has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return wrapped  # type: ignore[return-value]


def fail(message: str) -> None:
    click.echo(f"speakerd: {message}", err=True)
    raise SystemExit(1)


def bar(dbfs: float, speech: bool) -> str:
    """A level meter of one line."""
    filled = max(0, min(40, round((dbfs + 70) / 60 * 40)))
    return f"  {'█' * filled}{'░' * (40 - filled)} {dbfs:.0f} dB {'speech' if speech else ''}"


def rate(value: float) -> str:
    """Two digits that matter, and no exponents."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.001 else "under 0.001"


def rates(low: float, high: float) -> str:
    return f"{rate(low)} to {rate(high)}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
