"""``speakerd encoder``: prepare an encoder of another make."""

import logging
from pathlib import Path

import click

from speakerd.cli.common import Session, common
from speakerd.errors import SpeakerdError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Recordings, laid out as for `train`.",
)
@click.option("--name", help="What to call it, where its metadata do not say; then give --window and --hop too.")
@click.option("--window", type=click.IntRange(1), help="Samples that one frame of it is made of.")
@click.option("--hop", type=click.IntRange(1), help="Samples from one frame of it to the next.")
@common
def encoder(
    session: Session, file: Path, data: Path, name: str | None, window: int | None, hop: int | None
) -> None:  # fmt: skip
    """Make FILE, an ONNX model of another make, usable as recognition.encoder (extra `train`).

    Writes what --name, --window and --hop say into its metadata, and beside it FILE's head and world: how commands are
    learned with it, and what strangers score.
    """
    try:
        from speakerd.training.foreign import describe, make_world
    except ImportError as error:
        raise SpeakerdError(f"this needs torch and onnx ({error}): script/setup train") from error
    if name and window and hop:
        describe(file, name, window, hop)
    elif name or window or hop:
        raise click.UsageError("give all of --name, --window and --hop, or none where the file has them")
    made = make_world(file, data, logging.info)
    session.say(
        {"encoder": str(file), "world": str(made)},
        f"{made} is made. Now set recognition.encoder to {file.absolute()} in the settings",
    )
