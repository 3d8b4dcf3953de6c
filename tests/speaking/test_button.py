"""A button, pressed by gpiozero's own stand-in for a Pi's pins."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from speakerd.speaking.button import Button, ButtonError
from tests.running import eventually

gpiozero = pytest.importorskip("gpiozero")


@pytest.fixture(autouse=True)
def pins() -> Iterator[None]:
    from gpiozero.pins.mock import MockFactory

    gpiozero.Device.pin_factory = MockFactory()
    yield
    gpiozero.Device.pin_factory.close()
    gpiozero.Device.pin_factory = None


def test_each_press_is_told_of_and_none_after_it_is_closed() -> None:
    presses: list[int] = []
    button = Button(17, lambda: presses.append(1))
    gpiozero.Device.pin_factory.pin(17).drive_low()
    eventually(lambda: len(presses) == 1)
    gpiozero.Device.pin_factory.pin(17).drive_high()
    button.close()
    second = Button(17, lambda: presses.append(2))
    gpiozero.Device.pin_factory.pin(17).drive_low()
    eventually(lambda: presses == [1, 2])
    second.close()


def test_a_pin_that_cannot_be_used_is_said_why() -> None:
    first = Button(17, lambda: None)
    with pytest.raises(ButtonError, match=r"GPIO 17 cannot be used: .*in use"):
        Button(17, lambda: None)
    first.close()


def test_without_gpiozero_it_is_said_how_to_get_it() -> None:
    program = """
import sys
sys.modules["gpiozero"] = None
from speakerd.speaking.button import Button, ButtonError
try:
    Button(17, print)
except ButtonError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert done.stdout == f"gpiozero is not installed: {sys.prefix}/bin/pip install gpiozero lgpio\n"
