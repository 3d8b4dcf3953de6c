"""Both ends of the daemon's socket, with clients who do not behave."""

import json
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from speakerd.audio.segmenter import frames_of
from speakerd.control import socket as control
from speakerd.control.messages import Enroll, Forget, History, Known, Status, Teach, Watch
from speakerd.control.service import Service
from speakerd.control.socket import (
    SYSTEM_SOCKET,
    SYSTEM_STATE,
    HungDaemonError,
    NoDaemonError,
    Server,
    answers,
    ask,
    socket_of,
)
from speakerd.errors import SpeakerdError
from speakerd.events import Detection, Samples
from tests.control.conftest import Ears, recordings
from tests.recordings import said
from tests.running import LAMP, NIGHT, Conversation, clip, eventually
from tests.somebody import open_folder, without_rights


@pytest.fixture
def path(service: Service, tmp_path: Path) -> Iterator[Path]:
    """A socket that the service answers on."""
    path = tmp_path / "control.sock"
    with closing(Server(path, service)):
        yield path


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    return connection


def requests_served() -> int:
    return sum(thread.name == "request" for thread in threading.enumerate())


def test_a_request_and_its_answer(path: Path) -> None:
    told = list(ask(path, Enroll(LAMP, recordings(LAMP))))
    assert [item.get("accepted") for item in told] == [True, True, True, None]
    assert next(ask(path, Status()))["up_seconds"] == 1
    with pytest.raises(SpeakerdError, match="nobody is not a known command. Known: " + LAMP):
        list(ask(path, Forget("nobody")))


def test_one_json_object_a_line_and_an_end(path: Path) -> None:
    with connect(path) as connection, connection.makefile("rb") as lines:
        connection.sendall(b'{"type": "Status"}\n{"type": "History"}\n{"type": "Undo"}\n')
        told = [json.loads(lines.readline()) for _ in range(4)]
    assert told == [
        {"type": "Item", "value": {"up_seconds": 1, "muted": None, "muted_until": None, "playing": False}},
        {"type": "Done"},
        {"type": "Done"},
        {"type": "Failed", "message": "there is nothing to undo"},
    ]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"{}",
        b"[]",
        b"null",
        b'{"type": "Format C"}',
        b'{"type": "Status", "more": 1}',
        b'{"type": "Forget"}',
        b'{"type": "Forget", "name": 7}',
        b'{"type": "Forget", "name": "\\ud800"}',
        b'{"type": "Teach", "name": "x", "takes": -4}',
        b'{"type": "Teach", "name": "x", "takes": 1000000}',
        b'{"type": "Rollback", "version": 99999999999999999999999}',
        b'{"type": "Enroll", "name": "x", "recordings": [{"source": "a", "samples": "?"}]}',
        b"[" * 100_000,
    ],
)
def test_rubbish_is_answered_and_the_next_request_too(path: Path, rubbish: bytes) -> None:
    with connect(path) as connection, connection.makefile("rb") as lines:
        connection.sendall(rubbish + b"\n")
        answer = json.loads(lines.readline())
        assert answer["type"] == "Failed"
        assert answer["message"].startswith("not a request that this speakerd knows")
        connection.sendall(b'{"type": "Status"}\n')
        assert json.loads(lines.readline())["type"] == "Item"
    assert next(iter(ask(path, Known())))["commands"] == []


