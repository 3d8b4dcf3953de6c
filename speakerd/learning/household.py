"""The household's commands: everything that changes them goes through here, and each change is one version."""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from speakerd.audio.files import from_flac
from speakerd.config import Config
from speakerd.errors import SpeakerdError
from speakerd.events import Match, Samples
from speakerd.learning.calibration import WORSE
from speakerd.learning.derivation import UNTAUGHT, Derivation
from speakerd.learning.examples import Examples
from speakerd.learning.takes import Take
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix
from speakerd.recognition.scoring import Matcher
from speakerd.recognition.world import World
from speakerd.store.knowledge import Command, Example, Knowledge, Overheard, Version, same_name, tidy_name
from speakerd.store.schema import StoreError
from speakerd.store.store import Store

log = logging.getLogger(__name__)

Update = Callable[[Knowledge], list[Command]]  # from what is known to all commands of the next version

MOST_EXAMPLES = 40
# How the history tells of thresholds that follow what was heard in this household, and not of a command called "room".
_ROOM = "room: {:.1f} h of talk heard"
_BY_ROOM = re.compile(r"room: [0-9.]+ h of talk heard")


class EnrolmentError(SpeakerdError):
    """Nothing was learned; the message says why."""


class Household:
    """Teach, forget, rename, undo. Safe to use from several threads; ``knowledge`` is replaced, never changed."""

    def __init__(self, store: Store, encoder: Encoder, world: World, config: Config) -> None:
        self._store, self.encoder, self.world = store, encoder, world
        self.config = config
        self.derivation = Derivation(store, encoder, world)
        self.examples = Examples(store, encoder, self.derivation)
        self._lock = threading.Lock()
        self.changed: Callable[[], None] = lambda: None  # called after every change, before whoever made it is told
        self.erased: Callable[[set[str]], None] = lambda names: None  # called with the names that what was erased had
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
        if not any(take.accepted for take in takes):
            raise EnrolmentError(f"{name}: no example could be used, nothing was changed")
        known = self.knowledge.find(name)
        new = self.examples.taken(takes, who, [] if known is None or replace else self.examples.of(known))
        count = f"{len(new)} example{'s' if len(new) > 1 else ''}"
        label = known.name if known else name
        change = f"{label}: taught anew from {count}" if replace and known else f"{label}: learned {count}"

        def update(now: Knowledge) -> list[Command]:
            old = now.find(name)
            kept = None if replace else old
            members, negatives, alike = (kept.examples, kept.negatives, kept.alike) if kept else ((), (), 1.0)
            if len(members) + len(new) > MOST_EXAMPLES:
                raise EnrolmentError(
                    f"{label} would have {len(members) + len(new)} examples, and {MOST_EXAMPLES} are possible: "
                    "give fewer, or begin anew with --replace"
                )
            fresh = tuple(-1 - i for i in range(len(new)))
            kept_action = action or (old.action if old else None)
            grown = Command(
                label, kept_action, 0, 0, 0, False, UNTAUGHT, (), members + fresh, negatives=negatives, alike=alike
            )
            return [c for c in now.commands if c is not old] + [grown]

        command = self.known(name, self.change(change, update, new))
        return command, [example.doubt or "" for example in new], self.confusable()[command.name]

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
            return [replace(c, examples=rest, id=None) if c is old else c for c in now.commands]

        name = self._whose(example, self.knowledge).name
        return self.known(name, self.change(f"{name}: one example less", update))

    def change(self, change: str, update: Update, new: Sequence[Example] = ()) -> Knowledge:
        """Change what commands are learned from, in one version that ``change`` describes: ``update`` gives all
        commands, changed ones with ``id`` None, and refers to ``new`` examples as in :meth:`Store.write`. What is
        learned follows from that.

        Returns:
            What is known then.
        """
        with self._changing():
            return self._written(change, lambda now: self._derived(update(now), new), new)

    def revise(self, change: str, update: Update, new: Sequence[Example] = ()) -> None:
        """The same for what people say of detections, and for what is learned without them.

        Raises:
            EnrolmentError: a command would have too many examples, or more of it would be missed than `WORSE` beyond
                `listening.highest_frr` or what was before, or one of its examples lost. Nothing was changed.
        """

        def derived(now: Knowledge) -> list[Command]:
            after = self._derived(update(now), new)
            self._check_no_worse(now, after, new)
            return after

        with self._changing():
            self._written(change, derived, new)

    def forget(self, name: str, erase: bool = False) -> None:
        """Forget a command; ``undo`` brings it back for 30 days. ``erase`` leaves no trace of it, at once and for good.

        Raises:
            EnrolmentError: there is no such command.
            StoreError: see :meth:`Store.compact`; the same again may finish what was not done.
        """

        def without(now: Knowledge) -> list[Command]:
            return self._derived([c for c in now.commands if not same_name(c.name, name)], [])

        with self._changing():
            known = self.knowledge.find(name)
            if known is None and not (erase and (self._store.remembers(name) or self._store.compact_due)):
                raise self._unknown(name)
            if erase:
                names = self._store.erase(name, None if known is None else without)
                self.knowledge = self._store.knowledge()
                self.derivation.forget()
            elif known is not None:
                self._written(f"{known.name}: forgotten", without)
        if erase:  # whoever listens for it has been told by now, whatever becomes of this
            self.erased(names)
            self._store.compact()

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

            return self.known(new, self._written(f"{known.name}: now called {new}", update))

    def undo(self) -> str:
        """Take the last change back; returns what was undone, in words."""
        with self._changing():
            undone = self._store.undo()
            change = self._store.history()[0].change
            if heeds_room(change.removeprefix("undone: ")):
                self._store.unhear()  # lest the same follows from it once more
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

    def overhear(self, heard: Mapping[int, Overheard]) -> None:
        """Keep what was heard and not acted upon, of each command by its first example."""
        self._store.overhear(heard)

    def heed(self, alike: Mapping[str, float]) -> str:
        """Thresholds for talk that sounds ``alike`` to commands, by name, so many times as often as strangers' does, in
        a version of their own; returns what was changed, in words."""
        with self._changing():
            hours = max(self.derivation.overheard(self.known(name)).hours for name in alike)
            change = _ROOM.format(hours)

            def update(now: Knowledge) -> list[Command]:
                heeding = [replace(c, alike=alike.get(c.name, c.alike)) for c in now.commands]
                return [replace(c, id=None) if c.name in alike else c for c in self._derived(heeding, [])]

            self._written(change, update)
            return change

    def consider(self, vectors: Sequence[Matrix]) -> tuple[Command, list[str]]:
        """The command that examples with these embeddings, (1 + variants, dimension) each, would make, under an empty
        name, and which it might be confused with. Nothing is stored."""
        new = [Example(embeddings, "", 0, 0) for embeddings in vectors]
        members = tuple(-1 - i for i in range(len(new)))
        draft = Command("", None, 0, 0, 0, False, UNTAUGHT, (), members)
        draft = self._derived([*self.knowledge.commands, draft], new)[-1]
        return draft, self.derivation.confusable([*self.knowledge.commands, draft], new)[draft.name]

    def match(self, vectors: Matrix, beside: Command | None = None) -> Match | None:
        """What an embedded utterance is taken for, if ``beside`` were known as well; None where nothing is known."""
        known = self.knowledge.commands
        return Matcher(self.world, known if beside is None else (*known, beside)).match(vectors[0])

    def confusable(self) -> dict[str, list[str]]:
        """By the name of each command those that an utterance of it might be taken for, or the other way round."""
        return self.derivation.confusable(self.knowledge.commands)

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

    # -- deriving

    def _recalibrated(self) -> None:
        self._written("thresholds for a new budget", lambda now: self._derived(list(now.commands), []))

    def _written(self, change: str, update: Update, new: Sequence[Example] = ()) -> Knowledge:
        """A new version; no sound gets into the store that is not to be kept."""
        if not self.config.enrolment.keep_audio:
            new = [replace(example, audio=None) for example in new]
        self.knowledge = self._store.write(change, update, new)
        return self.knowledge

    def _derived(self, commands: list[Command], new: Sequence[Example]) -> list[Command]:
        return self.derivation.derived(commands, new, self.config.listening)

    def _check_no_worse(self, now: Knowledge, after: list[Command], new: Sequence[Example]) -> None:
        for command in after:
            before = now.find(command.name)
            if before is None or command.id is not None:
                continue
            for members in (command.examples, command.negatives):
                if len(members) > MOST_EXAMPLES:
                    raise EnrolmentError(f"{command.name} has {MOST_EXAMPLES} examples, and no more are possible")
            lost = self.derivation.missed(command, new) - self.derivation.missed(before)
            bound = max(self.config.listening.highest_frr, before.expected_frr) + WORSE
            # one more example that is unlike the others makes more misses expected, but more is heard with it
            worse = len(command.examples) <= len(before.examples) and command.expected_frr > bound + 1e-6
            if lost > 0 or worse:
                examples = f", and {lost} of its own examples would not be heard any more" if lost > 0 else ""
                raise EnrolmentError(
                    f"{command.name} would suffer: {100 * command.expected_frr:.0f} % of it would be missed, now it is "
                    f"{100 * before.expected_frr:.0f} %{examples}. That sound is too much like it, so nothing was "
                    "changed; teach the command more examples, or other words"
                )

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
            members = tuple(e.id for e in self.examples.embedded_again(command.examples) if e.id is not None)
            list(self.examples.embedded_again(command.negatives))  # what was said to be wrong stays so
            (usable if members else lost).append(replace(command, examples=members, id=None, alike=1.0))
        change = f"derived again for the encoder {self.encoder.name}"
        if lost:
            change += "; without audio, to be taught again: " + ", ".join(c.name for c in lost)
        log.log(logging.WARNING if lost else logging.INFO, "%s", change)
        return self._store.write(change, lambda now: self._derived(usable, []), again=True)


def heeds_room(change: str) -> bool:
    """Whether the history tells so of thresholds that follow what was heard in this household."""
    return _BY_ROOM.fullmatch(change) is not None


def _budget(config: Config) -> tuple[float, float]:
    """What thresholds follow from."""
    return config.listening.false_accepts_per_day, config.listening.highest_frr
