"""``speakerd doctor``: looks at everything that can be wrong and says what to do about it."""

import grp
import logging
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from speakerd.audio.condition import LOUD, Fault
from speakerd.audio.devices import DeviceError, capture_devices, find_device
from speakerd.audio.segmenter import decibels
from speakerd.cli.common import Session, common
from speakerd.config import Config, ConfigError, where
from speakerd.control.messages import Status
from speakerd.control.socket import SYSTEM_SOCKET
from speakerd.errors import SpeakerdError
from speakerd.events import Waiting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """``good`` None: neither good nor bad, for information. ``mend`` is a command that puts it right, where one can."""

    what: str
    good: bool | None
    words: str
    remedy: str | None = None
    mend: str | None = None


@click.command()
@click.option("--mend", is_flag=True, help="First put right what can be: a muted microphone, a service that failed.")
@common
def doctor(session: Session, mend: bool) -> None:
    """Look at microphone, models, state, settings and service; say what to do about each fault."""
    faults = 0
    for found in list(_findings(session)) if mend else []:
        if found.good is False and found.mend:
            session.say({"mend": found.mend}, f"mend  {found.what}: {found.mend}")
            _put_right(found.mend)
    for finding in _findings(session):
        faults += finding.good is False
        mark = {True: "ok   ", False: "FAULT", None: "     "}[finding.good]
        remedy = f"\n        do: {finding.remedy}" if finding.remedy else ""
        session.say(msgspec.to_builtins(finding), f"{mark} {finding.what}: {finding.words}{remedy}")
    if faults:
        raise SystemExit(1)


def _put_right(command: str) -> None:
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("that did not help: %s", error)
        return
    if done.returncode:
        log.warning("that did not help: %s", done.stderr.strip())


def _findings(session: Session) -> Iterator[Finding]:
    try:
        config = session.config
        yield Finding("settings", True, str(session.config_path or where(None, "audio")))
    except ConfigError as error:
        yield Finding("settings", False, str(error), "mend these lines; the defaults are used meanwhile")
        config = session.config = Config()
    yield from _models(session)
    daemon = yield from _daemon(session)
    if not daemon:
        yield from _state(session)
    muted = yield from _mute(session)
    if (yield from _devices(session, config)) and not daemon and not muted:
        yield from _hearing(config)
    yield from _service()


def _models(session: Session) -> Iterator[Finding]:
    try:
        mind = session.mind
        yield Finding("models", True, f"{mind.encoder.name}, {len(mind.world.lengths)} impostors")
    except SpeakerdError as error:
        yield Finding("models", False, str(error), "reinstall speakerd, or correct recognition.models")


def _daemon(session: Session) -> Generator[Finding, None, bool]:
    """Yields what the running daemon says; returns whether one runs."""
    if session.daemon is None:
        yield Finding("daemon", None, "none is running; commands work on the state themselves")
        return False
    try:
        (status,) = session.ask(Status())
    except SpeakerdError as error:
        yield Finding("daemon", False, str(error))
        return True
    deaf = status["waiting"] and not status["muted"]
    hears = f"no sound: {status['waiting']}" if deaf else f"level {status['level_dbfs']} dBFS"
    yield Finding(
        "daemon", not deaf,
        f"{session.daemon}: up {status['up_seconds']} s, commands: {status['commands']}, {hears}",
        "it goes on trying; is the microphone plugged in, and is audio.device right?" if deaf else None,
    )  # fmt: skip
    if status["microphone"]:
        mend = next((_mixer(session.config, fault) for fault in Fault if fault.words == status["microphone"]), None)
        yield Finding("hearing", False, status["microphone"], status["remedy"], mend)
    return True


def _mute(session: Session) -> Generator[Finding, None, bool]:
    """Yields whether nothing is to be listened to, and returns it."""
    try:
        muted = session.muted()
    except SpeakerdError as error:
        yield Finding("mute", False, str(error))
        return True
    if muted:
        yield Finding("mute", None, f"{muted}: nothing is listened to", "speakerd unmute")
    return muted is not None