def test_too_much_at_once_is_refused_and_read_no_further(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LARGEST_REQUEST", 100_000)
    with pytest.raises(SpeakerdError, match="too much at once: give fewer recordings"):
        list(ask(path, Enroll(LAMP, recordings(LAMP))))
    assert next(ask(path, Status()))["up_seconds"] == 1


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_clients_who_hang_up_in_the_middle(path: Path, service: Service) -> None:
    with connect(path) as connection:
        connection.sendall(b'{"type": "Fo')
    with connect(path) as connection:
        connection.sendall(b'{"type": "Status"}\n' * 1000)  # and does not wait for the answers
    with connect(path) as connection:
        connection.sendall(b'{"type": "Watch"}\n')
        service.detected(Detection("d", 1, 0, LAMP, 1.0, 0.5, True, None, 0.0))

    def forgotten() -> bool:
        service.detected(Detection("d", 1, 0, LAMP, 1.0, 0.5, True, None, 0.0))
        return requests_served() == 0

    eventually(forgotten, "something still serves clients who are gone")
    assert next(ask(path, Status()))["up_seconds"] == 1


def test_watchers_and_others_are_served_side_by_side(path: Path, service: Service) -> None:
    watching = [Conversation(path, Watch()) for _ in range(3)]
    learning = [Conversation(path, Enroll(name, recordings(LAMP))) for name in ("one", "two", "three")]
    eventually(lambda: requests_served() >= 3)
    for conversation in learning:
        assert conversation.until("command")["examples"] == 3
    time.sleep(0.2)
    service.detected(Detection("d", 1, 0, "one", 1.0, 0.5, True, None, 0.0))
    assert [conversation.until("id")["command"] for conversation in watching] == ["one"] * 3
    assert len(list(ask(path, History()))) == 3


def test_nobody_listens(tmp_path: Path) -> None:
    stale = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(stale))
    for path in (tmp_path / "nothing.sock", stale, tmp_path / "no folder" / "control.sock", stale / "control.sock"):
        assert not answers(path)
        with pytest.raises(NoDaemonError, match="no speakerd is running on"):
            list(ask(path, Status()))


def test_what_a_killed_daemon_left_behind_is_taken_over(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with closing(Server(path, service)):
        assert answers(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()
    assert not answers(path)


def test_whoever_may_not_speak_to_it_learns_how_to(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with open_folder() as folder:
        (folder / "control.sock").symlink_to(path)
        path.parent.chmod(0o700)

        def somebody() -> str:
            try:
                list(ask(folder / "control.sock", Status()))
            except NoDaemonError as error:
                return f"{answers(folder / 'control.sock')} {error}"
            return "it answered"

        told = without_rights(somebody)
    assert told.startswith("True ")
    assert "may not speak to the daemon. Join its group: sudo usermod -aG speakerd" in told


def test_a_daemon_that_dies_before_it_has_answered(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    asked = Enroll(NIGHT, recordings(NIGHT))  # more than fits on the way
    for request, answer in ((asked, b""), (asked, b'{"type": "Item", "value": {"take": 1}}\n'), (Status(), b"")):
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as dying:
            dying.bind(str(path))
            dying.listen()
            conversation = Conversation(path, request)
            connection, _ = dying.accept()
            connection.sendall(answer)
            select.select([connection], [], [], 5)
            time.sleep(0.05)  # now it waits for the answer
            connection.close()  # the request, or most of it, is unread
            if answer:
                assert conversation.next() == {"take": 1}
            with pytest.raises(SpeakerdError, match="the daemon went away before it had answered"):
                conversation.next()


def test_a_daemon_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SILENT", 1)
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as hung:  # as one that was stopped (SIGSTOP): what waits for it is accepted
        hung.bind(str(path))
        hung.listen(2)
        waiting = [Conversation(path, request) for request in (Status(), Enroll(NIGHT, recordings(NIGHT)), Status())]
        waiting.append(Conversation(path, Status()))  # for whom there is no room
        for conversation in waiting:
            with pytest.raises(HungDaemonError, match=rf"the daemon on {path} has said nothing for 1 s"):
                conversation.next()
        assert answers(path)


def test_a_daemon_that_takes_its_time_is_waited_for_while_it_says_something(
    path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "SILENT", 1)

    def slowly() -> Iterator[Samples]:
        for frame in frames_of(said(0.5, clip(LAMP), 0.5)):
            time.sleep(0.03)
            yield frame

    ears.frames = slowly()  # type: ignore[assignment]
    began = time.monotonic()
    assert list(ask(path, Teach(LAMP, takes=1)))[-1]["examples"] == 1
    assert time.monotonic() > began + 2


def test_a_place_where_no_socket_can_be(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpeakerdError, match="cannot listen for commands here"):
        Server(tmp_path / "file" / "control.sock", service)


def test_a_long_path(service: Service, tmp_path: Path) -> None:
    path = tmp_path / ("a" * 100) / ("b" * 100) / "control.sock"
    path.parent.mkdir(parents=True)
    with closing(Server(path, service)):
        assert next(ask(path, Status()))["up_seconds"] == 1


def test_where_the_socket_of_a_state_is() -> None:
    assert socket_of(SYSTEM_STATE) == SYSTEM_SOCKET, "for the group, who may not enter the state"
    assert socket_of(Path("/home/ada/state")) == Path("/home/ada/state/control.sock")
