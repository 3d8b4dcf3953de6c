"""A household's commands carried out of the house as a bundle, and those of another one taken in."""

from collections.abc import Sequence

from speakerd.learning.derivation import UNTAUGHT
from speakerd.learning.household import EnrolmentError, Household
from speakerd.store.bundle import Bundle, Taught
from speakerd.store.knowledge import Command, Example, Knowledge, same_name


def packed(household: Household) -> Bundle:
    """All that was taught, to be carried elsewhere.

    Raises:
        EnrolmentError: that is nothing.
    """
    commands, sounding = household.knowledge.commands, household.examples.with_sound
    if not commands:
        raise EnrolmentError("nothing has been taught yet, so there is nothing to carry elsewhere")
    taught = [Taught(c.name, c.action, sounding(c.examples), sounding(c.negatives)) for c in commands]
    return Bundle(household.encoder.id, tuple(taught))


def take_in(household: Household, bundle: Bundle) -> tuple[list[Command], list[str]]:
    """Learn the commands of a bundle, in one version; of the same name, they take the place of what was known.

    Returns:
        The commands, and the names of those that must be taught again: another encoder made their embeddings, and
        their audio was not kept.

    Raises:
        EnrolmentError: all of them must.
    """
    new: list[Example] = []

    def members(examples: Sequence[Example]) -> tuple[int, ...]:
        here = [household.examples.taken_in(example, bundle.encoder) for example in examples]
        usable = [example for example in here if example is not None]
        new.extend(usable)
        return tuple(range(len(usable) - len(new) - 1, -len(new) - 1, -1))

    taught = [
        Command(c.name, c.action, 0, 0, 0, False, UNTAUGHT, (), members(c.examples), negatives=members(c.negatives))
        for c in bundle.commands
    ]
    lost = [command.name for command in taught if not command.examples]
    taught = [command for command in taught if command.examples]
    if not taught:
        raise EnrolmentError(
            "these commands are of another encoder, and their audio was not kept: teach them again here"
        )
    names = [command.name for command in taught]

    def update(now: Knowledge) -> list[Command]:
        return [c for c in now.commands if not any(same_name(c.name, name) for name in names)] + taught

    after = household.change(f"imported: {', '.join(names)}", update, new)
    return [household.known(name, after) for name in names], lost
