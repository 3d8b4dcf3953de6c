"""The ways out of the house: each accepted detection goes to the log, to a file, and to the actions it sets off."""

import logging
import time
from collections.abc import Callable, Mapping

from speakerd.config import Outputs as Settings
from speakerd.config import ShellAction, WebhookAction
from speakerd.events import Ambiguous, Detection
from speakerd.outputs.lane import Lane
from speakerd.outputs.lines import JsonLines, write_log
from speakerd.outputs.shell import Shell
from speakerd.store.knowledge import name_key

log = logging.getLogger(__name__)

JSON_BACKLOG = 1000  # lines that wait while a disk or a reader is slow


class Outputs:
    """Sends detections on; neither a slow nor a broken output holds up the one who sends."""

    def __init__(self, settings: Settings, built_in: Mapping[str, Callable[[Detection], None]] = {}) -> None:
        """``built_in`` are actions of speakerd's own, which need no settings."""
        self._log = settings.log
        self._json: Lane | None = None
        if settings.json is not None:
            self._json = Lane("outputs.json", JsonLines(settings.json).write, running=1, waiting=JSON_BACKLOG)
        self._shells: list[Shell] = []
        self._actions = {name: self._lane(name, action) for name, action in settings.actions.items()}
        self._actions |= {name: Lane(f"action '{name}'", work, running=1) for name, work in built_in.items()}
        self._on: dict[str, list[str]] = {}
        for command, names in settings.on.items():
            self._on.setdefault(name_key(command), []).extend(names)
        self._by = {
            (name_key(who), name_key(command)): names
            for who, on in settings.by.items()
            for command, names in on.items()
        }

    def send(self, detection: Detection) -> None:
        """Hand an accepted detection to every output and action that it is for; returns at once. One that was too close
        to call sets nothing off."""
        if isinstance(detection, Ambiguous) and self._json is not None:
            self._json.submit(detection)
        if not detection.accepted:
            return
        if self._log:
            write_log(detection)
        if self._json is not None:
            self._json.submit(detection)
        for name in self._actions_for(detection):
            self._actions[name].submit(detection)

    def close(self, timeout: float) -> None:
        """Take nothing more; after ``timeout`` seconds at the latest, kill the programs that still run and return."""
        until = time.monotonic() + timeout
        lanes = [*self._actions.values(), *([self._json] if self._json else [])]
        for lane in lanes:
            lane.close()
        unfinished = [lane.name for lane in lanes if not lane.wait(until)]
        for shell in self._shells:
            shell.stop()
        if unfinished:
            log.warning("not finished within %g s, given up: %s", timeout, ", ".join(unfinished))

    def _lane(self, name: str, action: ShellAction | WebhookAction) -> Lane:
        title = f"action '{name}'"
        if isinstance(action, ShellAction):
            shell = Shell(name, action)
            self._shells.append(shell)
            return Lane(title, shell.run, action.running)
        from speakerd.outputs.webhook import Webhook

        return Lane(title, Webhook(name, action).run, action.running)

    def _actions_for(self, detection: Detection) -> list[str]:
        """The action that the command was taught with and those the settings add, each once; of a person with a line
        of their own for it, what that says instead."""
        key = name_key(detection.command)
        own = self._by.get((name_key(detection.speaker), key)) if detection.speaker else None
        if own is None:
            own = [*([detection.action] if detection.action else []), *self._on.get(key, ())]
        names = list(dict.fromkeys([*own, *self._on.get("*", ())]))
        for name in names:
            if name not in self._actions:
                log.warning(
                    "'%s' sets off the action '%s', which is not in the settings (outputs.actions): nothing done",
                    detection.command,
                    name,
                )
        return [name for name in names if name in self._actions]
