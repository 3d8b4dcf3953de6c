"""The daemon: owns the microphone and its state, wires the rooms together, reloads, stops."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerd import __version__
from speakerd.audio.condition import Condition, Watched
from speakerd.audio.features import SAMPLE_RATE
from speakerd.audio.segmenter import FRAME
from speakerd.audio.sources import Source
from speakerd.config import Config, load
from speakerd.control.examination import examined
from speakerd.control.service import Service
from speakerd.control.socket import Server
from speakerd.control.speech import Speech
from speakerd.errors import SpeakerdError
from speakerd.events import LEARN, STOP, WRONG, Detection
from speakerd.house import Mind
from speakerd.learning.growth import Growth
from speakerd.learning.places import voices
from speakerd.learning.room import Room
from speakerd.listening.journal import Journal
from speakerd.listening.loop import Loop
from speakerd.listening.mute import Muted
from speakerd.listening.policy import Policy, Switches, unmet
from speakerd.listening.speakers import Speakers
from speakerd.listening.spotter import Spotter
from speakerd.memory import one_heap
from speakerd.notify import Watchdog, notify, notify_reloading
from speakerd.outputs import Outputs
from speakerd.store.store import Ownership

if TYPE_CHECKING:
    from speakerd.control.http import Site

log = logging.getLogger(__name__)

MINUTE, DAY = 60.0, 86400.0  # seconds


class Daemon:
    """One running speaker. ``open_source`` gives the source for a configuration; it is asked again after a reload."""

    def __init__(
        self, config_path: Path | None, state: Path, socket: Path, open_source: Callable[[Config], Source]
    ) -> None:
        """Claim the state, load the models, open the socket.

        Raises:
            SpeakerdError: any of it could not be done.
        """
        one_heap()
        self._config_path, self._open_source = config_path, open_source
        self.config = load(config_path)
        self._ownership = Ownership(state)
        self._mind = Mind.load(self.config)
        self._household = self._mind.household(state, self.config)
        self._prune()
        try:
            self._household.keep_promises()
        except SpeakerdError as error:
            log.warning("thresholds do not follow the budget of the settings: %s", error)
        self._switches = Switches.of(state)
        self._speakers = Speakers(self._mind.world, voices(self._household))
        self._watchdog = Watchdog()
        self._started = time.time()
        self._heard = self._rejected = 0
        self._stopping = self._reloading = False
        self._over = threading.Event()
        self._unmet: set[str] = set()
        self._journal = Journal(self._mind.world.spread)
        self._room = Room(self._household, self._journal)
        self._service = Service(
            self._household, lambda: self._loop.tap(), self.config.enrolment.takes, self._switches, self._journal,
            self._status,
        )  # fmt: skip
        self._begin_listening()
        self._outputs = self._open_outputs(self.config)
        self._service.config_path, self._service.reload = config_path, self.reload
        self._service.examine = lambda: examined(state, config_path)
        self._household.changed = self._spotter_knows
        self._tell_unmet()
        self._server = Server(socket, self._service)
        self._site: Site | None = None
        self._page: str | None = None
        self._serve_page()

    def run(self) -> None:
        """Listen until told to stop (SIGTERM, SIGINT) or the source ends; SIGHUP reads the configuration again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, lambda *_: self.reload())
        threading.Thread(target=self._prune_daily, name="prune", daemon=True).start()
        threading.Thread(target=self._each_minute, name="minutes", daemon=True).start()
        self._introduce()
        known = len(self._household.knowledge.commands)
        log.info("listening for %d command%s", known, "" if known == 1 else "s")
        notify("READY=1", f"STATUS=listening for {known} commands")
        try:
            while True:
                self._loop.run(self._detected, self._progress)
                if self._stopping or not self._reloading:
                    break
                self._reload()
        finally:
            notify("STOPPING=1")
            self._over.set()
            self._server.close()
            if self._site is not None:
                self._site.close()
            self._speech.close()
            self._outputs.close(5)
            self._keep_what_was_heard()
            self._ownership.release()

    def stop(self) -> None:
        self._stopping = True
        self._speech.hush()
        self._source.close()

    def reload(self) -> None:
        self._reloading = True
        self._source.close()

    def _introduce(self) -> None:
        self._speech.introduce(self._household.knowledge, lambda: self._loop.frames > 0)

    def _open_outputs(self, config: Config) -> Outputs:
        # STOP is heard by the lesson itself: while one goes on, no command fires.
        built_in = {LEARN: lambda _: self._speech.lesson(), STOP: lambda _: None, WRONG: self._service.feedback.spoken}
        return Outputs(config.outputs, built_in)

    def _begin_listening(self) -> None:
        self._speech = Speech(self.config.speaking, self._service)
        self._source = self._speech.deafened(self._open_source(self.config))
        self._spotter = Spotter(self._mind.encoder, self._mind.world, self.config.gate, self._household.knowledge)
        self._policy = Policy(self.config.listening, self._switches.playing)
        self._switches.playing.follow(self.config.listening.mpd)
        self._condition = Condition()
        wanted = Muted(self._source, self._switches.mute)
        self._loop = Loop(Watched(wanted, self._condition), self._spotter)
        self._spotter.know(self._household.knowledge)  # which may have changed meanwhile
        if self._stopping or self._reloading:  # told so while there was no source to close
            self._source.close()

    def _serve_page(self) -> None:
        """As the settings say; without it, and with a word in the log, where that cannot be: it is not what matters."""
        if self._site is not None:
            self._site.close()
        self._site = self._page = None
        if self.config.http.enabled:
            from speakerd.control.http import Site

            try:
                self._site = Site(self.config.http, self._service)
                self._page = self._site.address
            except SpeakerdError as error:
                self._page = str(error)
                log.error("the page is not served: %s", error)

    def _spotter_knows(self) -> None:
        self._spotter.know(self._household.knowledge)
        self._speakers.voices = voices(self._household)
        self._tell_unmet()

    def _tell_unmet(self) -> None:
        """Say once what the settings require of commands that nobody has taught."""
        names = [command.name for command in self._household.knowledge.commands]
        found = {words for _, words in unmet(self.config.listening, names)} if names else set()
        for words in sorted(found - self._unmet):
            log.error("listening.requires: %s", words)
        self._unmet = found

    def _reload(self) -> None:
        """Take over a changed configuration; a faulty one is told of, and the present one stays."""
        notify_reloading()
        self._reloading = False
        try:
            config = load(self._config_path)
            self._household.take_over(config)
        except SpeakerdError as error:
            log.error("the configuration was not taken over:\n%s", error)
        else:
            if config.recognition != self.config.recognition:
                log.warning("recognition.models takes effect when the daemon is started anew")
            changed, self.config = config.http != self.config.http, config
            if changed:
                self._serve_page()
            old, self._outputs = self._outputs, self._open_outputs(config)
            threading.Thread(target=old.close, args=(5,), name="outputs").start()  # its programs may take a while
            self._service.takes = config.enrolment.takes
            log.info("configuration read again")
        self._speech.close()
        self._begin_listening()
        self._introduce()
        self._tell_unmet()
        self._mind.settled()
        notify("READY=1")

    def _prune_daily(self) -> None:
        """What was forgotten goes after its 30 days, also where nobody starts the daemon anew."""
        while not self._over.wait(DAY):
            self._prune()

    def _prune(self) -> None:
        try:
            self._household.prune()
        except SpeakerdError as error:
            log.warning("what was forgotten long ago could not be let go of: %s", error)

    def _each_minute(self) -> None:
        """Thresholds follow what was heard, what was heard some minutes ago joins the examples, where the settings say
        so, and memory goes back that nobody uses any more."""
        growth = Growth(self._household, self._journal)
        while not self._over.wait(MINUTE):
            self._journal.let_go()
            try:
                changes = [self._room.look(quiet=not self._loop.speech)]
                if self.config.learning.grow:
                    changes += growth.look()
                for change in filter(None, changes):
                    log.info("%s", change)
            except Exception:
                log.exception("nothing is learned from what was heard")
            self._mind.settled()  # last: what was worked out just now has asked for the impostors

    def _keep_what_was_heard(self) -> None:
        try:
            self._room.save()
        except SpeakerdError as error:
            log.warning("how much was heard in the last minutes is not kept: %s", error)

    def _progress(self) -> None:
        self._watchdog.fed()
        if self._loop.waiting is not None:
            self._policy.interrupted()
        if self._loop.talk and not self._switches.playing.on:
            self._room.talk(FRAME / SAMPLE_RATE)

    def _detected(self, heard: Detection) -> None:
        judged = self._policy.judge(self._speakers.named(heard))
        detection = self._journal.note(judged, judged.rule)
        self._service.detected(detection)
        if not self._switches.playing.on:
            self._room.note(detection)
        if detection.accepted:
            self._heard += 1
            self._outputs.send(detection)
            self._speech.beep()
        else:
            self._rejected += 1
            self._outputs.send(detection)
            if heard.accepted:
                log.info("'%s' was turned away [%s]: %s", detection.command, detection.id, detection.rule)
            log.debug("not accepted: %s", detection)

    def _status(self) -> dict[str, Any]:
        fault = self._condition.fault
        return {
            "speakerd": __version__,
            "encoder": self._mind.encoder.name,
            "up_seconds": round(time.time() - self._started),
            "commands": len(self._household.knowledge.commands),
            "version": self._household.knowledge.version,
            "heard_seconds": round(self._loop.frames * 0.02, 1),
            "level_dbfs": round(self._loop.level, 1),
            "speech": self._loop.speech,
            "waiting": self._loop.waiting,
            "microphone": fault.words if fault else None,
            "remedy": fault.remedy if fault else None,
            "detections": self._heard,
            "rejected": self._rejected,
            "page": self._page,
        }
