"""``speakerd why``, ``wrong``, ``right``, ``example``: what was heard, what decided, and saying that it was wrong."""

import base64
import io
import sys
import time
from pathlib import Path
from typing import Any

import click

from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.files import from_flac
from speakerd.cli.common import Session, common, writing
from speakerd.control.messages import Right, Sound, Why, Wrong


@click.command()
@click.argument("id", required=False)
@click.option("--all", "everything", is_flag=True, help="A line for everything of the last day.")
@common
def why(session: Session, id: str | None, everything: bool) -> None:
    """Why a command was heard, or was not: the last one, or ID of the last day."""
    for item in session.ask(Why(id, everything)):
        session.say(item, _line(item) if everything else _explained(item))


@click.command()
@click.argument("id", required=False)
@click.option("--meant", metavar="NAME", help="The command that was said; it becomes an example of that.")
@common
def wrong(session: Session, id: str | None, meant: str | None) -> None:
    """That was not said: the last detection (of 30 s), or ID (`why --all` lists them). It is not taken for it again."""
    for item in session.ask(Wrong(id, meant)):
        session.say(item, f"{item['change']}. `speakerd undo` takes it back")


@click.command()
@click.argument("id", required=False)
@common
def right(session: Session, id: str | None) -> None:
    """That was said: the last detection (of 30 s), or ID, also of a near miss; it becomes an example."""
    for item in session.ask(Right(id)):
        session.say(item, f"{item['change']}. `speakerd undo` takes it back")


@click.command()
@click.argument("number", type=click.IntRange(0, 2**63 - 1))
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@common
def example(session: Session, number: int, file: Path | None) -> None:
    """The sound of the kept example NUMBER, as WAV: into FILE, or onto stdout, as in: speakerd example 3 | aplay"""
    import soundfile

    (item,) = session.ask(Sound(number))
    wav = io.BytesIO()
    soundfile.write(wav, from_flac(base64.b64decode(item["flac"])), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    if file is None:
        sys.stdout.buffer.write(wav.getvalue())
    else:
        with writing(file):
            file.write_bytes(wav.getvalue())
        session.say({"example": number, "file": str(file)}, f"{file}: example {number}")


def _line(item: dict[str, Any]) -> str:
    when = time.strftime("%H:%M:%S", time.localtime(item["at"]))
    mark = f"  ({item['mark']})" if item["mark"] else ""
    if item["mark"] == "offered":
        mark = "  (said again and heard then: `speakerd right` with its id makes it an example)"
    return f"{item['id']}  {when}  {item['command']}  {item['rule']}{mark}"


def _explained(item: dict[str, Any]) -> str:
    who = f", spoken by {item['speaker']}" if item["speaker"] else ""
    lines = [
        f"{item['command']}{who}, at {time.strftime('%H:%M:%S', time.localtime(item['at']))} [{item['id']}]",
        f"  {item['rule']}",
        f"  speech at {item['level_dbfs']:.0f} dBFS, {item['level_dbfs'] - item['room_dbfs']:.0f} dB above the room",
    ]
    if item["mark"]:
        lines.append(f"  since then: {item['mark']}")
    others = [score for score in item["scores"] if score["command"] != item["command"]][:3]
    if others:
        told = (f"{o['command']} {o['score']:.2f} (of {o['threshold']:.2f})" for o in others)
        lines.append("  other commands: " + ", ".join(told))
    if item["nearest"]:
        lines.append("  the most similar examples (1 is the same; to hear one: speakerd example NUMBER | aplay):")
    for near in item["nearest"]:
        by = f" by {near['speaker']}" if near["speaker"] else ""
        lines.append(f"    {near['likeness']:.2f}  {near['command']}, example {near['example']}{by} ({near['source']})")
    return "\n".join(lines)
