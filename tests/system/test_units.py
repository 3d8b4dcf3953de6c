"""The units as systemd judges them without starting them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import need

UNITS = Path(__file__).parents[2] / "systemd"


def analyze(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("name, scope", [("speakerd.service", "--system"), ("speakerd-user.service", "--user")])
def test_every_line_of_a_unit_means_something(name: str, scope: str, tmp_path: Path) -> None:
    need("systemd-analyze")
    lines = (UNITS / name).read_text().splitlines()
    started = next(line for line in lines if line.startswith("ExecStart="))
    # The program need not be installed where the tests run.
    unit = tmp_path / "speakerd.service"
    unit.write_text("\n".join("ExecStart=/bin/true run" if line == started else line for line in lines))
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    judged = analyze(scope, "verify", "--recursive-errors=yes", unit, env=env)
    assert (judged.returncode, judged.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchDogSec"))
    assert analyze(scope, "verify", "--recursive-errors=yes", unit, env=env).returncode != 0


def test_the_service_is_exposed_to_little() -> None:
    need("systemd-analyze")
    judged = analyze("security", "--offline=true", "--threshold=25", UNITS / "speakerd.service")
    assert judged.returncode == 0, judged.stdout[-200:]
