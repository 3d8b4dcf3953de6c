"""``speakerd config check``."""

import shutil
from collections.abc import Iterator
from difflib import get_close_matches

import click

from speakerd.cli.common import Session, common
from speakerd.config import ShellAction, where
from speakerd.errors import SpeakerdError
from speakerd.store.knowledge import same_name


@click.group()
def config() -> None:
    """The settings."""


@config.command()
@common
def check(session: Session) -> None:
    """Say what is wrong in the settings, with file and line; exit with 0 if nothing is."""
    from speakerd.audio.devices import DeviceError, find_device

    audio = session.config.audio
    if audio.device is not None:
        try:
            find_device(audio.device)
        except DeviceError as error:
            raise SpeakerdError(f"{where(session.config_path, 'audio.device')}: audio.device {error}") from error
    notes = list(_notes(session))
    faults = [f"{where(session.config_path, f'listening.requires.{name}')}: {words}" for name, words in _unmet(session)]
    if faults:
        raise SpeakerdError("\n".join(faults))
    session.say(
        {"good": True, "notes": notes}, "\n".join(["the settings are good", *(f"but {note}" for note in notes)])
    )


def _unmet(session: Session) -> list[tuple[str, str]]:
    from speakerd.listening.policy import unmet

    listening = session.config.listening
    if not listening.requires:
        return []
    return list(unmet(listening, [command.name for command in session.knowledge().commands]))


def _notes(session: Session) -> Iterator[str]:
    """What is not wrong as it stands, but does nothing: names of commands that nobody taught, absent programs."""
    outputs, place = session.config.outputs, session.config_path
    for name, action in outputs.actions.items():
        if isinstance(action, ShellAction) and shutil.which(action.shell[0]) is None:
            line = where(place, f"outputs.actions.{name}")
            yield f"{line}: '{action.shell[0]}' is not a program that can be run here"
    named = [name for name in outputs.on if name != "*"]
    if not named:
        return
    try:
        known = [command.name for command in session.knowledge().commands]
    except SpeakerdError as error:
        yield f"whether the commands in outputs.on have been taught could not be seen: {error}"
        return
    for name in named:
        if not any(same_name(name, command) for command in known):
            near = get_close_matches(name, known, 1)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            yield f"{where(place, 'outputs.on')}: no command '{name}' has been taught{meant}"
