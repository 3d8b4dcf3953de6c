"""``speakerd config check``."""

import click

from speakerd.cli.common import Session, common
from speakerd.config import where
from speakerd.errors import SpeakerdError


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
    session.say({"good": True}, "the settings are good")
