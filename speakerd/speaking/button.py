"""A button on a GPIO pin, by gpiozero (extra ``gpio``)."""

import sys
from collections.abc import Callable
from typing import Any

from speakerd.errors import SpeakerdError

BOUNCES = 0.05  # seconds for which its contacts do, so that one press is one


class ButtonError(SpeakerdError):
    """There is no such button; the message says why."""


class Button:
    """Calls ``pressed`` each time that a button between the pin (BCM number) and ground is pressed.

    Raises:
        ButtonError: gpiozero is not installed, or the pin cannot be used.
    """

    def __init__(self, pin: int, pressed: Callable[[], None]) -> None:
        try:
            import gpiozero
        except ImportError as error:
            raise ButtonError(f"gpiozero is not installed: {sys.prefix}/bin/pip install gpiozero lgpio") from error
        try:
            self._button: Any = gpiozero.Button(pin, bounce_time=BOUNCES)
        except Exception as error:  # of gpiozero, or of any of the libraries that it may use
            raise ButtonError(f"GPIO {pin} cannot be used: {error}") from error
        self._button.when_pressed = pressed

    def close(self) -> None:
        self._button.close()
