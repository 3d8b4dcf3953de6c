"""Tells systemd how the service is (sd_notify(3)): a datagram to the socket that it names in the environment."""

import contextlib
import os
import socket
import time


def notify(*lines: str) -> None:
    """Send lines such as ``READY=1``; does nothing when not started by systemd, or when nobody listens there."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
            sender.settimeout(1)  # a manager that hangs must not hold up who listens
            sender.connect("\0" + path[1:] if path.startswith("@") else path)
            sender.send("\n".join(lines).encode())


def notify_reloading() -> None:
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


class Watchdog:
    """Feeds systemd's watchdog, three times in each of its periods at most, as long as :meth:`fed` is called."""

    def __init__(self) -> None:
        self._every = int(os.environ.get("WATCHDOG_USEC", "0")) / 3e6
        self._last = 0.0

    def fed(self) -> None:
        if self._every and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            notify("WATCHDOG=1")
