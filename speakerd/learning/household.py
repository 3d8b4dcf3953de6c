"""The household's commands: everything that changes them goes through here, and each change is one version."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from speakerd.audio.files import from_flac, to_flac
from speakerd.config import Config
from speakerd.errors import SpeakerdError
from speakerd.events import Embedding, Match, Samples, Utterance
from speakerd.learning.derivation import UNTAUGHT, Derivation
from speakerd.learning.enlarge import enlarge
from speakerd.learning.map import drawn
from speakerd.learning.takes import Take
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.scoring import Matcher, learned
from speakerd.recognition.voices import Voices
from speakerd.recognition.world import World
from speakerd.store.bundle import Bundle, Taught
from speakerd.store.knowledge import Command, Example, Knowledge, Version, same_name, tidy_name
from speakerd.store.schema import StoreError
from speakerd.store.store import Store

log = logging.getLogger(__name__)

MOST_EXAMPLES = 40
# Deviations below the usual score from which an example is unlike the others: of people's recordings 3 % of 612 good
# ones are, and one or more in 97 % of 60 times three that are different words.
UNLIKE = 2.25
# After a correction at most this much more of a command is expected to be missed than `listening.highest_frr` or, where
# that was more, than before; and none of its examples may be lost.
WORSE = 0.15
# Cosine of two embeddings above which they are of one recording: two takes never come so near.
SAME = 0.9995


class EnrolmentError(SpeakerdError):
    """Nothing was learned; the message says why."""


@dataclass(frozen=True)
class Near:
    """An example and how near it is: the cosine in the space that scores live in, at most 1."""

    command: str
    example: Example
    likeness: float


class Household:
    """Teach, forget, rename, undo. Safe to use from several threads; ``knowledge`` is replaced, never changed."""

    def __init__(self, store: Store, encoder: Encoder, world: World, config: Config) -> None:
        self._store, self._encoder, self._world = store, encoder, world
        self.config = config
        self._derivation = Derivation(store, encoder, world)
        self._lock = threading.Lock()
        self.changed: Callable[[], None] = lambda: None  # called after every change, before whoever made it is told
        self.knowledge: Knowledge = self._of_this_encoder(store.knowledge())

    def prune(self) -> None:
        """Let go of what was forgotten more than 30 days ago."""
        self._store.prune()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
            self.changed()

    def enroll(
        self, name: str, takes: Sequence[Take], replace: bool = False, action: str | None = None, who: str | None = None
    ) -> tuple[Command, list[str], list[str]]:
        """Learn ``name`` from accepted takes (refused ones are passed over).

        Returns:
            The command, the doubt about each accepted take ("" for none), and the commands it may be confused with.

        Raises:
            EnrolmentError: no take was accepted, or the command has all the examples it can have.
            BadNameError, StoreError: as they say.
        """
        name = tidy_name(name)
        kept = [take.utterance for take in takes if take.utterance is not None]
        if not kept:
            raise EnrolmentError(f"{name}: no example could be used, nothing was changed")
        doubts = [take.reason for take in takes if take.utterance is not None]
        vectors = [self.embedded(utterance) for utterance in kept]
        known = self.knowledge.find(name)
        before = [] if known is None or replace else self._store.examples(known.examples)
        doubts = [
            doubt or self._unlike_the_others(vector, [v for j, v in enumerate(vectors) if j != i], before)
            for i, (doubt, vector) in enumerate(zip(doubts, vectors, strict=True))
        ]
        sources = [take.source for take in takes if take.utterance is not None]
        new = [
            self._example(utterance, vector, source, who, doubt)
            for utterance, vector, source, doubt in zip(kept, vectors, sources, doubts, strict=True)
        ]
        count = f"{len(new)} example{'s' if len(new) > 1 else ''}"
        label = known.name if known else name
        change = f"{label}: taught anew from {count}" if replace and known else f"{label}: learned {count}"

        def update(now: Knowledge) -> list[Command]:
            old = now.find(name)
            members, negatives = ((), ()) if old is None or replace else (old.examples, old.negatives)
            if len(members) + len(new) > MOST_EXAMPLES:
                raise EnrolmentError(
                    f"{label} would have {len(members) + len(new)} examples, and {MOST_EXAMPLES} are possible: "
                    "give fewer, or begin anew with --replace"
                )
            fresh = tuple(-1 - i for i in range(len(new)))
            kept_action = action or (old.action if old else None)
            grown = Command(label, kept_action, 0, 0, 0, False, UNTAUGHT, (), members + fresh, negatives=negatives)
            return self._derived([c for c in now.commands if c is not old] + [grown], new)

        with self._changing():
            self.knowledge = self._store.write(change, update, new)
            command = self.knowledge.find(name)
        assert command is not None
        return command, [doubt or "" for doubt in doubts], self.confusable(command)

    def discard(self, example: int) -> Command:
        """Let go of one example; ``undo`` brings it back. Returns what its command has become.

        Raises:
            EnrolmentError: no command has it, or one has no other.
        """

        def update(now: Knowledge) -> list[Command]:
            old = self._whose(example, now)
            rest = tuple(member for member in old.examples if member != example)
            if not rest:
                raise EnrolmentError(f"{old.name} has only this example; forget the command, or teach it anew")
            return self._derived([replace(c, examples=rest, id=None) if c is old else c for c in now.commands], [])

        with self._changing():
            name = self._whose(example, self.knowledge).name
            self.knowledge = self._store.write(f"{name}: one example less", update)
            return self.known(name)

    def revise(self, change: str, update: Callable[[Knowledge], list[Command]], new: Sequence[Example] = ()) -> None:
        """Change what commands are learned from, in one version that ``change`` describes: ``update`` gives all
        commands, changed ones with ``id`` None, and refers to ``new`` examples as in :meth:`Store.write`.

        Raises:
            EnrolmentError: a command would have too many examples, or something would become worse than :data:`WORSE`
                allows. Nothing was changed.
        """

        def derived(now: Knowledge) -> list[Command]:
            after = self._derived(update(now), new)
            self._check_no_worse(now, after, new)
            return after

        with self._changing():
            self.knowledge = self._store.write(change, derived, new)

    def forget(self, name: str, erase: bool = False) -> None:
        """Forget a command; ``undo`` brings it back for 30 days. ``erase`` leaves no trace of it, at once and for good.

        Raises:
            EnrolmentError: there is no such command.
        """
        with self._changing():
            known = self.knowledge.find(name)
            if known is None and not (erase and self._store.remembers(name)):
                raise self._unknown(name)
            if known is not None:
                self.knowledge = self._store.write(
                    f"{known.name}: forgotten",
                    lambda now: self._derived([c for c in now.commands if not same_name(c.name, name)], []),
                )
            if erase:
                self._store.erase(name)
                self.knowledge = self._store.knowledge()

    def rename(self, old: str, new: str) -> Command:
        """Raises:
        EnrolmentError: there is no ``old``, or ``new`` is another command.
        """
        new = tidy_name(new)
        with self._changing():
            known = self.known(old)
            if known.name == new:
                return known

            def update(now: Knowledge) -> list[Command]:
                if not same_name(old, new) and now.find(new) is not None:
                    raise EnrolmentError(f"{new} is a command already; forget it first, or choose another name")
                return [replace(c, name=new, id=None) if same_name(c.name, old) else c for c in now.commands]

            self.knowledge = self._store.write(f"{known.name}: now called {new}", update)
            return self.known(new)

    def packed(self) -> Bundle:
        """All that was taught, to be carried elsewhere.

        Raises:
            EnrolmentError: that is nothing.
        """
        if not self.knowledge.commands:
            raise EnrolmentError("nothing has been taught yet, so there is nothing to carry elsewhere")
        return Bundle(
            self._encoder.id,
            tuple(
                Taught(c.name, c.action, self._with_audio(c.examples), self._with_audio(c.negatives))
                for c in self.knowledge.commands
            ),
        )

    def take_in(self, bundle: Bundle) -> tuple[list[Command], list[str]]:
        """Learn the commands of a bundle, in one version; of the same name, they take the place of what was known.

        Returns:
            The commands, and the names of those that must be taught again: another encoder made their embeddings, and
            their audio was not kept.

        Raises:
            EnrolmentError: all of them must.
        """
        new: list[Example] = []

        def members(examples: Sequence[Example]) -> tuple[int, ...]:
            usable = [found for found in (self._taken_in(e, bundle.encoder) for e in examples) if found is not None]
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
            others = [c for c in now.commands if not any(same_name(c.name, name) for name in names)]
            return self._derived(others + taught, new)

        with self._changing():
            self.knowledge = self._store.write(f"imported: {', '.join(names)}", update, new)
            return [self.known(name) for name in names], lost

    def undo(self) -> str:
        """Take the last change back; returns what was undone, in words."""
        with self._changing():
            undone = self._store.undo()
            change = self._store.history()[0].change
            self.knowledge = self._of_this_encoder(undone)
            return change

    def rollback(self, version: int) -> None:
        with self._changing():
            self.knowledge = self._of_this_encoder(self._store.rollback(version))

    def history(self) -> list[Version]:
        return self._store.history()

    def take_over(self, config: Config) -> None:
        """Take over other settings; thresholds follow a changed budget, in a version of their own.

        Raises:
            StoreError: that could not be written; the settings stay as they were.
        """
        with self._changing():
            before, self.config = self.config, config
            if _budget(before) == _budget(config) or not self.knowledge.commands:
                return
            try:
                self._recalibrated()
            except StoreError:
                self.config = before
                raise

    def keep_promises(self) -> None:
        """Thresholds follow a budget that was changed while nothing ran."""
        with self._changing():
            if any(command.id is None for command in self._derived(list(self.knowledge.commands), [])):
                self._recalibrated()

    def consider(self, vectors: Sequence[Matrix]) -> tuple[Command, list[str]]:
        """The command that examples with these embeddings, (1 + variants, dimension) each, would make, under an empty
        name, and which it might be confused with. Nothing is stored."""
        new = [Example(embeddings, "", 0, 0) for embeddings in vectors]
        members = tuple(-1 - i for i in range(len(new)))
        draft = Command("", None, 0, 0, 0, False, UNTAUGHT, (), members)
        draft = self._derived([*self.knowledge.commands, draft], new)[-1]
        return draft, self._derivation.confusable(draft, [*self.knowledge.commands, draft], new)

    def match(self, vectors: Matrix, beside: Command | None = None) -> Match | None:
        """What an embedded utterance is taken for, if ``beside`` were known as well; None where nothing is known."""
        known = self.knowledge.commands
        return Matcher(self._world, known if beside is None else (*known, beside)).match(vectors[0])

    def confusable(self, command: Command) -> list[str]:
        """Names of the commands that an utterance of this one might be taken for, or the other way round."""
        return self._derivation.confusable(command, self.knowledge.commands)

    def nearest(self, embedding: Embedding, many: int = 5) -> list[Near]:
        """The kept examples, of whatever command, that are most like an embedding (dimension,), the nearest first."""
        asked = self._world.place(embedding)
        found = [
            Near(command.name, example, float(self._world.place(example.embeddings[0]) @ asked))
            for command in self.knowledge.commands
            for example in self.examples(command)
            if example.embeddings is not None
        ]
        return sorted(found, key=lambda near: near.likeness, reverse=True)[:many]

    def sound(self, example: int) -> Samples:
        """What was said in an example that a command is known by.

        Raises:
            EnrolmentError: there is no such example, or its sound was not kept.
        """
        whose = self._whose(example, self.knowledge)
        audio = self._store.audio(example)
        if audio is None:
            raise EnrolmentError(f"of example {example} of {whose.name} no sound was kept (enrolment.keep_audio)")
        return from_flac(audio)

    def examples(self, command: Command) -> list[Example]:
        """The kept examples of a command, without their sound."""
        return self._derivation.examples(command.examples)

    def voices(self) -> dict[str, Voices]:
        """How each person says a command, by its name, where several people taught it."""
        found = {}
        for command in self.knowledge.commands:
            kept = [e for e in self.examples(command) if e.embeddings is not None]
            if len({example.speaker for example in kept}) < 2:
                continue
            placed = np.stack([self._world.place(e.embeddings[0]) for e in kept if e.embeddings is not None])
            if voices := Voices.of(placed, [example.speaker for example in kept]):
                found[command.name] = voices
        return found

    def drawn(self, knowledge: Knowledge) -> dict[int | None, tuple[float, float]]:
        """Where each example, by its id, lies on a map."""
        kept = [[e for e in self.examples(c) if e.embeddings is not None] for c in knowledge.commands]
        kept = [examples for examples in kept if examples]
        heard = [[e.embeddings[0] for e in examples if e.embeddings is not None] for examples in kept]
        points = drawn([self._world.place(np.stack(vectors)) for vectors in heard])
        return {
            example.id: (round(float(x), 3), round(float(y), 3))
            for examples, places in zip(kept, points, strict=True)
            for example, (x, y) in zip(examples, places, strict=True)
        }

    # -- deriving

    def _recalibrated(self) -> None:
        self.knowledge = self._store.write(
            "thresholds for a new budget", lambda now: self._derived(list(now.commands), [])
        )

    def _derived(self, commands: list[Command], new: Sequence[Example]) -> list[Command]:
        return self._derivation.derived(commands, new, self.config.listening)

    def _check_no_worse(self, now: Knowledge, after: list[Command], new: Sequence[Example]) -> None:
        for command in after:
            before = now.find(command.name)
            if before is None or command.id is not None:
                continue
            for members in (command.examples, command.negatives):
                if len(members) > MOST_EXAMPLES:
                    raise EnrolmentError(f"{command.name} has {MOST_EXAMPLES} examples, and no more are possible")
            lost = self._derivation.missed(command, new) - self._derivation.missed(before)
            bound = max(self.config.listening.highest_frr, before.expected_frr) + WORSE
            if lost > 0 or command.expected_frr > bound + 1e-6:
                examples = f", and {lost} of its own examples would not be heard any more" if lost > 0 else ""
                raise EnrolmentError(
                    f"{command.name} would suffer: {100 * command.expected_frr:.0f} % of it would be missed, now it is "
                    f"{100 * before.expected_frr:.0f} %{examples}. That sound is too much like it, so nothing was "
                    "changed; teach the command more examples, or other words"
                )

    def agreement(self, command: Command, vector: Embedding) -> float:
        """How much an utterance is like what a command is learned from: above what utterances of it are expected to
        score, in deviations of that."""
        return self._derivation.agreement(command, vector[None])

    @property
    def deviation(self) -> float:
        """By how much utterances of one command usually differ in score."""
        return self._derivation.usual(MOST_EXAMPLES).deviation

    def example(self, utterance: Utterance, source: str, who: str | None = None) -> Example:
        """An example of an utterance, with what it is enlarged by."""
        return self._example(utterance, self.embedded(utterance), source, who, None)

    def _with_audio(self, members: Sequence[int]) -> tuple[Example, ...]:
        return tuple(replace(e, audio=self._store.audio(e.id or 0)) for e in self._store.examples(members))

    def _taken_in(self, example: Example, encoder: str) -> Example | None:
        """An example of a bundle as it is kept here, None if nothing can be made of it."""
        audio = example.audio if self.config.enrolment.keep_audio else None
        vectors = example.embeddings
        if encoder == self._encoder.id and vectors is not None and vectors.shape[1] == self._encoder.dimension:
            return replace(example, audio=audio)
        if example.audio is None:
            return None
        utterance = Utterance(from_flac(example.audio), example.begin, example.end, 0.0, 0.0)
        return replace(example, embeddings=self.embedded(utterance), audio=audio)

    def embedded(self, utterance: Utterance) -> Matrix:
        """Embeddings (1 + variants, dimension) of an utterance and of what it is enlarged by."""
        return np.stack([self._encoder.embed(heard) for heard in (utterance, *enlarge(utterance))])

    def _example(
        self, utterance: Utterance, vectors: Matrix, source: str, who: str | None, doubt: str | None
    ) -> Example:
        audio = to_flac(utterance.samples) if self.config.enrolment.keep_audio else None
        return Example(vectors, source, utterance.begin, utterance.end, who, doubt, audio)

    def _unlike_the_others(self, one: Matrix, beside: list[Matrix], before: list[Example]) -> str | None:
        others = beside + [example.embeddings for example in before if example.embeddings is not None]
        if not others:
            return None
        if max(float(one[0] @ other[0]) for other in others) > SAME:
            return "the same recording as another example: say it once more instead"
        if self.likeness(one, others) < -UNLIKE:
            return "unlike the other examples: was it the same command, said completely?"
        return None

    def likeness(self, one: Matrix, others: Sequence[Matrix]) -> float:
        """How an embedded utterance scores as the command whose only examples are ``others``: above the usual score,
        in deviations of it."""
        heads, _ = learned(self._world, [self._world.place(other) for other in others], [None] * len(others))
        placed = self._world.place(one[:1])
        score = float(scores(heads, placed, self._world.strangers(placed)).max())
        usual = self._derivation.usual(len(others))
        return (score - usual.mean) / usual.deviation

    def _whose(self, example: int, knowledge: Knowledge) -> Command:
        found = next((command for command in knowledge.commands if example in command.examples), None)
        if found is None:
            raise EnrolmentError(f"no command has an example {example}; `speakerd examples` lists them")
        return found

    def known(self, name: str, now: Knowledge | None = None) -> Command:
        """Raises:
        EnrolmentError: there is no such command (in what was known ``now``).
        """
        command = (now or self.knowledge).find(name)
        if command is None:
            raise self._unknown(name)
        return command

    def _unknown(self, name: str) -> EnrolmentError:
        names = ", ".join(c.name for c in self.knowledge.commands) or "none yet"
        return EnrolmentError(f"{name} is not a known command. Known: {names}")

    # -- another encoder

    def _of_this_encoder(self, knowledge: Knowledge) -> Knowledge:
        """Knowledge of the models in use: after an update everything is derived again, if need be from kept audio."""
        if knowledge.encoder == self._store.models or not knowledge.commands:
            return knowledge
        usable: list[Command] = []
        lost: list[Command] = []
        for command in knowledge.commands:
            members = tuple(e.id for e in self._embedded_again(command) if e.id is not None)
            (usable if members else lost).append(replace(command, examples=members, id=None))
        change = f"derived again for the encoder {self._encoder.name}"
        if lost:
            change += "; without audio, to be taught again: " + ", ".join(c.name for c in lost)
        log.log(logging.WARNING if lost else logging.INFO, "%s", change)
        return self._store.write(change, lambda now: self._derived(usable, []), again=True)

    def _embedded_again(self, command: Command) -> Iterator[Example]:
        for example in self._store.examples(command.examples):
            assert example.id is not None
            audio = self._store.audio(example.id)
            if example.embeddings is None and audio is not None:
                utterance = Utterance(from_flac(audio), example.begin, example.end, 0.0, 0.0)
                vectors = self.embedded(utterance)
                self._store.add_embeddings(example.id, vectors)
                yield replace(example, embeddings=vectors)
            elif example.embeddings is not None:
                yield example


def _budget(config: Config) -> tuple[float, float]:
    """What thresholds follow from."""
    return config.listening.false_accepts_per_day, config.listening.highest_frr
