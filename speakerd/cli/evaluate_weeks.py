"""``speakerd eval weeks``: what learning by itself gains, and whether it can be poisoned."""

from pathlib import Path

import click
import msgspec

from speakerd.cli.common import NewFile, Session, common


@click.command("weeks")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Words in Speech Commands layout, or several such.",
)
@click.option("--weeks", "many", type=click.IntRange(1), default=3, help="How long it goes on.")
@click.option("--persons", type=click.IntRange(1), default=8, help="Households, at most.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Other households and other days.")
@click.option("--markdown", type=NewFile(), help="Write the table to a file.")
@common
def weeks(session: Session, data: Path, many: int, persons: int, seed: int, markdown: Path | None) -> None:
    """Live through weeks in households whose voices and rooms change, with and without learning by itself, and with
    somebody who tries to teach them wrongly."""
    from speakerd.cli.evaluate import counted, publish
    from speakerd.evaluation.material import Material
    from speakerd.evaluation.weeks import Arm, Line, course, document, people

    found = people(Material.of(data, [], [], lambda _: None, session.config.gate), persons, seed)
    lines = []
    with counted("living") as progress:
        for arm in Arm:
            courses = []
            for number, person in enumerate(found):
                progress(person.name)
                courses.append(course(session.mind, session.config, person, arm, 7 * many, seed + number))
            lines.append(Line.of(arm, 7 * many, found, courses))
            session.say(msgspec.to_builtins(lines[-1]))
    publish(session, "\n".join(document(lines)), markdown)
