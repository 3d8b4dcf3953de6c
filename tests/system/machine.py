"""A machine that systemd runs: this one's files under an overlay, booted by systemd-nspawn."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.needs import lacking, need

# In a mount namespace of its own, so that whatever happens, nothing stays mounted when its processes are gone.
BOOT = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
shift
exec setpriv --pdeathsig=TERM systemd-nspawn "$@"
"""
NSPAWN = ["--boot", "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe", "--private-network"]


def need_machine() -> None:
    need("systemd-nspawn", "nsenter", "setpriv", "unshare")
    if os.geteuid() != 0:
        lacking("root, to boot a machine in a container (sudo)")


class Machine:
    """``shared`` are folders of this machine by where they are seen in that one."""

    def __init__(self, folder: Path, shared: dict[str, Path]) -> None:
        self._folder = folder
        self._shared = [f"--bind={path}:{there}" for there, path in shared.items()]
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0

    def start(self) -> None:
        """Boot; on return systemd is up."""
        mounted, log = self._folder / "machine", self._folder / "boot.log"
        mounted.mkdir()
        inside = [*NSPAWN, f"--directory={mounted}/root", *self._shared, "systemd.unit=basic.target"]
        command = ["unshare", "--mount", "--propagation=private", "sh", "-euc", BOOT, "boot", str(mounted), *inside]
        with log.open("wb") as file:
            self._nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        if not wait(lambda: self._booted(), 60):
            pytest.fail(f"systemd does not come up in the container:\n{log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """Switch off, without waiting for anybody."""
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        if self._nspawn is not None:
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()

    def command(self, *command: str, user: str = "root", online: bool = False) -> list[str]:
        """The command that runs one over there. ``online``: with the network of this machine, to install things."""
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", *([] if online else ["--net"])]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env"]
        enter = ["nsenter", f"--target={self._init}", *spaces, "--root", "--wd"]
        return [*enter, *([] if user == "root" else become), *command]

    def run(self, *command: str, check: bool = True, **options: Any) -> str:
        """What a command over there prints; it must succeed unless ``check`` is false."""
        done = subprocess.run(self.command(*command, **options), capture_output=True, text=True, timeout=300)
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    @contextlib.contextmanager
    def open(self, *command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """One that goes on over there for as long as this lasts."""
        with subprocess.Popen(self.command(*command, **options), stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def write(self, path: str, text: str) -> None:
        writing = self.command("sh", "-c", 'mkdir -p "${1%/*}"; cat >"$1"', "sh", path)
        subprocess.run(writing, input=text.encode(), check=True)

    def _booted(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            return False
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(FileNotFoundError):  # only one of them remains
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    self._init = int(child)
        if not self._init:  # until then its process is still in this machine, and so would be what runs beside it
            return False
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def wait(until: Callable[[], Any], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not (true := bool(until())) and time.monotonic() < deadline:
        time.sleep(0.2)
    return true
