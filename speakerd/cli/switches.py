"""``speakerd mute``, ``unmute``, ``playing``."""

import click

from speakerd.cli.common import Session, common
from speakerd.control.messages import LONGEST_MUTE, Mute, Playing, Unmute
from speakerd.control.socket import NoDaemonError


@click.command()
@click.option("--for", "minutes", type=click.IntRange(1, LONGEST_MUTE), metavar="MINUTES",
              help="It ends by itself after so long.")  # fmt: skip
@common
def mute(session: Session, minutes: int | None) -> None:
    """Listen to nothing any more, until `unmute`; a restart does not end it."""
    for item in session.ask(Mute(minutes)):
        session.say(item, f"{item['muted']}: nothing is listened to")


@click.command()
@common
def unmute(session: Session) -> None:
    """Listen again."""
    for item in session.ask(Unmute()):
        session.say(item, "no longer muted")


@click.command()
@click.argument("what", metavar="on|off", type=click.Choice(["on", "off"]))
@click.option("--for", "seconds", type=click.IntRange(1, 86400), metavar="SECONDS",
              help="It is off again after so long, should nobody say so.")  # fmt: skip
@common
def playing(session: Session, what: str, seconds: int | None) -> None:
    """Tell the daemon that the speaker itself plays, or no longer does: commands must be surer meanwhile."""
    if session.daemon is None:
        raise NoDaemonError("no speakerd is running that could be told")
    for item in session.ask(Playing(what == "on", seconds)):
        session.say(item, "playing: commands must be surer" if item["playing"] else "not playing")
