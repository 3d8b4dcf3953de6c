"""``speakerd eval stream``: how well it works on long streams, and whether it keeps what it promises."""

from pathlib import Path

import click
import msgspec

from speakerd.cli.common import NewFile, Session, common

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
LAYOUT = click.Choice(["household", "picovoice"])


@click.command("stream")
@click.option("--data", type=FOLDER, required=True, help="Words in Speech Commands layout, or several such.")
@click.option("--speech", type=FOLDER, multiple=True, help="Running speech that holds no commands.")
@click.option("--noise", type=FOLDER, multiple=True, help="Recordings of noise, and of music.")
@click.option("--layout", type=LAYOUT, default="household", help="How streams are laid out.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=2.0, help="Of each corpus, or each word.")
@click.option("--shots", type=click.IntRange(1), default=3, help="Examples a command (K).")
@click.option("--ways", type=click.IntRange(1), help="So many of the words of a corpus are commands in each stream.")
@click.option("--support", type=click.Choice(["cross", "same", "any"]), default="cross", help="Who teaches.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Other streams.")
@click.option("--write", "to", type=click.Path(path_type=Path, file_okay=False), help="Keep the streams in a folder.")
@click.option("--read", "given", type=FOLDER, help="Hear the streams of a folder instead.")
@click.option("--markdown", type=NewFile(), help="Write the tables to a file.")
@common
def stream(
    session: Session, data: Path, speech: tuple[Path, ...], noise: tuple[Path, ...], layout: str, hours: float,
    shots: int, ways: int | None, support: str, seed: int, to: Path | None, given: Path | None, markdown: Path | None,
) -> None:  # fmt: skip
    """Teach words of a corpus from K clips each, then listen to hours of rooms in which others say them.

    Misses are told at 0.1, 0.5 and 1 false accepts an hour, and at the thresholds that were set at enrolment; promised
    false accepts beside those observed. Streams of ten minutes are laid together from --data, --speech and --noise, or
    read from a folder.
    """
    from speakerd.cli.evaluate import counted, publish
    from speakerd.evaluation import streams
    from speakerd.evaluation.episodes import Support
    from speakerd.evaluation.layouts import LAYOUTS, Surroundings, tasks, teachers
    from speakerd.evaluation.stream_score import Heard, Meter
    from speakerd.evaluation.stream_tables import Line, document
    from speakerd.evaluation.stream_trial import listen

    if given and (speech or noise or to):
        raise click.UsageError("--read takes the streams as they are: no --speech, no --noise and no --write with it")
    drawn = tasks(data, shots, ways, Support(support))
    if given:
        made = {given.resolve().name: streams.read(given, teachers(drawn, seed))}
        different = None
    else:
        around = Surroundings.below(speech, noise)
        made = {task.corpus: LAYOUTS[layout](task, around, hours, seed) for task in drawn}
        different = around.hours
    lines = []
    with counted("listening to") as progress:
        for corpus, several in made.items():
            heard: list[Heard] = []
            for one in several:
                progress(one.name)
                tried = streams.write(to, one) if to else one
                heard.append(listen(session.mind, session.config, tried))
            lines.append(Line.of(layout, corpus, Meter(heard, seed), different))
            session.say(msgspec.to_builtins(lines[-1]))
    publish(session, "\n".join(document(lines)), markdown)
