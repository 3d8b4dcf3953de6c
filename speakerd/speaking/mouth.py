"""The mouth: says phrases and plays tones, one at a time, and keeps the microphone deaf meanwhile."""

import logging
import threading
import time
from typing import Any

import numpy as np

from speakerd.audio.devices import DeviceError, aside, find_loudspeaker
from speakerd.audio.features import SAMPLE_RATE
from speakerd.config.settings import Speaking
from speakerd.events import Samples
from speakerd.speaking.deaf import Deafness
from speakerd.speaking.phrases import Phrases
from speakerd.speaking.player import Player
from speakerd.speaking.synthesiser import Synthesiser, SynthesiserError
from speakerd.speaking.tones import HEARD, READY, instead_of, tones

log = logging.getLogger(__name__)

# Seconds of deafness after a sound: what is on its way through the loudspeaker's and the microphone's buffers, and the
# room's echo. Less than people need to begin after a tone.
ECHO = 0.3


class Mouth:
    """Speaks as the settings say. Without a synthesiser there are tones, without a loudspeaker there is silence, and
    the log says so once."""

    def __init__(self, settings: Speaking) -> None:
        self._phrases = Phrases(settings.language)
        self._player = Player(settings.device, settings.volume)
        self.deafness = Deafness()
        self._one_at_a_time = threading.Lock()
        self._hush = threading.Event()
        self._told = ""
        self._synthesiser: Synthesiser | None = None
        try:
            self._synthesiser = Synthesiser(settings.voice or self._phrases.espeak)
        except SynthesiserError as error:
            log.warning("tones instead of speech: %s", error)

    def ready(self) -> bool:
        """Whether there is a loudspeaker; the log says why not."""
        try:
            find_loudspeaker(self._player.wanted)
        except DeviceError as error:
            self._tell(f"no loudspeaker: {error}")
            return False
        return True

    def say(self, key: str, ready: bool = False, **values: Any) -> str:
        """Say a phrase, then the tone after which somebody is to speak if ``ready``; returns the text when it has been
        heard."""
        text = self.text(key, **values)
        with self._one_at_a_time:
            if self._hush.is_set():
                return text
            log.info("says: %s", text)
            self._play(np.concatenate([self._spoken(key, text), tones(*READY)]) if ready else self._spoken(key, text))
        return text

    def text(self, key: str, **values: Any) -> str:
        """A phrase in the speaker's language."""
        return self._phrases.text(key, **values)

    def beep(self) -> None:
        """The tone for a command that was heard; returns at once. While something else is said there is none."""
        if self._one_at_a_time.acquire(blocking=False):
            aside(self._beep)

    def hush(self, silent: bool = True) -> None:
        """Break off what is being said and say nothing more, or speak again."""
        (self._hush.set if silent else self._hush.clear)()

    def _beep(self) -> None:
        try:
            self._play(tones(*HEARD))
        finally:
            self._one_at_a_time.release()

    def _spoken(self, key: str, text: str) -> Samples:
        if self._synthesiser is not None:
            try:
                pause = np.zeros(SAMPLE_RATE // 10, np.float32)
                return np.concatenate([self._synthesiser.speech(text), pause])
            except SynthesiserError as error:
                self._tell(f"tones instead of speech: {error}")
        return instead_of(key)

    def _play(self, sound: Samples) -> None:
        with self.deafness.while_playing():
            try:
                self._player.play(sound, self._hush)
                self._told = ""
            except DeviceError as error:
                self._tell(f"no loudspeaker: {error}")
            time.sleep(ECHO)

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            log.warning("%s", trouble)
