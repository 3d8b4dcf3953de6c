"""A command in the making: which of the takes so far belong together, and what command they would make."""

from dataclasses import dataclass
from itertools import combinations

from speakerd.learning.household import Household
from speakerd.learning.takes import Take
from speakerd.recognition.head import Matrix
from speakerd.store.knowledge import Command

# How far below the usual score, in deviations, a take may be as the command of another one and still be the same words:
# of 240 pairs of takes by one person the worst is 0.6, of 290 pairs of different words 97 % are further.
ALIKE = 1.5


@dataclass(frozen=True)
class _Heard:
    take: Take
    vectors: Matrix


class Draft:
    """Takes are added as they come; nothing of it is stored."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._heard: list[_Heard] = []
        self._alike: set[tuple[int, int]] = set()
        self._together: tuple[int, ...] = ()

    @property
    def takes(self) -> list[Take]:
        """The largest set of takes of which each is like every other; of two as large, the older."""
        return [self._heard[i].take for i in self._together]

    def add(self, take: Take, vectors: Matrix) -> bool:
        """Whether an embedded take belongs to the others; one that does not may turn out later to be the right one."""
        self._heard.append(_Heard(take, vectors))
        last = len(self._heard) - 1
        self._alike |= {(i, last) for i in range(last) if self._same_words(self._heard[i].vectors, vectors)}
        self._together = self._largest()
        return last in self._together

    def like(self, vectors: Matrix) -> bool:
        """Whether an embedded utterance is the same words."""
        return self._household.derivation.likeness(vectors, [self._heard[i].vectors for i in self._together]) > -ALIKE

    def command(self) -> tuple[Command, list[str]]:
        """What the takes would make, and the names of the commands that it is close to."""
        return self._household.consider([self._heard[i].vectors for i in self._together])

    def _same_words(self, one: Matrix, other: Matrix) -> bool:
        return (
            min(self._household.derivation.likeness(one, [other]), self._household.derivation.likeness(other, [one]))
            > -ALIKE
        )

    def _largest(self) -> tuple[int, ...]:
        everything = range(len(self._heard))
        return next(
            group
            for size in range(len(self._heard), 0, -1)
            for group in combinations(everything, size)
            if self._alike.issuperset(combinations(group, 2))
        )
