"""The daemon's socket, both ends: newline-delimited JSON on a unix socket that the owner's group may use."""

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from speakerd.control.messages import Done, Failed, Item, Reply, Request
from speakerd.control.service import Service
from speakerd.errors import SpeakerdError

log = logging.getLogger(__name__)

SYSTEM_STATE = Path("/var/lib/speakerd")
SYSTEM_SOCKET = Path("/run/speakerd/control.sock")
# Seconds without a word after which a daemon counts as hung: whatever takes longer (a lesson, watching) says something
# several times in so long.
SILENT = 30
LARGEST_REQUEST = 64 * 1024 * 1024  # forty examples of ten seconds


class NoDaemonError(SpeakerdError):
    """Nobody listens on the socket."""


class HungDaemonError(SpeakerdError):
    """Somebody listens on the socket, and says nothing."""


def socket_of(state: Path) -> Path:
    """Where the daemon on a folder of state listens: in it, or beside the system's, which is closed to others."""
    return SYSTEM_SOCKET if state == SYSTEM_STATE else state / "control.sock"


class Server:
    """Serves requests until closed; each connection has a thread of its own."""

    def __init__(self, path: Path, service: Service) -> None:
        """Raises:
        SpeakerdError: the socket cannot be made there.
        """
        self._path, self._service = path, service
        self._closed = False
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # the state is ours, so whoever made it is gone
            self._socket = socket.socket(socket.AF_UNIX)
            with _short(path) as name:
                self._socket.bind(name)
            path.chmod(0o660)
            self._socket.listen(8)
        except OSError as error:
            raise SpeakerdError(f"{path}: cannot listen for commands here: {error.strerror}") from error
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._path.unlink(missing_ok=True)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if self._closed:
                    return
                log.warning("a request could not be taken: %s", error.strerror)
                time.sleep(1)  # too many open files: until somebody hangs up
                continue
            threading.Thread(target=self._serve, args=(connection,), name="request", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(BrokenPipeError, ConnectionError):
            while line := lines.readline(LARGEST_REQUEST):
                whole = line.endswith(b"\n")
                if not whole and len(line) < LARGEST_REQUEST:
                    return  # whoever asked hung up in the middle
                for reply in (
                    self._service.replies(line) if whole else [Failed("too much at once: give fewer recordings")]
                ):
                    connection.sendall(msgspec.json.encode(reply) + b"\n")
                if not whole:
                    return


def ask(path: Path, request: Request) -> Iterator[dict[str, Any]]:
    """Ask the daemon that listens on ``path``.

    Raises:
        NoDaemonError: nobody listens there, or this user may not speak to it.
        HungDaemonError: it does not answer.
        SpeakerdError: what the daemon answered.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            # Where too many wait already, connecting does; with a timeout of Python's it would fail at once.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SILENT, 0))
            with _short(path) as name:
                connection.connect(name)
            connection.settimeout(SILENT)
        except BlockingIOError as error:
            raise _hung(path) from error
        except PermissionError as error:
            raise NoDaemonError(
                f"{path}: this user may not speak to the daemon. Join its group: sudo usermod -aG speakerd $USER, "
                "then log in again"
            ) from error
        except OSError as error:
            raise NoDaemonError(f"no speakerd is running on {path}") from error
        try:
            for reply in _replies(connection, request):
                match reply:
                    case Item(value):
                        if value:
                            yield value
                    case Failed(message):
                        raise SpeakerdError(message)
                    case Done():
                        return
        except TimeoutError as error:
            raise _hung(path) from error
    raise SpeakerdError("the daemon went away before it had answered; `journalctl -u speakerd` may say why")


def _hung(path: Path) -> HungDaemonError:
    return HungDaemonError(
        f"the daemon on {path} has said nothing for {SILENT} s: it hangs, or was stopped. End it and start it anew "
        "(`systemctl restart speakerd`); should it go on, it may yet do what was asked"
    )


def _replies(connection: socket.socket, request: Request) -> Iterator[Reply]:
    """Until the daemon hangs up."""
    try:
        with contextlib.suppress(BrokenPipeError):  # then it says why it did not want to hear more
            connection.sendall(msgspec.json.encode(request) + b"\n")
        with connection.makefile("rb") as lines:
            for line in lines:
                yield msgspec.json.decode(line, type=Reply)
    except ConnectionError:  # it was killed
        return


def answers(path: Path) -> bool:
    """Whether a daemon listens on ``path`` (True also where this user may not speak to it, or it does not answer)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            with _short(path) as name:
                connection.connect(name)
        except (PermissionError, BlockingIOError):
            return True
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path of a socket in less than the 108 bytes that the kernel allows, however long it is."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
