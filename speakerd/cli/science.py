"""``speakerd bench`` and ``train``: what it costs, and how it came to be."""

from pathlib import Path

import click

from speakerd.cli.common import Session, common
from speakerd.errors import SpeakerdError

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--seconds", type=click.IntRange(10), default=60, help="Seconds of silence, and of speech.")
@click.option("--commands", type=click.IntRange(1), default=20, help="How many commands are known.")
@common
def bench(session: Session, seconds: int, commands: int) -> None:
    """What the whole daemon costs: CPU, memory, time to start, to learn, to answer."""
    from speakerd.evaluation.bench import measure

    _ = session.config  # better now than a daemon that does not start
    for item in measure(session.config_path, seconds, commands):
        session.say(item, f"{item['what']:<58} {item['value']:>10} {item['unit']}")


@click.command()
@click.option("--data", type=FOLDER, required=True, help="Recordings: words/train, speech/train, noise/train in it.")
@click.option("--teacher", type=FILE, required=True, help="speech_embedding.onnx.")
@click.option("--run", "folder", type=click.Path(path_type=Path), default=Path("runs/latest"), help="Log, checkpoint.")
@click.option("--models", type=click.Path(path_type=Path), help="Where the result goes; models, or models/small.")
@click.option("--begin", type=FILE, help="Begin with this: models/student.pt is the shipped one.")
@click.option("--epochs", type=click.IntRange(1), default=36)
@click.option("--synthetic", type=click.IntRange(0), default=0, help="Synthesise so many words and phrases beside.")
@click.option("--small", is_flag=True, help="A third of the multiplications, for the slowest boards.")
@click.option("--without", multiple=True, help="Go without a lever (to tell what it is good for): frames, rooms, ...")
@click.option(
    "--leave-out", multiple=True, metavar="CORPUS", help="Read all but this corpus of words or source of speech."
)
@click.option("--seed", type=int, default=0)
@common
def train(
    session: Session, data: Path, teacher: Path, folder: Path, models: Path | None, begin: Path | None, epochs: int,
    synthetic: int, small: bool, without: tuple[str, ...], leave_out: tuple[str, ...], seed: int,
) -> None:  # fmt: skip
    """Train the encoder (extra `train`). Started again with the same --run, it goes on from its checkpoint."""
    try:
        from speakerd.training.data import read_corpora, read_synthetic
        from speakerd.training.model import LARGE, SMALL
        from speakerd.training.run import LEVERS, Recipe, Run
        from speakerd.training.synthetic import make
    except ImportError as error:
        raise SpeakerdError(f"training needs torch, onnx, wordfreq ({error}): script/setup train") from error
    from speakerd.cli.evaluate import counted

    if unknown := set(without) - set(LEVERS):
        raise click.BadParameter(f"there is no {', '.join(sorted(unknown))} to go without, but {', '.join(LEVERS)}")
    recipe = Recipe(epochs=epochs, seed=seed, channels=SMALL if small else LARGE, without=frozenset(without))
    click.echo(f"reading {data}", err=True)
    try:
        corpora = read_corpora(data, leave_out)
    except FileNotFoundError as error:
        raise SpeakerdError(str(error)) from error
    if lacks := corpora.lacks():  # better now than after days of training
        raise SpeakerdError(f"{data}: too little to train with. More is needed of: {'; '.join(lacks)}")
    if synthetic:
        with counted("synthesising") as told:
            for _ in make(data / "synthetic/train", synthetic, seed):
                told("")
        corpora.synthetic = read_synthetic(data)
    models = models or Path("models/small" if small else "models")
    run = Run(corpora, teacher, folder, recipe, begin)
    run.train()
    run.ship(models)
    session.say({"models": str(models)}, f"encoder.onnx, pool.onnx, adapt.onnx and world.npz are in {models}")
