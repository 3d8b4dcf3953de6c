"""Which state, and which daemon, a command works on; and states and models that cannot be used."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from speakerd.cli import common
from speakerd.config import Config
from speakerd.control.service import Service
from speakerd.control.socket import Server
from speakerd.house import Mind
from speakerd.listening.journal import Journal
from speakerd.listening.policy import Switches
from speakerd.recognition.encoder import BUNDLED
from tests.cli.conftest import Call
from tests.needs import need
from tests.running import CLIPS, LAMP, NIGHT, SPEAKERD, speakerd

ANY_COMMAND: list[list[object]] = [
    ["commands"],
    ["history"],
    ["undo"],
    ["forget", LAMP],
    ["rename", LAMP, "x"],
    ["enroll", NIGHT, CLIPS[NIGHT][0]],
    ["score", CLIPS[LAMP][0]],
    ["listen", CLIPS[LAMP][0]],
]


@pytest.fixture
def no_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the system's daemon would listen; nobody does yet."""
    path = tmp_path / "system.sock"
    monkeypatch.setattr(common, "SYSTEM_SOCKET", path)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return path


def test_the_state_is_that_of_the_option_of_systemd_or_of_the_user(
    call: Call, no_system: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def states() -> set[str]:
        return {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("speakerd.sqlite")}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    call("commands")
    assert states() == {"home/.local/state/speakerd"}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    call("commands")
    assert states() == {"home/.local/state/speakerd", "xdg/speakerd"}
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "var"))
    call("commands")
    assert states() == {"home/.local/state/speakerd", "xdg/speakerd", "var"}
    call("commands", "--state", "here")
    assert states() == {"home/.local/state/speakerd", "xdg/speakerd", "var", "here"}


