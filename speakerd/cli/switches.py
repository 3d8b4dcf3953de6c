"""``speakerd mute`` and ``unmute``."""

import click

from speakerd.cli.common import Session, common
from speakerd.control.messages import LONGEST_MUTE, Mute, Unmute


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
