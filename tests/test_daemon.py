"""The daemon as a whole: a process that hears what a test says, asked and stopped as people and systemd do."""

import contextlib
import http.server
import json
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from speakerd import daemon
from speakerd.audio.files import read_audio
from speakerd.config import Config, Gate
from speakerd.control.messages import (
    Enroll,
    Forget,
    History,
    Known,
    Mute,
    Playing,
    Recording,
    Rename,
    Status,
    Teach,
    Unmute,
)  # fmt: skip
from speakerd.control.socket import answers
from speakerd.errors import SpeakerdError
from speakerd.events import Waiting
from speakerd.house import Mind
from speakerd.learning.takes import judge_recording
from speakerd.store.store import Ownership
from tests.running import CLIPS as RECORDED
from tests.running import (
    LAMP,
    NIGHT,
    QUIETER,
    SPEAKERD,
    Conversation,
    Speaker,
    clip,
    eventually,
    lines,
    speaker,
    speakerd,
)


def teach(running: Speaker, name: str, of: str | None = None, action: str | None = None) -> dict[str, Any]:
    """Teach a command from its bundled recordings, or from those of another; what became of it."""
    recordings = [Recording(f"{i}.wav", clip(of or name, i).astype("<f4").tobytes()) for i in range(3)]
    return running.ask(Enroll(name, recordings, replace=True, action=action))[-1]


@contextlib.contextmanager
def home_automation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address for webhooks, and what was posted there."""
    told: list[dict[str, Any]] = []

    class Home(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Home)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/webhook/speakerd", told
    finally:
        server.shutdown()
        server.server_close()


def resident(running: Speaker) -> int:
    """Its memory in kB."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def settings(path: Path, **sections: Any) -> Path:
    path.write_text(yaml.safe_dump(sections, allow_unicode=True))
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    """One daemon for the tests that leave it as they found it: it knows LAMP."""
    with speaker(tmp_path_factory.mktemp("house")) as running:
        teach(running, LAMP)
        yield running


# -- teaching while it runs


def test_what_is_taught_while_it_runs_is_live_at_once(house: Speaker, tmp_path: Path) -> None:
    watching = house.watch(everything=True)
    house.say(clip(NIGHT))
    before = watching.next()
    assert before is not None
    assert (before["command"], before["accepted"]) == (LAMP, False), "only what is known can be heard"
    # This client could not learn anything by itself: it has no models.
    without = settings(tmp_path / "without.yaml", recognition={"models": str(tmp_path)})
    done = speakerd("enroll", NIGHT, *RECORDED[NIGHT], "--state", house.state, "--config", without, "--json")
    assert done.returncode == 0, done.stderr
    assert [item.get("accepted") for item in lines(done)[:3]] == [True] * 3
    house.say(clip(NIGHT))
    after = watching.next()
    assert after is not None
    assert (after["command"], after["accepted"]) == (NIGHT, True)
    assert after["start"] < after["time"]
    assert {item["command"] for item in lines(speakerd("commands", "--state", house.state, "--json"))} == {LAMP, NIGHT}
    house.ask(Forget(NIGHT))
    house.say(clip(NIGHT))
    forgotten = watching.next()
    assert forgotten is not None
    assert (forgotten["command"], forgotten["accepted"]) == (LAMP, False)


