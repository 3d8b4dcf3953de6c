"""``speakerd eval``: how well it works, by the published protocols, on your own recordings or on corpora."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from speakerd.cli.common import NewFile, Session, common, writing
from speakerd.cli.evaluate_gate import gate
from speakerd.cli.evaluate_speakers import speakers
from speakerd.cli.evaluate_stream import stream
from speakerd.cli.evaluate_weeks import weeks

if TYPE_CHECKING:
    from speakerd.evaluation.sounds import Progress

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
SUPPORT = click.Choice(["cross", "same", "any"])
PROTOCOL = click.Choice(["rusci", "gok", "splitgsc", "parnami", "parnami-open"])


@click.group("eval")
def evaluate() -> None:
    """The published protocols, on your own recordings or on corpora."""


evaluate.add_command(stream)
evaluate.add_command(speakers)
evaluate.add_command(weeks)
evaluate.add_command(gate)


@evaluate.command("few-shot")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--negatives", type=FOLDER, multiple=True, help="Further words that are not commands, same layout.")
@click.option("--speech", type=FOLDER, multiple=True, help="Running speech that holds no commands.")
@click.option("--protocol", type=PROTOCOL, help="A paper's, on Speech Commands v2.")
@click.option("--shots", type=click.IntRange(1), multiple=True, help="Examples a command (K); 3, or the paper's.")
@click.option("--ways", type=click.IntRange(1), help="So many of the words in each draw; the others are negatives.")
@click.option("--support", type=SUPPORT, default="cross", help="Who teaches: others than are asked, the same, any.")
@click.option("--noise", type=FOLDER, multiple=True, help="Recordings of noise to lay over the clips.")
@click.option("--snr", type=float, multiple=True, help="How far the speech is above the noise, in dB.")
@click.option("--level", type=float, multiple=True, help="Ask also so much louder, in dB: -20 is a whisper from afar.")
@click.option(
    "--room",
    "rooms",
    multiple=True,
    metavar="ROOM|DIR",
    help="Ask also in a room: kitchen, across-the-room, or impulse responses (a file or folder).",
)
@click.option("--noisy-support", is_flag=True, help="Teach in noise (at that level, in that room), too.")
@click.option("--draws", type=click.IntRange(2), help="How often support clips are drawn; 100, or the paper's.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Other draws and other noise.")
@click.option("--controls", is_flag=True, help="Also other ways of recognising, on the same draws.")
@click.option("--personal", is_flag=True, help="Also each speaker: taught by themself, and by others.")
@click.option("--language", multiple=True, metavar="CORPUS=LANGUAGE", help="Also corpora of a language together.")
@click.option("--episodes", type=NewFile(), help="Write the draws to a file, for other systems.")
@click.option("--markdown", type=NewFile(), help="Write the tables to a file.")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="A folder for pictures.")
@common
def few_shot(
    session: Session, data: Path, negatives: tuple[Path, ...], speech: tuple[Path, ...], protocol: str | None,
    shots: tuple[int, ...], ways: int | None, support: str, noise: tuple[Path, ...], snr: tuple[float, ...],
    level: tuple[float, ...], rooms: tuple[str, ...], noisy_support: bool, draws: int | None, seed: int, controls: bool,
    personal: bool, language: tuple[str, ...], episodes: Path | None, markdown: Path | None, plots: Path | None,
) -> None:  # fmt: skip
    """Teach words of a corpus from K clips each, then try other clips, other words, and speech.

    Of several corpora, each has the others as negatives. Clips are heard as they are, with --noise also at each --snr,
    and at each --level and in each --room. With --protocol, --data is Speech Commands v2, and words, splits, episodes
    and scoring are the paper's.
    """
    from speakerd.evaluation.conditions import CLEAN, Changed, Noise
    from speakerd.evaluation.controls import CONTROLS
    from speakerd.evaluation.episodes import Support, write
    from speakerd.evaluation.material import Conditions, Material
    from speakerd.evaluation.protocols import PROTOCOLS
    from speakerd.evaluation.rooms import room, softer
    from speakerd.evaluation.sounds import recordings
    from speakerd.evaluation.study import Plan, Study
    from speakerd.evaluation.tables import document

    if bool(noise) != bool(snr):
        raise click.UsageError("--noise and --snr belong together")
    if protocol and (negatives or speech or personal or language or support != "cross"):
        raise click.UsageError("--protocol says itself who teaches, and what is rejected")
    paper = PROTOCOLS[protocol] if protocol else None
    laid_over = Noise([path for folder in noise for path in recordings(folder)], seed) if noise else None
    changes = [Changed(f"{gain:+g} dB", softer(gain)) for gain in level] + [Changed(name, room(name)) for name in rooms]
    plan = Plan(
        Conditions((CLEAN, *dict.fromkeys(snr), *dict.fromkeys(changes)), laid_over, noisy_support),
        shots or (paper.shots if paper else (3,)),
        draws or (paper.draws if paper else 100),
        seed, ways, Support(support), CONTROLS if controls else {}, personal, dict(map(_pair, language)),
    )  # fmt: skip
    study = Study(plan, lambda line: session.say(msgspec.to_builtins(line)))
    with counted("hearing") as heard:
        if paper:
            study.paper(session.mind, session.config, paper, data, heard)
        else:
            material = Material.of(data, negatives, speech, heard, session.config.gate)
            study.corpora(session.mind, session.config, material, heard)
    if episodes is not None:
        write(episodes, study.sounds, study.episodes)
    if plots is not None:
        study.plot(plots)
    publish(session, "\n".join(document(study)), markdown)


def _pair(text: str) -> tuple[str, str]:
    corpus, equals, language = text.partition("=")
    if not (corpus and equals and language):
        raise click.BadParameter(f"{text!r} is not like gsc=English", param_hint="--language")
    return corpus, language


@contextmanager
def counted(what: str) -> "Iterator[Progress]":
    """Gives a function to call for every step; shows them on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn(f"{what} {{task.description}}: {{task.completed}} files"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda name: bar.update(task, advance=1, description=name)


def publish(session: Session, text: str, markdown: Path | None) -> None:
    """Tables, onto the terminal where no program reads along, and into a file if one is given.

    Raises:
        SpeakerdError: the file cannot be written.
    """
    if not session.json:
        print(text)
    if markdown is not None:
        with writing(markdown):
            markdown.write_text(text + "\n", encoding="utf-8")
