"""Detections as lines: of words in the log, of JSON in a file or on the standard output."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from speakerd.events import Ambiguous, Detection

log = logging.getLogger(__name__)


def record(detection: Detection) -> dict[str, Any]:
    """A detection as every machine-readable output tells it."""
    return {
        "id": detection.id,
        "time": detection.time,
        "start": detection.start,
        "command": detection.command,
        "score": detection.score,
        "accepted": detection.accepted,
        "speaker": detection.speaker,
        "at": detection.at,
        "action": detection.action,
        "threshold": detection.threshold,
        "rule": detection.rule,
    } | ({"ambiguous_with": detection.other} if isinstance(detection, Ambiguous) else {})


def write_log(detection: Detection) -> None:
    log.info(
        "heard '%s' (score %.2f, needed %.2f%s) at %.2f s [%s]",
        detection.command,
        detection.score,
        detection.threshold,
        "".join(_circumstances(detection)),
        detection.time,
        detection.id,
    )


def _circumstances(detection: Detection) -> Iterator[str]:
    if detection.speaker:
        yield f", spoken by {detection.speaker}"
    if detection.evidence:
        yield f", {detection.evidence.level - detection.evidence.room:.0f} dB above the room"
        if other := detection.evidence.next_after(detection.command):
            yield f", next '{other[0]}' with {other[1]:.2f}"


class JsonLines:
    """Appends a line of JSON for each detection to ``path`` ("-" is the standard output).

    The file is opened for each line, so that it may be rotated, removed or on a disk that comes and goes. One warning
    tells of a file that cannot be written, another line of the log that it can again.
    """

    def __init__(self, path: str) -> None:
        self._path = path if path == "-" else str(Path(path).expanduser())
        self._lost = 0

    def write(self, detection: Detection) -> None:
        line = msgspec.json.encode(record(detection)) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            if not self._lost:
                log.warning("outputs.json: %s cannot be written: %s", self._path, error.strerror)
            self._lost += 1
            return
        if self._lost:
            log.warning("outputs.json: %s can be written again; lines that are missing: %d", self._path, self._lost)
            self._lost = 0

    def _append(self, line: bytes) -> None:
        if self._path == "-":
            _write_all(1, line)
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            before = os.fstat(descriptor)
            try:
                _write_all(descriptor, line)
            except OSError:
                if stat.S_ISREG(before.st_mode):  # a full disk takes the first half of a line
                    os.ftruncate(descriptor, before.st_size)
                raise
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
