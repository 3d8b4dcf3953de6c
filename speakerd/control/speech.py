"""The side of the daemon that speaks: tones, lessons that nobody asked for over the socket, and the button."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from speakerd.audio.sources import Source
from speakerd.config.settings import Speaking
from speakerd.control.messages import Lesson
from speakerd.control.service import Service
from speakerd.errors import SpeakerdError
from speakerd.learning.spoken import first_phrases_missing
from speakerd.speaking.deaf import Deafened
from speakerd.store.knowledge import Knowledge

if TYPE_CHECKING:
    from speakerd.speaking.button import Button
    from speakerd.speaking.mouth import Mouth

log = logging.getLogger(__name__)


class Speech:
    """As the settings say; where nothing is to be said, none of what that takes is loaded."""

    def __init__(self, settings: Speaking, service: Service) -> None:
        self._settings, self._service = settings, service
        self._mouth: Mouth | None = None
        self._button: Button | None = None
        self._over = threading.Event()
        if settings.enabled:
            from speakerd.speaking import mouth

            self._mouth = mouth.Mouth(settings)
            self._button = self._wired()
        service.lessons.voice = self._mouth

    def deafened(self, source: Source) -> Source:
        """The source, without what is heard while the speaker speaks."""
        return source if self._mouth is None else Deafened(source, self._mouth.deafness)

    def beep(self) -> None:
        """A command was heard."""
        if self._mouth is not None and self._settings.tone_on_detection:
            self._mouth.beep()

    def introduce(self, knowledge: Knowledge, sound: Callable[[], bool]) -> None:
        """Where nothing is known, or only half of the first phrases, ask for them as soon as there is ``sound``."""
        if self._mouth is None or not first_phrases_missing(knowledge):
            return
        ready = self._mouth.ready

        def wait() -> None:
            while not sound():
                if self._over.wait(0.2):
                    return
            if ready():
                self._teach()

        threading.Thread(target=wait, name="introduction", daemon=True).start()

    def lesson(self) -> None:
        """Begin a lesson, beside whatever goes on."""
        threading.Thread(target=self._teach, name="lesson", daemon=True).start()

    def hush(self) -> None:
        """Say nothing more."""
        self._over.set()
        if self._mouth is not None:
            self._mouth.hush()

    def close(self) -> None:
        self.hush()
        if self._button is not None:
            self._button.close()

    def _teach(self) -> None:
        try:
            for _ in self._service.ask(Lesson()):
                pass
        except SpeakerdError as error:
            log.info("the lesson ended: %s", error)

    def _pressed(self) -> None:
        """The button: end the lesson that is going on, else begin one."""
        if not self._service.lessons.stop():
            self.lesson()

    def _wired(self) -> "Button | None":
        if self._settings.button is None:
            return None
        from speakerd.speaking.button import Button, ButtonError

        try:
            return Button(self._settings.button, self._pressed)
        except ButtonError as error:
            log.error("no button: %s", error)
            return None
