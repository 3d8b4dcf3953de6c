"""``speakerd eval``: how well it works, by the published protocols, on your own recordings or on corpora."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from speakerd.cli.common import Session, common
from speakerd.errors import SpeakerdError
from speakerd.evaluation.sounds import Progress

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
SUPPORT = click.Choice(["cross", "same", "any"])


@click.group("eval")
def evaluate() -> None:
    """The published protocols, on your own recordings or on corpora."""


@evaluate.command("few-shot")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--negatives", type=FOLDER, multiple=True, help="Further words that are not commands, same layout.")
@click.option("--speech", type=FOLDER, multiple=True, help="Running speech that holds no commands.")
@click.option("--shots", type=click.IntRange(1), multiple=True, default=(3,), help="Examples a command (K).")
@click.option("--ways", type=click.IntRange(1), help="So many of the words in each draw; the others are negatives.")
@click.option(
    "--support", type=SUPPORT, default="cross", help="Who teaches: people who are not asked, who is, anybody."
)
@click.option("--noise", type=FOLDER, multiple=True, help="Recordings of noise to lay over the clips.")
@click.option("--snr", type=float, multiple=True, help="How far the speech is above the noise, in dB.")
@click.option("--noisy-support", is_flag=True, help="Teach in noise, too.")
@click.option("--draws", type=click.IntRange(2), default=100, help="How often support clips are drawn.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Other draws and other noise.")
@click.option("--controls", is_flag=True, help="Also other ways of recognising, on the same draws.")
@click.option("--episodes", type=FILE, help="Write the draws to a file, for other systems.")
@click.option("--markdown", type=FILE, help="Write the tables to a file.")
@common
def few_shot(
    session: Session, data: Path, negatives: tuple[Path, ...], speech: tuple[Path, ...], shots: tuple[int, ...],
    ways: int | None, support: str, noise: tuple[Path, ...], snr: tuple[float, ...], noisy_support: bool, draws: int,
    seed: int, controls: bool, episodes: Path | None, markdown: Path | None,
) -> None:  # fmt: skip
    """Teach words of a corpus from K clips each, then try other clips, other words, and speech.

    Of several corpora, each has the others as negatives. Clips are heard as they are, and with --noise also at each
    --snr.
    """
    from speakerd.evaluation.conditions import CLEAN, Noise
    from speakerd.evaluation.controls import CONTROLS
    from speakerd.evaluation.episodes import Episode, Support, Task, write
    from speakerd.evaluation.sounds import recordings
    from speakerd.evaluation.study import Conditions, Ear, Material, tried
    from speakerd.evaluation.tables import gains_table, main_table

    if bool(noise) != bool(snr):
        raise click.UsageError("--noise and --snr belong together")
    laid_over = Noise([path for folder in noise for path in recordings(folder)], seed) if noise else None
    conditions = Conditions((CLEAN, *dict.fromkeys(snr)), laid_over, noisy_support)
    with counted("hearing") as heard:
        material = Material.of(data, negatives, speech, heard, session.config.gate)
        ear = Ear(session.mind, material.sounds, conditions, session.config, heard)
    lines, drawn = [], list[Episode]()
    for corpus, rows in material.corpora.items():
        strange = material.strange_to(corpus)
        if not len(strange) and ways is None:
            raise SpeakerdError("nothing to reject: give --negatives or --speech, or several corpora below --data")
        for k in shots:
            task = Task(material.sounds, corpus, rows, ear.usable, strange, k, ways, Support(support))
            try:
                several = list(task.episodes(draws, seed))
            except SpeakerdError as error:
                logging.warning("left out: %s", error)
                continue
            drawn += several
            for _, result in tried(ear, several, CONTROLS if controls else {}, support, k):
                lines += result.lines
                for line in result.lines:
                    session.say(msgspec.to_builtins(line))
    if not lines:
        raise SpeakerdError(f"{data}: nothing could be measured")
    if episodes is not None:
        write(episodes, material.sounds, drawn)
    text = "\n".join([*main_table(lines), *(["", *gains_table(lines)] if controls else [])])
    if markdown is not None:
        markdown.write_text(text + "\n", encoding="utf-8")
    if not session.json:
        print(text)


@contextmanager
def counted(what: str) -> Iterator[Progress]:
    """Gives a function to call for every step; shows them on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn(f"{what} {{task.description}}: {{task.completed}} files"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda name: bar.update(task, advance=1, description=name)
