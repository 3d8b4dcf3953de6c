"""Run a program for a detection: from a list of arguments, never through a shell, and no longer than allowed."""

import contextlib
import errno
import logging
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

from speakerd.config import ShellAction
from speakerd.events import Detection

log = logging.getLogger(__name__)

TOLD = ("command", "score", "time", "start", "at", "id", "speaker", "action")
# How systemd knows speakerd: a program that speaks to it too must not speak for speakerd.
NOT_INHERITED = (b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID")
TAIL = 1000  # bytes of a failing program's output that reach the log, at most LINES lines
LINES = 5
LOOK = 50  # milliseconds between two looks whether a program has ended


class Shell:
    """An action that runs a program.

    It is over when the program ends: what that leaves in the background goes on. At the timeout the program is killed
    with its whole process group.
    """

    def __init__(self, name: str, action: ShellAction) -> None:
        self._name, self._action = name, action
        # Guards the moment between a program's end and nobody else having its process id.
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, detection: Detection) -> None:
        """Run the program to its end, and log what goes wrong."""
        deadline = time.monotonic() + self._action.timeout
        try:
            program = subprocess.Popen(
                [argument.encode() for argument in self._action.shell],
                env=_environment(detection),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            log.warning("action '%s': %s", self._name, _why_not_started(self._action.shell[0], error))
            return
        with self._lock:
            self._alive.add(program)
        with program:
            status, output = self._follow(program, deadline)
        if status:
            log.warning("action '%s': %s %s%s", self._name, self._action.shell[0], self._end(status, deadline), output)

    def stop(self) -> None:
        """Kill what is running, and at once what is still begun."""
        self._stopped = True
        for program in [*self._alive]:
            self._kill(program)

    def _follow(self, program: subprocess.Popen[bytes], deadline: float) -> tuple[int, str]:
        """Wait for the end: the exit status and the last lines of the output."""
        assert program.stdout is not None
        pipe = program.stdout.fileno()
        readable = select.poll()
        readable.register(pipe, select.POLLIN)
        tail = b""
        while True:
            status = self._status(program)
            # After its end nothing is waited for: something in the background may hold the pipe open for ever.
            if readable.poll(LOOK if status is None else 0):
                output = os.read(pipe, 65536)
                tail = (tail + output)[-TAIL:]
                if not output:
                    readable.unregister(pipe)
            if status is not None:
                return status, _last_lines(tail)
            if self._stopped or time.monotonic() >= deadline:
                self._kill(program)

    def _status(self, program: subprocess.Popen[bytes]) -> int | None:
        with self._lock:
            status = program.poll()
            if status is not None:
                self._alive.discard(program)
            return status

    def _kill(self, program: subprocess.Popen[bytes]) -> None:
        # A program that became another user's cannot be killed; it is waited for.
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if program in self._alive:
                os.killpg(program.pid, signal.SIGKILL)

    def _end(self, status: int, deadline: float) -> str:
        if status == -signal.SIGKILL and self._stopped:
            return "was killed, since speakerd ends"
        if status == -signal.SIGKILL and time.monotonic() >= deadline:
            return f"was killed after {self._action.timeout:g} s, with all that it started"
        if status < 0:
            return f"was ended by {signal.strsignal(-status)} (signal {-status})"
        return f"failed with exit status {status}"


def _environment(detection: Detection) -> dict[bytes, bytes]:
    """speakerd's own environment and what was heard, as UTF-8 whatever the locale says."""
    environment = {key: value for key, value in os.environb.items() if key not in NOT_INHERITED}
    for field in TOLD:
        value = getattr(detection, field)
        environment[f"SPEAKERD_{field.upper()}".encode()] = b"" if value is None else str(value).encode()
    return environment


def _last_lines(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()][-LINES:]
    text = " | ".join("".join(letter if letter.isprintable() else " " for letter in line) for line in lines)
    return f": {text}" if text else ""


def _why_not_started(program: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        if "/" not in program:
            return f"there is no program '{program}' on the PATH; give its whole path"
        if Path(program).exists():
            return f"'{program}' asks in its first line for an interpreter that is not there"
        return f"there is no program '{program}'"
    if isinstance(error, PermissionError):
        return f"'{program}' may not be run; is it a program, and executable (chmod +x)?"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return f"'{program}' is not a program; a script needs a first line such as #!/bin/sh"
    return f"'{program}' cannot be started: {error}"
