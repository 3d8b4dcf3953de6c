"""A button on a stand-in for a Pi's pins, in the daemon's speaking side."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.config.settings import Speaking
from speakerd.control.service import Service
from speakerd.control.speech import Speech
from speakerd.events import Samples, Waiting
from speakerd.learning.household import Household
from tests.control.conftest import Ears
from tests.control.test_lessons import hears
from tests.learning.test_spoken import Person
from tests.recordings import room
from tests.running import eventually

gpiozero = pytest.importorskip("gpiozero")


class Nobody(Person):
    """Never speaks, for as long as it is listened to."""

    @contextmanager
    def ears(self) -> Iterator[Iterator[Samples | Waiting]]:
        yield self._slowly()

    def _slowly(self) -> Iterator[Samples]:
        for frame in frames_of(room(20)):
            time.sleep(0.01)
            yield frame


@pytest.fixture
def pin() -> Iterator[Any]:
    from gpiozero.pins.mock import MockFactory

    gpiozero.Device.pin_factory = MockFactory()
    yield gpiozero.Device.pin_factory.pin(17)
    gpiozero.Device.pin_factory.close()
    gpiozero.Device.pin_factory = None


def test_one_press_begins_a_lesson_and_the_next_ends_it(
    pin: Any, household: Household, service: Service, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = Speech(Speaking(enabled=True, button=17), service)
    person = Nobody()
    hears(service, person, ears, monkeypatch)
    pin.drive_low()
    eventually(lambda: "ask_learn" in person.phrases)
    pin.drive_high()
    eventually(lambda: service.lessons._spoken is not None)
    # gpiozero takes what comes within the time that contacts bounce for one press
    time.sleep(0.2)
    pin.drive_low()
    eventually(lambda: person.phrases[-1] == "stopped")
    assert household.knowledge.commands == ()
    speech.close()


def test_a_pin_that_cannot_be_used_is_logged_and_the_rest_goes_on(
    pin: Any, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    holder = gpiozero.Button(17)
    speech = Speech(Speaking(enabled=True, button=17), service)
    assert "no button: GPIO 17 cannot be used" in caplog.text
    assert service.lessons.voice is not None
    speech.close()
    holder.close()
