"""Answers requests: the same in the daemon and in a command that works on a folder of state itself."""

import base64
import logging
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from speakerd.audio.files import to_flac
from speakerd.config import file_to_change, load
from speakerd.config.editing import adjustable, change
from speakerd.control.lessons import Ears, Lessons
from speakerd.control.messages import (
    Change,
    Commands,
    Discard,
    Doctor,
    Done,
    Enroll,
    Export,
    Failed,
    Forget,
    History,
    Import,
    Item,
    Known,
    Lesson,
    Mute,
    Playing,
    Rename,
    Reply,
    Request,
    Right,
    Rollback,
    Settings,
    Snapshot,
    Sound,
    Status,
    StopLesson,
    Teach,
    Undo,
    Unmute,
    Watch,
    Why,
    Wrong,
    summary,
)  # fmt: skip
from speakerd.control.overview import overview
from speakerd.control.reasons import essentials, reasons
from speakerd.control.teaching import advice, check_names, judged, told
from speakerd.errors import SpeakerdError
from speakerd.events import BUILT_IN, Ambiguous, Detection
from speakerd.learning.carrying import packed, take_in
from speakerd.learning.feedback import Feedback
from speakerd.learning.household import Household
from speakerd.learning.lesson import Level, Prompt
from speakerd.learning.places import nearest, voices
from speakerd.learning.takes import Take
from speakerd.listening.journal import Journal
from speakerd.listening.policy import Switches
from speakerd.store.bundle import pack, unpack
from speakerd.store.knowledge import tidy_speaker

log = logging.getLogger(__name__)

PIECE = 2**20  # bytes of a bundle in one item

Items = Iterator[dict[str, Any]]


