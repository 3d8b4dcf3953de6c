"""``speakerd eval speakers``: how well it knows who is speaking."""

from pathlib import Path

import click
import msgspec

from speakerd.cli.common import Session, common

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("speakers")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--people", type=click.IntRange(2), default=3, help="How many people teach a command.")
@click.option("--shots", type=click.IntRange(2), default=3, help="Examples each.")
@click.option("--draws", type=click.IntRange(2), default=100, help="How often people and examples are drawn.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Other draws.")
@common
def speakers(session: Session, data: Path, people: int, shots: int, draws: int, seed: int) -> None:
    """Let some people teach a word, then ask who says it: they themselves, and strangers."""
    from speakerd.cli.evaluate import counted
    from speakerd.evaluation.speakers import identified

    if not session.json:
        print("| corpus | people | K | utterances, strangers' | nearest is right | named right | named wrong "
              "| strangers named | AUROC |\n|" + " --- |" * 9)  # fmt: skip
    with counted("hearing") as heard:
        for line in identified(session.mind, data, people, shots, draws, seed, session.config.gate, heard):
            cells = [
                line.corpus, line.people, line.shots, f"{line.utterances}, {line.strangers}", line.closed_set,
                line.right, line.wrong, line.strangers_named, line.auroc,
            ]  # fmt: skip
            session.say(msgspec.to_builtins(line), "| " + " | ".join(map(str, cells)) + " |")
