"""``speakerd enroll``: teach a command, by microphone or from files. ``speakerd lesson``: by voice alone."""

import os
import shlex
from pathlib import Path
from typing import Any

import click

from speakerd.audio.files import AudioFileError, read_audio
from speakerd.cli.common import Session, bar, common, percent, rate, rates
from speakerd.control.messages import Enroll, Lesson, Recording, StopLesson, Teach
from speakerd.errors import SpeakerdError
from speakerd.learning.takes import too_long


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Begin anew instead of adding examples.")
@click.option("--action", help="Name of the action (from the settings) that the command sets off.")
@click.option("--speaker", help="Who says it in these examples.")
@click.option("--takes", type=click.IntRange(1, 10), help="How often to say it (microphone).")
@common
def enroll(
    session: Session, name: str, files: tuple[Path, ...], replace: bool, action: str | None, speaker: str | None,
    takes: int | None,
) -> None:  # fmt: skip
    """Teach the command NAME: say it some times into the microphone, or give recordings of it."""
    if not files and _is_recording(name):
        raise click.UsageError(f"{name} is a recording: the name of the command comes first, as in: enroll NAME {name}")
    if files:
        request: Enroll | Teach = Enroll(name, [_recording(path) for path in files], replace, action, speaker)
    else:
        request = Teach(name, takes, replace, action, speaker)
    meter = _Meter(session)
    try:
        for item in session.ask(request):
            if "example" in item:
                if files or session.json or (item["accepted"] and item["reason"]):  # a lesson has told of the others
                    session.say(item, f"  {item['example']}: {_verdict(item)}")
            elif "command" in item:
                meter.end()
                session.say(item, _learned(item))
            else:
                meter.show(item, name)
    finally:
        meter.end()


@click.command("lesson")
@click.option("--action", help="Name or number of the action (from the settings) that the command sets off.")
@click.option("--stop", is_flag=True, help="End the lesson that is going on.")
@common
def lesson(session: Session, action: str | None, stop: bool) -> None:
    """Teach by voice: the speaker asks for a command, its examples, and what it shall do (Ctrl-C ends the lesson)."""
    if session.daemon is None:
        raise SpeakerdError("no daemon is running, and it is the daemon that speaks: speakerd run")
    if stop:
        for item in session.ask(StopLesson()):
            session.say(item, "the lesson ends" if item["stopped"] else "there is no lesson going on")
        return
    meter = _Meter(session)
    try:
        for item in session.ask(Lesson(action)):
            if "command" in item:
                meter.end()
                session.say(item, _known_as(item))
            elif session.json:
                session.say(item)
            else:
                meter.show(item)
    finally:
        meter.end()


def _known_as(item: dict[str, Any]) -> str:
    does = f", sets off {item['action']}" if item["action"] else ""
    return f"{item['command']}: learned{does}. Another name: speakerd rename {shlex.quote(item['command'])} NAME"


def _is_recording(name: str) -> bool:
    try:
        return Path(name).is_file() and len(read_audio(Path(name))) > 0
    except (AudioFileError, OSError, ValueError):  # too long for a file's name, or with a NUL in it
        return False


def _recording(path: Path) -> Recording:
    name = os.fsencode(path).decode(errors="replace")  # as it can be kept: not every name of a file is UTF-8
    try:
        samples = read_audio(path)
    except AudioFileError as error:
        return Recording(name, b"", str(error))
    fault = too_long(samples)
    return Recording(name, b"" if fault else samples.astype("<f4").tobytes(), fault)


def _verdict(item: dict[str, Any]) -> str:
    if not item["accepted"]:
        return f"refused: {item['reason']}"
    return f"taken, with a doubt: {item['reason']}" if item["reason"] else "taken"


def _learned(item: dict[str, Any]) -> str:
    lines = [
        f"{item['command']}: learned, {item['examples']} example{'s' if item['examples'] > 1 else ''}. "
        f"Expected: misses {percent(item['expected_frr'])}, "
        f"{rate(item['expected_fa_per_hour'])} ({rates(*item['expected_fa_between'])}) false accepts per hour of talk."
    ]
    if item["advice"]:
        lines.append(f"  {item['advice']}")
    return "\n".join(lines)


class _Meter:
    """Guides through a lesson: what to do, a level meter, each take's verdict. To stderr where stdout is for JSON."""

    def __init__(self, session: Session) -> None:
        self._console: Any = None
        self._live: Any = None
        self._session = session

    def show(self, item: dict[str, Any], name: str = "") -> None:
        if self._console is None:
            from rich.console import Console
            from rich.live import Live

            self._console = Console(stderr=self._session.json, emoji=False)
            self._live = Live("", console=self._console, transient=True, refresh_per_second=10)
            self._live.start()
        if "said" in item:
            self._console.print(item["said"], markup=False)
        elif "take" in item and name:
            self._console.print(f"Say “{name}”  ({item['take']} of {item['of']})", markup=False)
        elif "level" in item:
            self._live.update(bar(item["level"], item["speech"]))
        elif "take" in item:
            pass  # the speaker asks
        elif item.get("heard"):
            doubt = f" (but {item['reason']})" if item["reason"] else ""
            self._console.print(f"  heard{doubt}", markup=False)
        else:
            self._console.print(f"  not taken: {item['reason']}", markup=False)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