class Service:
    """``ears`` opens the microphone for a lesson; ``status`` tells what a daemon knows of itself, and ``journal`` what
    it has heard."""

    def __init__(
        self, household: Household, ears: Ears, takes: int, switches: Switches, journal: Journal,
        status: Callable[[], dict[str, Any]],
    ) -> None:  # fmt: skip
        self._household, self.takes = household, takes
        self._switches, self._journal, self._status = switches, journal, status
        household.erased = journal.forget
        self.feedback = Feedback(household, journal)
        self._watchers: list[queue.Queue[Detection]] = []
        self.lessons = Lessons(household, ears, switches)
        # A daemon has better ones.
        self.config_path: Path | None = None
        self.reload: Callable[[], None] = lambda: None
        self.examine: Callable[[], Items] = lambda: iter(())

    def ask(self, request: Request) -> Items:
        """Do what is asked, giving items as they come.

        Raises:
            SpeakerdError: it could not be done; nothing was changed.
        """
        match request:
            case Enroll():
                yield from self._enroll(request)
            case Teach():
                yield from self._teach(request)
            case Lesson(action):
                yield from self.lessons.spoken(action)
            case StopLesson():
                yield {"stopped": self.lessons.stop()}
            case Forget(name, erase):
                self._household.forget(name, erase)
                yield {"forgotten": name, "erased": erase}
            case Rename(old, new):
                yield summary(self._household.rename(old, new))
            case History():
                yield from (msgspec.to_builtins(version) for version in self._household.history())
            case Undo():
                yield {"change": self._household.undo()}
            case Rollback(version):
                self._household.rollback(version)
                yield {"version": version}
            case Export():
                bundle = pack(packed(self._household))
                for at in range(0, len(bundle), PIECE):
                    yield {"bundle": base64.b64encode(bundle[at : at + PIECE]).decode()}
            case Import(bundle):
                commands, lost = take_in(self._household, unpack(bundle))
                yield from (summary(command) for command in commands)
                yield from ({"teach_again": name} for name in lost)
            case Known():
                yield msgspec.to_builtins(Snapshot.of(self._household.knowledge, voices(self._household)))
            case Watch():
                yield from self._watch(request)
            case Status():
                yield self._status() | self._switches.status()
            case Mute(minutes):
                self._switches.mute.begin(minutes)
                yield self._switches.status()
            case Unmute():
                self._switches.mute.end()
                yield self._switches.status()
            case Playing(on, seconds):
                self._switches.playing.turn(on, seconds)
                yield self._switches.status()
            case Why(id, everything):
                yield from self._why(id, everything)
            case Commands():
                yield from overview(self._household, self._journal)
            case Settings():
                file = file_to_change(self.config_path)
                yield {"file": str(file), "settings": adjustable(load(self.config_path))}
            case Change(key, value):
                change(file_to_change(self.config_path), key, value)
                self.reload()
                yield {"key": key, "value": value}
            case Doctor():
                yield from self.examine()
            case Discard(example):
                yield summary(self._household.discard(example))
            case Wrong(id, meant):
                yield {"change": self.feedback.wrong(id, meant)}
            case Right(id):
                yield {"change": self.feedback.right(id)}
            case Sound(example):
                flac = to_flac(self._household.sound(example))
                yield {"example": example, "flac": base64.b64encode(flac).decode()}

    def replies(self, line: bytes) -> Iterator[Reply]:
        """The answer to a request as it comes in, whatever it is: any number of items, and one end."""
        try:
            request: Request = msgspec.json.decode(line, type=Request)
            for item in self.ask(request):
                yield Item(item)
            yield Done()
        except SpeakerdError as error:
            yield Failed(str(error))
        except msgspec.MsgspecError as error:
            yield Failed(f"not a request that this speakerd knows: {error}")
        except Exception as error:
            log.exception("a request failed")
            yield Failed(f"speakerd failed over this request ({error!r}); its log says more")

    def detected(self, detection: Detection) -> None:
        """Tell whoever watches."""
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(detection)

    def _enroll(self, request: Enroll) -> Items:
        gate = self._household.config.gate
        check_names(request)
        yield from self._learn(request, [judged(recording, gate) for recording in request.recordings])

    def _teach(self, request: Teach) -> Items:
        check_names(request)
        takes: list[Take] = []
        for event in self.lessons.guided(request.takes or self.takes):
            match event:
                case Prompt(number, of):
                    yield {"take": number, "of": of}
                case Level(dbfs, is_open):
                    yield {"level": round(dbfs, 1), "speech": is_open}
                case Take():
                    takes.append(event)
                    yield {"heard": event.accepted, "reason": event.reason}
        yield from self._learn(request, takes)

    def _learn(self, request: Enroll | Teach, takes: list[Take]) -> Items:
        """Per take what became of it, then the command. Where no take could be used, that is said before the error."""
        if not any(take.accepted for take in takes):
            yield from (told(take, take.reason) for take in takes)
        command, doubts, confusable = self._household.enroll(
            request.name, takes, request.replace, request.action, request.speaker and tidy_speaker(request.speaker)
        )
        remaining = iter(doubts)
        yield from (told(take, next(remaining) or None if take.accepted else take.reason) for take in takes)
        unknown = command.action not in {None, *BUILT_IN, *self._household.config.outputs.actions}
        yield summary(command) | {"confusable_with": confusable, "advice": advice(command, confusable, unknown)}

    def _why(self, id: str | None, everything: bool) -> Items:
        if everything:
            yield from (reasons(heard, []) for heard in self._journal.entries())
            return
        heard = self._journal.last() if id is None else self._journal.find(id)
        near = nearest(self._household, heard.evidence.embedding)
        yield reasons(heard, near) | {"audio": self._journal.sound(heard.id) is not None}

    def _watch(self, request: Watch) -> Items:
        heard: queue.Queue[Detection] = queue.Queue(100)
        self._watchers = [*self._watchers, heard]
        try:
            while True:
                try:
                    detection = heard.get(timeout=0.2 if request.level else 5)
                except queue.Empty:
                    yield self._level() if request.level else {}  # finds out whether anybody is still there
                    continue
                if detection.accepted or request.all:
                    yield shown(detection)
        finally:
            self._watchers = [watcher for watcher in self._watchers if watcher is not heard]

    def _level(self) -> dict[str, Any]:
        status = self._status() | self._switches.status()
        return {key: status[key] for key in ("level_dbfs", "speech", "waiting", "microphone", "muted", "version")}


def shown(detection: Detection) -> dict[str, Any]:
    """A detection as ``speakerd listen --json`` shows it."""
    told = essentials(detection) | {"rule": detection.rule}
    return told | ({"ambiguous_with": detection.other} if isinstance(detection, Ambiguous) else {})