def _state(session: Session) -> Iterator[Finding]:
    try:
        known = session.knowledge()
        free = shutil.disk_usage(session.state).free // 2**20
        good = free > 20
        yield Finding(
            "state", good, f"{session.state}: commands: {len(known.commands)}, {free} MB free",
            None if good else "free some space: nothing new can be kept",
        )  # fmt: skip
    except SpeakerdError as error:
        yield Finding("state", False, str(error))


def _devices(session: Session, config: Config) -> Generator[Finding, None, bool]:
    """Yields the capture devices; returns whether the chosen one is there."""
    try:
        for device in capture_devices():
            yield Finding("capture device", None, str(device))
        chosen = find_device(config.audio.device)
        yield Finding("microphone", True, str(chosen))
        return True
    except DeviceError as error:
        remedy = "plug one in, or set audio.device; a user's PipeWire microphone needs `script/install-service --user`"
        yield Finding("microphone", False, f"{where(session.config_path, 'audio.device')}: {error}", remedy)
        return False


def _hearing(config: Config) -> Iterator[Finding]:
    """Two seconds of what the microphone hears."""
    from contextlib import closing

    from speakerd.audio.microphone import STARTS_WITHIN, Microphone

    levels: list[float] = []
    begun = time.monotonic()
    with closing(Microphone(config.audio.device, config.audio.channel)) as microphone:
        for frame in microphone:
            if not isinstance(frame, Waiting):
                levels.append(decibels(frame))
            elif time.monotonic() > begun + STARTS_WITHIN:  # a sound server takes its time
                yield Finding("hearing", False, frame.reason)
                return
            if len(levels) == 100:
                break
    loudest, quietest = max(levels), min(levels)
    words = f"between {quietest:.0f} and {loudest:.0f} dBFS in two seconds"
    if loudest <= -95:
        yield Finding(
            "hearing", False, f"{Fault.SILENT.words} ({words})", Fault.SILENT.remedy, _mixer(config, Fault.SILENT)
        )
    elif quietest > -30:
        mend = _mixer(config, Fault.OVERDRIVEN)
        yield Finding("hearing", False, f"very loud ({words})", Fault.OVERDRIVEN.remedy, mend)
    elif loudest < LOUD:
        remedy = f"nothing, if nobody spoke just now; else {Fault.QUIET.remedy}"
        yield Finding("hearing", None, f"nothing was loud enough to be speech ({words})", remedy)
    else:
        yield Finding("hearing", True, words)


def _mixer(config: Config, fault: Fault) -> str | None:
    """The command that mends a fault of the chosen microphone in its card's mixer."""
    to = {Fault.SILENT: "70% cap", Fault.OVERDRIVEN: "20%-"}.get(fault)
    if to is None or shutil.which("amixer") is None:
        return None
    try:
        card = re.search(r"\(hw:(\d+)", find_device(config.audio.device).name)
    except DeviceError:
        return None
    return f"amixer -q {f'-c {card[1]} ' if card else ''}sset Capture {to}"


def _service() -> Iterator[Finding]:
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").exists():
        yield Finding("service", None, "systemd does not run here")
        return
    for scope in ((), ("--user",)):
        done = subprocess.run(
            ["systemctl", *scope, "is-active", "speakerd"], capture_output=True, text=True, check=False
        )
        name = "service (user)" if scope else "service"
        words = done.stdout.strip() or done.stderr.strip() or "unknown"
        if words == "failed":
            restart = " ".join(["systemctl", *scope, "restart", "speakerd"])
            yield Finding(name, False, words, "`journalctl -u speakerd` says why; start it again", restart)
        else:
            yield Finding(name, None, words)
    if SYSTEM_SOCKET.parent.exists() and os.getuid() != 0:
        try:
            members = grp.getgrnam("speakerd")
            mine = members.gr_gid in os.getgroups()
            yield Finding(
                "group", mine, "this user may teach" if mine else "this user is not in the group speakerd",
                None if mine else "sudo usermod -aG speakerd $USER, then log in again",
            )  # fmt: skip
        except KeyError:
            yield Finding("group", False, "there is no group speakerd", "run script/install-service again")