def test_the_daemon_of_the_system_is_asked_unless_a_state_is_given(
    call: Call, no_system: Path, mind: Mind, state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    household = mind.household(state, Config())
    service = Service(household, lambda: pytest.fail("no lesson"), 3, Switches.of(state), Journal(0), dict)
    with closing(Server(no_system, service)):
        assert LAMP in call("commands").stdout
        assert LAMP not in call("commands", "--state", tmp_path / "other").stdout
        assert not (tmp_path / "own").exists()
        assert call("rename", LAMP, "x").exit_code == 0
    assert household.knowledge.find("x") is not None
    assert LAMP not in call("commands").stdout
    assert (tmp_path / "own/speakerd/speakerd.sqlite").exists()


def refused(call: Call, state: Path, *options: object) -> set[str]:
    """What every command says; each must end with 1 and say it in one line."""
    said = set()
    for arguments in ANY_COMMAND:
        result = call(*arguments, "--state", state, *options)
        assert result.exit_code == 1, arguments
        assert result.stdout == "", arguments
        said.add(result.stderr)
    daemon = speakerd("run", "--input", CLIPS[LAMP][0], "--state", state, *options)
    assert daemon.returncode == 1
    said.add(daemon.stderr)
    assert all(message.startswith("speakerd: ") and message.count("\n") == 1 for message in said)
    return said


def test_a_file_where_the_state_should_be(call: Call, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("precious")
    for said in refused(call, tmp_path / "state"):
        assert f"{tmp_path}/state: cannot keep state here" in said
        assert "--state DIR" in said
    assert (tmp_path / "state").read_text() == "precious"


def change_layout(state: Path) -> None:
    with closing(sqlite3.connect(state / "speakerd.sqlite")) as database:
        (layout,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {layout + 1}")


def scribble(state: Path) -> None:
    (state / "speakerd.sqlite").write_bytes(b"not a database" * 1000)
    (state / "speakerd.sqlite-wal").unlink(missing_ok=True)  # it may still hold everything


@pytest.mark.parametrize(
    ("happened", "words"),
    [(change_layout, ["written by a newer speakerd", "Update speakerd"]), (scribble, ["is damaged", "backup"])],
)
def test_a_state_that_cannot_be_read(
    call: Call, state: Path, happened: Callable[[Path], None], words: list[str]
) -> None:
    happened(state)
    before = (state / "speakerd.sqlite").read_bytes()
    for said in refused(call, state):
        assert f"{state}/speakerd.sqlite" in said
        assert all(word in said for word in words)
    assert (state / "speakerd.sqlite").read_bytes() == before


def test_an_empty_state_is_none(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("--state", "--config"):
        result = call("commands", option, "")
        assert result.exit_code == 2
        assert f"'{option}': it is empty" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_state_on_a_read_only_disk(state: Path) -> None:
    """For root, modes of files say nothing; a disk that is mounted read-only does."""
    need("unshare")
    mounted = ["unshare", "--user", "--map-root-user", "--mount"]
    freeze = f"mount --bind {state} {state} && mount -o remount,bind,ro {state}"
    if subprocess.run([*mounted, "sh", "-c", freeze], capture_output=True).returncode:
        mounted = ["unshare", "--mount"]
        if subprocess.run([*mounted, "sh", "-c", freeze], capture_output=True).returncode:
            pytest.skip("may not mount anything here")
    before = (state / "speakerd.sqlite").read_bytes()

    def there(*arguments: object) -> "subprocess.CompletedProcess[str]":
        call = [str(argument) for argument in (SPEAKERD, *arguments, "--state", state)]
        return subprocess.run(
            [*mounted, "sh", "-c", f'{freeze} && exec "$@"', "sh", *call], capture_output=True, text=True, timeout=60
        )

    for arguments in (["commands"], ["history"], ["score", CLIPS[LAMP][0]], ["listen", CLIPS[LAMP][0]]):
        done = there(*arguments)
        assert done.returncode == 0, done.stderr
        assert LAMP in done.stdout
    for arguments in (["enroll", NIGHT, CLIPS[NIGHT][0]], ["forget", LAMP], ["run", "--input", CLIPS[LAMP][0]]):
        done = there(*arguments)
        assert done.returncode == 1
        assert str(state) in done.stderr
        assert "--state" in done.stderr
        assert "Traceback" not in done.stderr
    assert (state / "speakerd.sqlite").read_bytes() == before


def test_models_that_are_missing_or_of_another_version(call: Call, state: Path, tmp_path: Path) -> None:
    before = (state / "speakerd.sqlite").read_bytes()
    models, config = tmp_path / "models", tmp_path / "speakerd.yaml"
    config.write_text(f"recognition: {{models: '{models}'}}")
    for said in refused(call, state, "--config", config):
        assert f"{models}/encoder.onnx is missing" in said
    shutil.copytree(BUNDLED, models)
    (models / "pool.onnx").unlink()
    for said in refused(call, state, "--config", config):
        assert f"{models}/pool.onnx is missing" in said
    shutil.copy(BUNDLED / "pool.onnx", models)
    graph = (models / "encoder.onnx").read_bytes()
    assert graph.count(b"format\x12\x012") == 1, "its metadata are not where they were"
    (models / "encoder.onnx").write_bytes(graph.replace(b"format\x12\x012", b"format\x12\x017"))
    for said in refused(call, state, "--config", config):
        assert "is of format 7, this speakerd reads format 2" in said
    assert (state / "speakerd.sqlite").read_bytes() == before


def test_a_setting_that_is_none(call: Call, state: Path, tmp_path: Path) -> None:
    config = tmp_path / "speakerd.yaml"
    config.write_text("listening:\n  false_accept_per_day: 3\n")
    for arguments in (["enroll", NIGHT, CLIPS[NIGHT][0]], ["run", "--input", "-"], ["config", "check"]):
        result = call(*arguments, "--config", config, "--state", state)
        assert result.exit_code == 1
        assert f"{config}:2: " in result.stderr
        assert "false_accepts_per_day" in result.stderr
    assert call("config", "check", "--config", Path(__file__).parents[2] / "config/speakerd.yaml").exit_code == 0


def test_commands_at_the_same_time(state: Path) -> None:
    """Without a daemon they change the state one after the other."""
    calls = [
        subprocess.Popen(
            [SPEAKERD, "enroll", f"lamp {i}", CLIPS[NIGHT][i], "--state", state], stdout=subprocess.DEVNULL
        )
        for i in range(3)
    ]
    assert [one.wait(60) for one in calls] == [0, 0, 0]
    done = speakerd("history", "--json", "--state", state)
    assert len(done.stdout.splitlines()) == 4
    assert speakerd("commands", "--json", "--state", state).stdout.count('"examples": 1') == 3
