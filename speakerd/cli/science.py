"""``speakerd eval``, ``bench``, ``train``: how well it works, what it costs, how it came to be."""

import logging
from pathlib import Path
from typing import Any

import click
import msgspec

from speakerd.cli.common import Session, common
from speakerd.errors import SpeakerdError

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group("eval")
def evaluate() -> None:
    """The published protocols, on your own recordings or on corpora."""


@evaluate.command("few-shot")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--negatives", type=FOLDER, multiple=True, help="Further words that are not commands, same layout.")
@click.option("--speech", type=FOLDER, multiple=True, help="Running speech that holds no commands.")
@click.option("--shots", type=click.IntRange(1), multiple=True, default=(3,), help="Examples a command (K).")
@click.option("--draws", type=click.IntRange(2), default=20, help="How often support clips are drawn.")
@common
def few_shot(
    session: Session, data: Path, negatives: tuple[Path, ...], speech: tuple[Path, ...], shots: tuple[int, ...],
    draws: int,
) -> None:  # fmt: skip
    """Teach the words of a corpus from K clips of different speakers, then try all others.

    Of several corpora, each has the others as negatives.
    """
    import numpy as np

    from speakerd.evaluation.few_shot import figures, hear_speech, hear_words, is_corpus, table

    mind, budget = session.mind, session.config.listening
    folders = [data] if is_corpus(data) else [path for path in sorted(data.iterdir()) if is_corpus(path)]
    if not folders:
        raise SpeakerdError(f"{data}: no recordings like WORD/SPEAKER_nohash_0.wav here")
    with _counted("hearing") as heard:
        corpora = [hear_words(mind.encoder, mind.world, folder, heard) for folder in folders]
        others = [hear_words(mind.encoder, mind.world, folder, heard) for folder in negatives]
        talk = [hear_speech(mind.encoder, mind.world, folder, heard) for folder in speech]
    lines = []
    for corpus in corpora:
        apart = [other.vectors[other.cut] for other in corpora + others if other is not corpus] + talk
        if not sum(map(len, apart)):
            raise SpeakerdError("nothing to reject: give --negatives or --speech, or several corpora below --data")
        for k in shots:
            try:
                lines.append(figures(mind.world, corpus, np.concatenate(apart), k, draws, budget))
            except SpeakerdError as error:
                logging.warning("left out: %s", error)
                continue
            session.say(msgspec.to_builtins(lines[-1]))
    if not lines:
        raise SpeakerdError(f"{data}: nothing could be measured")
    if not session.json:
        print("\n".join(table(lines)))


@click.command()
@click.option("--seconds", type=click.IntRange(10), default=60, help="Seconds of silence, and of speech.")
@click.option("--commands", type=click.IntRange(1), default=20, help="How many commands are known.")
@common
def bench(session: Session, seconds: int, commands: int) -> None:
    """What the whole daemon costs: CPU, memory, time to start, to learn, to answer."""
    from speakerd.evaluation.bench import measure

    for item in measure(session.config_path, seconds, commands):
        session.say(item, f"{item['what']:<58} {item['value']:>10} {item['unit']}")


@click.command()
@click.option("--data", type=FOLDER, required=True, help="Recordings: words/train, speech/train, noise/train in it.")
@click.option("--teacher", type=click.Path(path_type=Path, exists=True), required=True, help="speech_embedding.onnx.")
@click.option("--run", "folder", type=click.Path(path_type=Path), default=Path("runs/latest"), help="Log, checkpoint.")
@click.option("--models", type=click.Path(path_type=Path), default=Path("models"), help="Where the result goes.")
@click.option("--epochs", type=click.IntRange(1), default=72)
@click.option("--seed", type=int, default=0)
@common
def train(session: Session, data: Path, teacher: Path, folder: Path, models: Path, epochs: int, seed: int) -> None:
    """Train the encoder (extra `train`). Started again with the same --run, it goes on from its checkpoint."""
    try:
        from speakerd.training.train import Recipe, Run
    except ImportError as error:
        raise SpeakerdError(f"training needs torch and onnx ({error}): pip install 'speakerd[train]'") from error
    try:
        run = Run(data, teacher, folder, Recipe(epochs=epochs, seed=seed))
    except FileNotFoundError as error:
        raise SpeakerdError(str(error)) from error
    run.train()
    run.ship(models)
    session.say({"models": str(models)}, f"encoder.onnx, pool.onnx and world.npz are in {models}")


def _counted(what: str) -> Any:
    """A context that gives a function to call for every step; shows them on stderr."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    @contextmanager
    def counting() -> Any:
        columns = TextColumn(f"{what} {{task.description}}: {{task.completed}} files"), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            yield lambda name: progress.update(task, advance=1, description=name)

    return counting()
