"""What every output is tried with."""

import dataclasses
import time
from collections.abc import Callable

import pytest

from speakerd.events import Detection

HEARD = Detection(
    id="d7",
    time=12.5,
    start=11.25,
    command="Küche hell 💡",
    score=3.5,
    threshold=1.25,
    accepted=True,
    speaker=None,
    at=1764000000.25,
    action=None,
)


@pytest.fixture
def heard() -> Callable[..., Detection]:
    """Make a detection; what is not said is as in HEARD."""
    return lambda **changes: dataclasses.replace(HEARD, **changes)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until something is true, at the longest ten seconds."""

    def eventually(true: Callable[[], object]) -> None:
        until = time.monotonic() + 10
        while not true():
            assert time.monotonic() < until, "it did not come true within ten seconds"
            time.sleep(0.01)

    return eventually
