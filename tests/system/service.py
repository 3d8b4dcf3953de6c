"""What people do with the service on a machine: install it, teach it, speak to it, change its settings, take it off."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.system.machine import Machine, wait
from tests.system.pulse import Pulse
from tests.system.speech import PHRASE

INSTALL, UNINSTALL = "/checkout/script/install-service", "/checkout/script/uninstall-service"


class Service:
    """The service of the whole machine, or of a ``session``: that of the teacher, who may use sudo on it."""

    def __init__(self, machine: Machine, pulse: Pulse, session: bool = False) -> None:
        self.machine, self._pulse = machine, pulse
        runtime = f"XDG_RUNTIME_DIR=/run/user/{machine.run('id', '-u', 'teacher').strip()}"
        self._as = ["env", runtime if session else "SUDO_USER=teacher"]
        self._owner = "teacher" if session else "root"
        self._scope = ["--user"] if session else []
        self._entries = ["_SYSTEMD_USER_UNIT=speakerd.service" if session else "--unit=speakerd"]

    def install(self) -> str:
        """Install it; on return it listens."""
        with self.logs("listening on 'default'"):
            return self._run(INSTALL, *self._scope, online=True)

    def uninstall(self, *options: str) -> None:
        self._run(UNINSTALL, *self._scope, *options)

    def systemctl(self, *arguments: str) -> str:
        return self._run("systemctl", *self._scope, *arguments)

    def property(self, name: str) -> str:
        return self.systemctl("show", f"--property={name}", "--value", "speakerd").strip()

    def speakerd(self, *arguments: str) -> list[dict[str, Any]]:
        printed = self.machine.run("sh", "-lc", '"$0" "$@"', "speakerd", *arguments, "--json", user="teacher")
        return [json.loads(line) for line in printed.splitlines()]

    def set(self, settings: str, then: str) -> None:
        """Change the settings; ``then`` is what the log says to that."""
        self.machine.write("/etc/speakerd/speakerd.yaml", settings)
        with self.logs(then, "listening on 'default'"):
            self.systemctl("reload", "speakerd")

    def learn(self, clips: list[Path]) -> Path:
        """Learn the phrase from some recordings; another one in which it is recognised."""
        seen = [f"/run/clips/{clip.name}" for clip in clips]
        taught = self.speakerd("enroll", PHRASE, *seen[:3])[-1]
        assert (taught["command"], taught["examples"]) == (PHRASE, 3)
        scored = self.speakerd("score", *seen[3:])
        best = max(scored, key=lambda one: float(one["score"]))
        assert best["accepted"], scored
        return clips[seen.index(best["file"])]

    def hear(self, recording: Path) -> None:
        """Hear a recording of the phrase, and recognise it."""
        with self.logs(f"heard '{PHRASE}'"):
            self._pulse.play(recording)

    @contextmanager
    def logs(self, *texts: str) -> Iterator[None]:
        """What happens makes it log lines with these texts."""
        begin = len(self._log())
        yield
        for text in texts:
            assert wait(partial(self._logged, text, begin), 30), f"no '{text}' in {self._log()[begin:]}"

    def _logged(self, text: str, begin: int) -> bool:
        return any(text in line for line in self._log()[begin:])

    def _log(self) -> list[str]:
        return self.machine.run("journalctl", *self._entries, "--output=cat").splitlines()

    def _run(self, *command: str, **options: Any) -> str:
        return self.machine.run(*self._as, *command, user=self._owner, **options)
