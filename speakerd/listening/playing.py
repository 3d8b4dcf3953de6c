"""Whether the speaker itself plays: music and talk of its own that are no commands, and that commands drown in."""

import logging
import socket
import threading
import time
from typing import TextIO

log = logging.getLogger(__name__)

PORT = 6600
LOOK = 1.0  # seconds between two looks at what MPD does
PATIENCE = 5.0  # seconds for an answer of MPD's, and before it is tried again


class PlayingSwitch:
    """Turned by whoever plays, and by MPD. Safe to use from several threads."""

    def __init__(self) -> None:
        self._until = 0.0  # monotonic
        self._mpd: Mpd | None = None

    @property
    def on(self) -> bool:
        return time.monotonic() < self._until or (self._mpd is not None and self._mpd.playing)

    def turn(self, on: bool, seconds: float | None = None) -> None:
        """``seconds``: it is off again after so long, should nobody say so."""
        self._until = 0.0 if not on else float("inf") if seconds is None else time.monotonic() + seconds

    def follow(self, address: str | None) -> None:
        """From now on do as the MPD at ``host`` or ``host:port`` does; None: as no MPD does."""
        if self._mpd is not None and self._mpd.address != address:
            self._mpd.over.set()
            self._mpd = None
        if address is not None and self._mpd is None:
            self._mpd = Mpd(address)


class Mpd:
    """Looks every second whether an MPD plays, until ``over`` is set. One that cannot be asked does not play."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.playing = False
        self.over = threading.Event()
        threading.Thread(target=self._watch, name="mpd", daemon=True).start()

    def _watch(self) -> None:
        host, _, port = self.address.partition(":")
        told = False
        while not self.over.is_set():
            try:
                with (
                    socket.create_connection((host, int(port or PORT)), PATIENCE) as connection,
                    connection.makefile("rw", encoding="utf-8", newline="\n") as lines,
                ):
                    lines.readline()  # OK MPD 0.23.5
                    log.info("the MPD at %s says when it plays", self.address)
                    told = False
                    while not self.over.wait(LOOK):
                        self.playing = _plays(lines)
            except OSError as error:
                self.playing = False
                if not told:
                    log.warning("listening.mpd: %s does not say whether it plays: %s", self.address, error)
                told = True
            self.over.wait(PATIENCE)


def _plays(lines: TextIO) -> bool:
    """Raises:
    OSError: there is no answer, or not the one that was asked for.
    """
    lines.write("status\n")
    lines.flush()
    plays = False
    while line := lines.readline():
        plays = plays or line == "state: play\n"
        if line == "OK\n":
            return plays
        if line.startswith("ACK"):
            raise OSError(line.strip())  # it wants a password
    raise ConnectionResetError("it hung up")
