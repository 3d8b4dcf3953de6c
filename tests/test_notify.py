"""What a service tells systemd; the daemon's own messages are tested with the daemon."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from speakerd.notify import Watchdog, notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The end of systemd, which names its socket in one of two ways."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        if request.param == "path":
            name = str(tmp_path / "notify")
            listening.bind(name)
        else:
            listening.bind("")  # the kernel chooses a name
            name = "@" + listening.getsockname()[1:].decode()
        listening.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_all_lines_come_in_one_message(manager: socket.socket) -> None:
    notify("READY=1", "STATUS=listening for 3 commands")
    assert manager.recv(1000) == b"READY=1\nSTATUS=listening for 3 commands"


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_a_manager_that_is_gone_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("WATCHDOG=1")


def test_a_manager_that_hangs_holds_nobody_up(manager: socket.socket) -> None:
    """It does not read; the kernel keeps some messages for it, and then no more."""
    began = time.monotonic()
    while time.monotonic() < began + 0.5:
        notify("WATCHDOG=1")
    assert time.monotonic() < began + 5


def test_the_watchdog_is_fed_three_times_in_a_period_and_no_more(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    watchdog = Watchdog()
    began = time.monotonic()
    while time.monotonic() < began + 0.45:  # as often as frames come, and oftener
        watchdog.fed()
    manager.setblocking(False)
    fed = 0
    while True:
        try:
            assert manager.recv(1000) == b"WATCHDOG=1"
        except BlockingIOError:
            break
        fed += 1
    assert 4 <= fed <= 5


def test_without_a_watchdog_none_is_fed(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    Watchdog().fed()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)
