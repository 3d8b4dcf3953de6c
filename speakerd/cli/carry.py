"""``speakerd export`` and ``import``: a household's commands in one file."""

import base64
import os
from pathlib import Path

import click

from speakerd.cli.common import Session, common, writing
from speakerd.control.messages import Export, Import
from speakerd.errors import SpeakerdError
from speakerd.store.bundle import LARGEST, BundleError

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=FILE)
@common
def export(session: Session, file: Path) -> None:
    """Write all commands, with the voices that taught them, to FILE: a copy, or for another speaker."""
    bundle = b"".join(base64.b64decode(item["bundle"]) for item in session.ask(Export()))
    half = file.with_name(file.name + ".part")
    with writing(file):
        # Voices are for their owner alone.
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(bundle)
        half.replace(file)
    session.say({"file": str(file), "bytes": len(bundle)}, f"{file}: written, {len(bundle) / 1e6:.1f} MB")


@click.command("import")
@click.argument("file", type=FILE)
@common
def import_(session: Session, file: Path) -> None:
    """Learn the commands in FILE, which `export` wrote; `undo` takes that back. A known one is replaced."""
    try:
        if file.stat().st_size > LARGEST:
            raise BundleError(f"a bundle has at most {LARGEST >> 20} MB")
        request = Import(file.read_bytes())
        items = list(session.ask(request))
    except OSError as error:
        raise SpeakerdError(f"{file} cannot be read: {error.strerror}") from error
    except SpeakerdError as error:
        raise SpeakerdError(f"{file}: {error}") from error
    for item in items:
        if "teach_again" in item:
            words = f"{item['teach_again']}: of another encoder, and without audio: teach it again"
        else:
            words = f"{item['command']}: learned, {item['examples']} example{'s' if item['examples'] > 1 else ''}"
        session.say(item, words)
