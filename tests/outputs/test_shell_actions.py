"""Programs run for a detection: real ones."""

import ast
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from speakerd.config import ShellAction
from speakerd.outputs.shell import Shell


def python(code: str, *arguments: str, **settings: float) -> ShellAction:
    return ShellAction([sys.executable, "-c", code, *arguments], **settings)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def typed(text: str) -> Iterator[None]:
    """Something waits on the standard input."""
    saved = os.dup(0)
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_the_program_learns_everything(heard, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("HOUSE", "ours")
    monkeypatch.delenv("SPEAKERD_TEST_ALL", raising=False)  # of the tests themselves
    code = """
import os, sys
told = {key: value for key, value in os.environ.items() if key.startswith("SPEAKERD_")}
print(sorted(told.items()), sys.argv[2:], repr(sys.stdin.read()), os.environ.get("NOTIFY_SOCKET"), os.environ["HOUSE"],
      os.getpid() == os.getpgid(0), sep="\\n", file=open(sys.argv[1], "w", encoding="utf-8"))
"""
    out = tmp_path / "out"
    action = python(code, str(out), "$HOME; ls *", "zwei Wörter")
    with typed("not for the program\n"):
        Shell("lamp", action).run(heard(speaker="Zoë", action="lamp"))
    assert messages(caplog) == []
    told, arguments, stdin, notify, house, own_group = out.read_text().splitlines()
    assert dict(ast.literal_eval(told)) == {
        "SPEAKERD_COMMAND": "Küche hell 💡",
        "SPEAKERD_SCORE": "3.5",
        "SPEAKERD_TIME": "12.5",
        "SPEAKERD_START": "11.25",
        "SPEAKERD_AT": "1764000000.25",
        "SPEAKERD_ID": "d7",
        "SPEAKERD_SPEAKER": "Zoë",
        "SPEAKERD_ACTION": "lamp",
    }
    assert (arguments, stdin) == ("['$HOME; ls *', 'zwei Wörter']", "''")
    assert (notify, house, own_group) == ("None", "ours", "True")


def test_what_is_not_known_is_empty(heard, tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(os.environ['SPEAKERD_SPEAKER'] + os.environ['SPEAKERD_ACTION'])"
    )
    Shell("lamp", python(code, str(out))).run(heard())
    assert out.read_text() == ""


def test_a_failure_is_told_with_its_last_lines(heard, caplog):
    code = "import sys; print('\\n'.join(map(str, range(100000))), flush=True); sys.exit('no \\x1b[31mlamp')"
    Shell("lamp", python(code)).run(heard())
    assert messages(caplog) == [
        f"action 'lamp': {sys.executable} failed with exit status 1: 99996 | 99997 | 99998 | 99999 | no  [31mlamp"
    ]


def test_only_the_end_of_a_long_line_is_told(heard, caplog):
    Shell("lamp", python("print('x' * 100000); exit(2)")).run(heard())
    assert 500 < len(messages(caplog)[0]) < 1200


def test_success_is_silent_whatever_it_says(heard, caplog):
    Shell("lamp", python("print('x' * 1000000)")).run(heard())
    assert messages(caplog) == []


def test_death_by_a_signal(heard, caplog):
    Shell("lamp", ShellAction(["/bin/sh", "-c", "kill -SEGV $$"])).run(heard())
    assert messages(caplog) == ["action 'lamp': /bin/sh was ended by Segmentation fault (signal 11)"]


def test_the_timeout_kills_the_children_too(heard, tmp_path, caplog, eventually):
    pids = tmp_path / "pids"
    action = ShellAction(
        ["/bin/sh", "-c", f"trap '' TERM; sleep 60 & echo $! $$ > {pids}; echo here; wait"], timeout=0.5
    )
    began = time.monotonic()
    Shell("lamp", action).run(heard())
    assert 0.5 <= time.monotonic() - began < 3
    assert messages(caplog) == ["action 'lamp': /bin/sh was killed after 0.5 s, with all that it started: here"]
    for pid in map(int, pids.read_text().split()):
        eventually(lambda pid=pid: not is_running(pid))


def test_the_timeout_ends_a_flood(heard, caplog):
    Shell("lamp", ShellAction(["yes"], timeout=0.3)).run(heard())
    assert messages(caplog)[0].startswith("action 'lamp': yes was killed after 0.3 s")


def test_what_is_left_in_the_background_is_not_waited_for(heard, tmp_path, caplog):
    pid = tmp_path / "pid"
    began = time.monotonic()
    Shell("lamp", ShellAction(["/bin/sh", "-c", f"sleep 60 & echo $! > {pid}"])).run(heard())
    assert time.monotonic() - began < 5
    left = int(pid.read_text())
    assert is_running(left)
    os.kill(left, 9)
    assert messages(caplog) == []


def test_a_program_that_closes_its_output_is_waited_for(heard, tmp_path):
    out = tmp_path / "out"
    worked = time.thread_time()
    Shell("lamp", ShellAction(["/bin/sh", "-c", f"exec >&- 2>&-; sleep 0.4; : > {out}"])).run(heard())
    assert out.exists()
    assert time.thread_time() - worked < 0.1


def test_stopping_kills_what_runs_and_lets_nothing_begin(heard, caplog):
    shell = Shell("lamp", ShellAction(["sleep", "60"], timeout=50.0))
    thread = threading.Thread(target=shell.run, args=(heard(),))
    thread.start()
    time.sleep(0.3)
    shell.stop()
    thread.join(5)
    assert not thread.is_alive()
    began = time.monotonic()
    shell.run(heard())
    assert time.monotonic() - began < 5
    assert messages(caplog) == ["action 'lamp': sleep was killed, since speakerd ends"] * 2


@pytest.mark.parametrize(
    ("name", "content", "mode", "message"),
    [
        (None, "", 0, "there is no program 'no-such-lamp' on the PATH; give its whole path"),
        ("gone", None, 0, "there is no program '{file}'"),
        ("closed", "#!/bin/sh\n", 0o600, "'{file}' may not be run; is it a program, and executable (chmod +x)?"),
        ("folder/", None, 0o700, "'{file}' may not be run; is it a program, and executable (chmod +x)?"),
        ("bare", "echo hello\n", 0o700, "'{file}' is not a program; a script needs a first line such as #!/bin/sh"),
        ("lost", "#!/no/such/sh\n", 0o700, "'{file}' asks in its first line for an interpreter that is not there"),
        ("nul\0", None, 0, "'{file}' cannot be started: embedded null byte"),
    ],
)
def test_why_a_program_does_not_start(heard, tmp_path, caplog, name, content, mode, message):
    file = f"{tmp_path}/{name}" if name else "no-such-lamp"
    if name == "folder/":
        Path(file).mkdir()
    if content and name:
        Path(file).write_text(content)
        Path(file).chmod(mode)
    Shell("lamp", ShellAction([file])).run(heard())
    assert messages(caplog) == [f"action 'lamp': {message.format(file=file)}"]