def test_the_store_on_disk_is_what_the_daemon_knows(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        teach(running, LAMP)
        known = running.ask(Known())
        running.process.kill()  # without a chance to write anything more
        running.process.wait()
        alone = lines(speakerd("commands", "--state", running.state, "--json"))
    (command,) = known[0]["commands"]
    assert [(item["command"], item["examples"]) for item in alone] == [(LAMP, 3)]
    assert alone[0]["threshold"] == pytest.approx(command["threshold"], abs=1e-4)
    with speaker(tmp_path) as again:  # where the socket of the killed one still lies
        watching = again.watch()
        again.say(clip(LAMP))
        heard = watching.next()
        assert heard is not None
        assert heard["command"] == LAMP


def test_two_clients_at_once(house: Speaker) -> None:
    before = len(house.ask(History()))
    names = [f"lamp {number}" for number in range(6)]
    recordings = [Recording("a.wav", clip(QUIETER).astype("<f4").tobytes())]
    answers = [Conversation(house.control, Enroll(name, recordings)) for name in names]
    assert [answer.until("command")["command"] for answer in answers] == names
    known = {command["name"] for command in house.ask(Known())[0]["commands"]}
    assert known == {LAMP, *names}
    history = house.ask(History())
    assert len(history) - before == len(names)
    assert [len(version["commands"]) for version in history[: len(names)]] == [7, 6, 5, 4, 3, 2]
    for name in names:
        house.ask(Forget(name))


# -- lessons


def hear_lesson(running: Speaker, lesson: Conversation, name: str) -> list[dict[str, Any]]:
    """Say a command whenever asked to, until the lesson ends; everything that the lesson told."""
    told: list[dict[str, Any]] = []
    while (item := lesson.next()) is not None:
        told.append(item)
        if "take" in item:
            running.say(clip(name, (item["take"] - 1) % 3))
    return told


def test_a_guided_lesson(house: Speaker) -> None:
    lesson = Conversation(house.control, Teach(NIGHT))
    told = hear_lesson(house, lesson, NIGHT)
    steps = [item for item in told if "level" not in item]
    assert [(step["take"], step["of"]) for step in steps if "take" in step] == [(1, 3), (2, 3), (3, 3)]
    assert [step["heard"] for step in steps if "heard" in step] == [True] * 3
    assert [next(iter(step)) for step in steps[:6]] == ["take", "heard"] * 3
    assert [step["accepted"] for step in steps if "example" in step] == [True] * 3
    assert (steps[-1]["command"], steps[-1]["examples"]) == (NIGHT, 3)
    levels = [item for item in told if "level" in item]
    assert any(item["speech"] for item in levels) and not all(item["speech"] for item in levels)
    assert max(item["level"] for item in levels) > -40 > min(item["level"] for item in levels)
    watching = house.watch()
    house.say(clip(NIGHT))
    heard = watching.next()
    assert heard is not None
    assert heard["command"] == NIGHT
    house.ask(Forget(NIGHT))


def test_no_command_fires_during_a_lesson(house: Speaker) -> None:
    """Most of all not with the last take, with which the lesson has all that it wanted."""
    watching = house.watch(everything=True)
    told = hear_lesson(house, Conversation(house.control, Teach(LAMP)), LAMP)
    assert told[-1]["examples"] == 6
    before = house.ask(Status())[0]["heard_seconds"]
    house.say(clip(LAMP))
    heard = watching.next()
    assert heard is not None
    assert heard["start"] > before - 1, "a take of the lesson fired"
    teach(house, LAMP)


def test_a_take_is_refused_with_a_reason_and_asked_for_again(house: Speaker) -> None:
    lesson = Conversation(house.control, Teach("x", takes=1))
    lesson.until("take")
    house.say(np.concatenate([clip(LAMP)[8000:24000]] * 6))  # six seconds without a pause
    refused = lesson.until("heard")
    assert refused["heard"] is False
    assert "too long" in refused["reason"]
    assert lesson.until("take")["take"] == 1
    house.say(clip(LAMP))
    assert lesson.until("command")["examples"] == 1
    house.ask(Forget("x"))


def test_one_lesson_at_a_time_until_its_pupil_hangs_up(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        pupil = subprocess.Popen(
            [SPEAKERD, "enroll", NIGHT, "--state", running.state], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert pupil.stdout is not None
        assert NIGHT in pupil.stdout.readline().decode()
        with pytest.raises(SpeakerdError, match="another lesson is going on"):
            running.ask(Teach(QUIETER))
        assert running.ask(Status())[0]["commands"] == 0
        pupil.kill()
        pupil.communicate()

        def free() -> Conversation | None:
            lesson = Conversation(running.control, Teach(QUIETER, takes=1))
            try:
                lesson.until("take")
            except SpeakerdError:
                return None
            return lesson

        lesson = eventually(free)
        running.say(clip(QUIETER))
        assert lesson.until("command")["command"] == QUIETER


def test_a_reload_ends_a_lesson(tmp_path: Path) -> None:
    """Nobody is left waiting, nor the next lesson refused."""
    with speaker(tmp_path) as running:
        lesson = Conversation(running.control, Teach(NIGHT))
        lesson.until("take")
        running.reload()
        with pytest.raises(SpeakerdError, match="Nothing was learned"):
            lesson.until("command")
        told = hear_lesson(running, Conversation(running.control, Teach(NIGHT)), NIGHT)
        assert told[-1]["command"] == NIGHT


# -- what is heard goes out


def test_a_detection_reaches_a_program_and_an_address(tmp_path: Path) -> None:
    noted, heard = tmp_path / "noted", tmp_path / "heard.jsonl"
    with home_automation() as (address, told):
        program = ["sh", "-c", f'echo "$SPEAKERD_COMMAND|$SPEAKERD_ACTION|$SPEAKERD_ID" >>{noted}']
        config = settings(
            tmp_path / "speakerd.yaml",
            outputs={
                "json": str(heard),
                "actions": {"note": {"shell": program}, "home": {"webhook": address}},
                "on": {"*": ["home"]},
            },
        )
        with speaker(tmp_path, "--config", config) as running:
            teach(running, LAMP, action="note")
            teach(running, QUIETER)
            running.say(clip(QUIETER))
            running.say(clip(LAMP))
            eventually(lambda: len(told) == 2 and noted.exists() and len(heard.read_text().splitlines()) == 2)
            assert running.ask(Status())[0]["detections"] == 2
    written = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [item["command"] for item in written] == [QUIETER, LAMP]
    assert sorted(told, key=lambda item: item["time"]) == written
    assert noted.read_text() == f"{LAMP}|note|{written[1]['id']}\n", "only what was taught with this action"
    assert written[0]["time"] < written[1]["start"] < written[1]["time"]
    assert written[1]["score"] >= written[1]["threshold"]


def test_listen_watches_the_daemon(house: Speaker) -> None:
    with subprocess.Popen(
        [SPEAKERD, "listen", "--json", "--state", house.state], stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout is not None
        seen: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: seen.append(json.loads(listening.stdout.readline())))  # type: ignore[union-attr]
        reader.start()

        def heard() -> bool:
            house.say(clip(LAMP))
            reader.join(1)
            return bool(seen)

        eventually(heard)
        listening.terminate()
    assert {"id", "time", "start", "command", "score", "accepted", "speaker"} <= set(seen[0])
    assert seen[0]["command"] == LAMP
    assert seen[0]["accepted"] is True


# -- the socket and the state


def test_only_owner_and_group_may_speak_to_it(house: Speaker) -> None:
    assert stat.S_IMODE(house.control.stat().st_mode) == 0o660
    assert stat.S_IMODE(house.state.stat().st_mode) == 0o700


def test_a_second_daemon_on_the_same_state_is_turned_away(house: Speaker) -> None:
    second = speakerd("run", "--input", "-", "--state", house.state)
    assert second.returncode == 1
    assert second.stdout == ""
    assert f"belongs to a running speakerd (process {house.process.pid})" in second.stderr
    assert "--state DIR" in second.stderr
    assert "Traceback" not in second.stderr
    assert house.ask(Status())[0]["commands"] == 1, "the first one is none the worse for it"


def test_a_very_long_path_of_the_state(tmp_path: Path) -> None:
    """The kernel allows a socket 107 bytes."""
    state = tmp_path / ("so deep " * 12) / ("down here " * 12)
    assert len(str(state)) > 200
    with speaker(tmp_path, state=state) as running:
        done = speakerd("enroll", LAMP, *RECORDED[LAMP], "--state", state)
        assert done.returncode == 0, done.stderr
        assert running.ask(Status())[0]["commands"] == 1
        assert running.stop() == 0
    assert not answers(running.control)


def test_too_many_connections_are_weathered(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        greedy = []
        for _ in range(45):
            greedy.append(socket.socket(socket.AF_UNIX))
            greedy[-1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
            with contextlib.suppress(BlockingIOError):  # the line is full as well
                greedy[-1].connect(str(running.control))
                continue
            break
        running.await_log("Too many open files")
        for connection in greedy:
            connection.close()
        assert running.ask(Status())[0]["commands"] == 0


def test_needs_nothing_that_is_not_used(tmp_path: Path) -> None:
    """Neither torch, whatever happens, nor what only others need; resident memory is what a small machine has least."""
    config = settings(
        tmp_path / "speakerd.yaml", outputs={"actions": {"note": {"shell": ["true"]}}, "on": {"*": ["note"]}}
    )
    with speaker(tmp_path, "--config", config, PYTHONPROFILEIMPORTTIME="1") as running:
        teach(running, LAMP)
        watching = running.watch()
        running.say(clip(LAMP))
        assert watching.next() is not None
        running.reload()
        maps = Path(f"/proc/{running.process.pid}/maps").read_text()
        memory = resident(running)
        assert running.stop() == 0
    assert "onnxruntime" in maps
    assert "torch" not in maps
    assert memory < 90 * 1024, "it takes 83 MB"
    imported = {
        line.rsplit("|", 1)[1].strip() for line in running.log().splitlines() if line.startswith("import time:")
    }
    assert {"numpy", "onnxruntime", "speakerd.daemon"} <= imported
    others = {"torch", "rich", "urllib.request", "http.client", "ssl", "sounddevice", "asyncio", "tornado"}
    assert not (others | {"hashlib", "numpy.random"}) & imported


# -- stopping


def test_listens_also_where_the_disk_is_full(
    mind: Mind, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(daemon.signal, "signal", lambda *_: None)  # the test's own stay
    state = small_disk / "state"
    Ownership(state).release()
    household = mind.household(state, Config())
    with contextlib.closing(household._store):
        household.enroll(LAMP, [judge_recording("lamp", clip(LAMP), Gate())])
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    config = settings(tmp_path / "speakerd.yaml", listening={"false_accepts_per_day": 9.0})

    class Silence:
        def __iter__(self) -> Iterator[Waiting]:
            yield Waiting("nobody speaks")

        def be_patient(self, seconds: float) -> None:
            pass

        def close(self) -> None:
            pass

    with caplog.at_level("INFO"):
        daemon.Daemon(config, state, tmp_path / "control.sock", lambda _: Silence()).run()
    assert "listening for 1 command" in caplog.messages
    assert "what was forgotten long ago could not be let go of" in caplog.text
    assert "thresholds do not follow the budget of the settings" in caplog.text


def test_what_was_forgotten_long_ago_goes_while_it_runs(
    mind: Mind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "DAY", 0.02)
    monkeypatch.setattr(daemon.signal, "signal", lambda *_: None)  # the test's own stay
    state = tmp_path / "state"
    household = mind.household(state, Config())
    household.enroll(LAMP, [judge_recording("lamp", clip(LAMP), Gate())])
    household.forget(LAMP)

    def kept() -> int:
        return int(database.execute("SELECT count(*) FROM example").fetchone()[0])

    class Days:
        """Weeks go by, and nobody speaks."""

        def __iter__(self) -> Iterator[Waiting]:
            assert kept() == 1
            database.execute("UPDATE version SET made = made - 40 * 86400")
            yield Waiting("nobody speaks")
            eventually(lambda: kept() == 0, "it is still there")
            yield Waiting("nobody speaks")

        def be_patient(self, seconds: float) -> None:
            pass

        def close(self) -> None:
            pass

    with contextlib.closing(sqlite3.connect(state / "speakerd.sqlite", isolation_level=None)) as database:
        daemon.Daemon(None, state, tmp_path / "control.sock", lambda _: Days()).run()
        assert kept() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with speaker(tmp_path) as running:
        teach(running, LAMP)
        watching = running.watch()
        lesson = Conversation(running.control, Teach("x"))
        lesson.until("take")
        began = time.monotonic()
        running.process.send_signal(number)
        assert running.process.wait(10) == 0
        assert time.monotonic() - began < 2
        running.await_notice("STOPPING=1")
        for waiting in (watching, lesson):
            with pytest.raises(SpeakerdError, match=r"the daemon went away|the sound ended"):
                waiting.until("command")
    assert not running.control.exists()
    assert "Traceback" not in running.log()


def test_says_that_there_is_no_sound_and_stops_without(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        assert running.ask(Status())[0]["waiting"] is None
        running.hush()
        eventually(lambda: running.ask(Status())[0]["waiting"] == "no sound arrives on standard input")
        running.hush(False)
        eventually(lambda: running.ask(Status())[0]["waiting"] is None)
        running.hush()
        eventually(lambda: running.ask(Status())[0]["waiting"])
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 2


def test_ends_with_its_sound(tmp_path: Path) -> None:
    done = speakerd("run", "--input", RECORDED[LAMP][0], "--state", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_client_learns_that_the_daemon_was_killed(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        pupil = subprocess.Popen(
            [SPEAKERD, "enroll", "x", "--state", running.state],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert pupil.stdout is not None
        pupil.stdout.readline()
        running.process.kill()
        _, said = pupil.communicate(timeout=10)
    assert pupil.returncode == 1
    assert "the daemon went away before it had answered" in said


# -- reloading


def versions(running: Speaker) -> list[str]:
    return [version["change"] for version in running.ask(History())]


def test_a_reload_takes_over_the_budget(tmp_path: Path) -> None:
    config = settings(tmp_path / "speakerd.yaml", listening={"false_accepts_per_day": 100.0, "highest_frr": 0.9})
    with speaker(tmp_path, "--config", config) as running:
        teach(running, LAMP)
        (before,) = lines(speakerd("commands", "--state", running.state, "--json"))
        settings(config, listening={"false_accepts_per_day": 0.01, "highest_frr": 0.9})
        running.reload()
        (after,) = lines(speakerd("commands", "--state", running.state, "--json"))
        assert after["threshold"] > before["threshold"]
        assert after["expected_fa_per_hour"] < before["expected_fa_per_hour"]
        assert after["expected_frr"] > before["expected_frr"]
        assert versions(running) == ["thresholds for a new budget", f"{LAMP}: learned 3 examples"]
        running.reload()
        assert len(versions(running)) == 2, "nothing changed, so there is no new version"
        # the threshold is also the one that the spotter goes by
        watching = running.watch(everything=True)
        running.say(clip(LAMP))
        heard = watching.next()
        assert heard is not None
        assert heard["threshold"] == pytest.approx(after["threshold"], abs=1e-3)


def test_a_reload_switches_the_page_on_and_off(tmp_path: Path) -> None:
    config = settings(tmp_path / "speakerd.yaml")
    with speaker(tmp_path, "--config", config) as running:
        assert running.ask(Status())[0]["page"] is None
        before = resident(running)
        settings(config, http={"enabled": True, "port": 0})
        running.reload()
        page = running.ask(Status())[0]["page"]
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert b"speakerd" in answer.read()
        assert resident(running) < before + 20_000, "it takes 12 MB"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            settings(config, http={"enabled": True, "port": port})
            running.reload()
            words = f"http.port: 127.0.0.1:{port} cannot be served: Address already in use"
            assert running.ask(Status())[0]["page"].startswith(words)
            running.await_log(f"the page is not served: {words}")
        settings(config)
        running.reload()
        assert running.ask(Status())[0]["page"] is None
        with pytest.raises(OSError):
            urllib.request.urlopen(page, timeout=10)
        assert running.stop() == 0


def test_a_reload_takes_over_the_gate(tmp_path: Path) -> None:
    config = settings(tmp_path / "speakerd.yaml", gate={"hangover_ms": 200})

    def spoken(running: Speaker, take: int) -> int:
        """How often in a lesson it is told that somebody speaks: until the gate closes."""
        lesson = Conversation(running.control, Teach(QUIETER, takes=1))
        lesson.until("take")
        running.say(clip(QUIETER, take))
        told = 0
        while (item := lesson.next()) is not None:
            told += bool(item.get("speech"))
        return told

    with speaker(tmp_path, "--config", config) as running:
        before = spoken(running, 0)
        settings(config, gate={"hangover_ms": 1200})
        running.reload()
        assert spoken(running, 1) > 1.5 * before  # a second more


def test_a_reload_takes_over_actions_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def writes(file: Path) -> Path:
        action = {"shell": ["sh", "-c", f"echo >>{file}"]}
        return settings(tmp_path / "speakerd.yaml", outputs={"actions": {"note": action}, "on": {"*": ["note"]}})

    def times(file: Path) -> int:
        return len(file.read_text().splitlines()) if file.exists() else 0

    config = writes(first)
    with speaker(tmp_path, "--config", config) as running:
        teach(running, LAMP)
        running.say(clip(LAMP))
        eventually(lambda: times(first) == 1)
        writes(second)
        running.reload()
        running.say(clip(LAMP))
        eventually(lambda: times(second) == 1)
        config.write_text(config.read_text() + "listening:\n  false_accepts_per_hour: 2\n")
        running.reload()
        assert f"{config}:" in running.log()
        assert "false_accepts_per_hour" in running.log()
        assert "did you mean" in running.log().casefold()
        running.say(clip(LAMP))
        eventually(lambda: times(second) == 2)
        config.unlink()
        running.reload()
        running.say(clip(LAMP))
        eventually(lambda: times(second) == 3)
    assert times(first) == 1


def test_a_stop_during_a_reload_is_not_lost(tmp_path: Path) -> None:
    config = settings(tmp_path / "speakerd.yaml", listening={"false_accepts_per_day": 1.0})
    with speaker(tmp_path, "--config", config) as running:
        teach(running, LAMP)
        settings(config, listening={"false_accepts_per_day": 2.0})
        running.process.send_signal(signal.SIGHUP)
        while not any(line.startswith("RELOADING") for line in running.notice()):
            pass
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(5) == 0


def test_names_changed_through_the_socket_are_heard_under_the_new_name(house: Speaker) -> None:
    watching = house.watch()
    house.ask(Rename(LAMP, "Küchenlicht 💡"))
    house.say(clip(LAMP))
    heard = watching.next()
    house.ask(Rename("Küchenlicht 💡", LAMP))
    assert heard is not None
    assert heard["command"] == "Küchenlicht 💡"


# -- what is heard and not acted upon


def test_talk_is_counted_but_not_what_is_played_or_said_while_muted(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        teach(running, LAMP)
        running.ask(Mute())
        running.say(clip(QUIETER))
        time.sleep(2)
        running.ask(Unmute())
        watching = running.watch(everything=True)
        for playing in (True, False):
            running.ask(Playing(playing))
            running.say(clip(QUIETER))
            assert watching.next() is not None, "it is heard"
        assert running.stop() == 0
    with contextlib.closing(sqlite3.connect(running.state / "speakerd.sqlite")) as database:
        ((hours,),) = database.execute("SELECT hours FROM talk")
    assert 0.5 < 3600 * hours < len(clip(QUIETER)) / 16000 + 0.4, "once"


# -- what systemd is told


def test_systemd_is_told_of_every_step(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        assert running.ready == ["READY=1", "STATUS=listening for 0 commands"]
        before = time.monotonic_ns() // 1000
        running.process.send_signal(signal.SIGHUP)
        reloading = dict(line.split("=", 1) for line in running.notice())
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert running.notice() == ["READY=1"]
        assert running.stop() == 0
        assert running.notice() == ["STOPPING=1"]


def test_the_watchdog_is_fed_with_and_without_sound(tmp_path: Path) -> None:
    with speaker(tmp_path, WATCHDOG_USEC="900000") as running:
        for silent in (False, True):
            running.hush(silent)
            fed = [running.notice(0.9) for _ in range(3)]  # any that came late would have been a restart
            assert fed == [["WATCHDOG=1"]] * 3
        running.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):  # those that were told before come first
            for _ in range(10):
                running.notice(1)


def test_goes_on_when_its_manager_is_gone(tmp_path: Path) -> None:
    with speaker(tmp_path, WATCHDOG_USEC="30000") as running:
        running.unmanaged()
        running.process.send_signal(signal.SIGHUP)
        running.await_log("configuration read again")
        teach(running, LAMP)
        assert running.stop() == 0


# -- why


def test_why_is_told_by_the_daemon_and_its_log(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        teach(running, LAMP)
        teach(running, NIGHT)
        watching = running.watch()
        running.say(clip(LAMP))
        detection = watching.next()
        assert detection is not None
        (told,) = lines(speakerd("why", detection["id"], "--state", running.state, "--json"))
        assert {"id", "command", "score", "threshold", "rule", "scores", "nearest", "room_dbfs"} <= set(told)
        words = speakerd("why", "--state", running.state).stdout
        assert "the most similar examples" in words and f"{LAMP}, example" in words
        assert detection["id"] in speakerd("why", "--all", "--state", running.state).stdout
        number = told["nearest"][0]["example"]
        assert speakerd("example", number, tmp_path / "example.wav", "--state", running.state).returncode == 0
        assert len(read_audio(tmp_path / "example.wav")) > 8000
        running.await_log("dB above the room, next '")


# -- correction


def test_corrected_by_command_and_by_voice(tmp_path: Path) -> None:
    with speaker(tmp_path) as running:
        teach(running, LAMP)
        teach(running, NIGHT, action="speakerd:wrong")
        watching = running.watch()
        running.say(clip(LAMP))
        detection = watching.next()
        assert detection is not None
        done = speakerd("right", detection["id"], "--state", running.state)
        assert done.returncode == 0 and f"{LAMP}: was said at" in done.stdout
        (lamp,) = (c for c in lines(speakerd("commands", "--state", running.state, "--json")) if c["command"] == LAMP)
        assert lamp["examples"] == 4
        done = speakerd("wrong", "--state", running.state)
        assert done.returncode == 1 and "this was said before; name it by its id" in done.stderr
        running.say(clip(NIGHT))
        phrase = watching.next()
        assert phrase is not None and phrase["command"] == NIGHT
        running.await_log(f"'{NIGHT}': of {LAMP} at")  # it is about that one, of which it was said before
