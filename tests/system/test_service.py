"""The service on a machine of its own, from installing it to taking it off, with PulseAudio as its microphone.

One machine serves all tests, which follow each other as the days of a service do.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import Machine, need_machine, wait
from tests.system.pulse import ASOUNDRC, Pulse, need_pulse
from tests.system.service import Service
from tests.system.speech import PHRASE, recordings

CHECKOUT = Path(__file__).parents[2]
UNIT = "/etc/systemd/system/speakerd.service"
MICROPHONE = "[Service]\nEnvironment=PULSE_SERVER=unix:/run/pulse/native\n"
SETTINGS = """
outputs:
  actions:
    note: {shell: [/bin/sh, -c, 'echo "$SPEAKERD_COMMAND" >>"$STATE_DIRECTORY/heard"']}
    home: {webhook: "http://127.0.0.1:8123/api/webhook/speakerd"}
  on: {"*": [note, home]}
"""
HOME = """
import http.server
class Home(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open("/run/told", "ab") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 8123), Home)
open("/run/told", "wb").close()
server.serve_forever()
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    folder.chmod(0o755)  # the teacher reads them too
    return recordings(folder)


@pytest.fixture(scope="module")
def machine_and_pulse(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Pulse]]:
    """A machine that hears what the pulse plays, as one does that has ALSA and a sound card."""
    need_machine()
    need_pulse()
    folder = tmp_path_factory.mktemp("service")
    pulse = Pulse(folder)
    machine = Machine(folder, {"/checkout": CHECKOUT, "/run/pulse": pulse.socket_dir, "/run/clips": clips[0].parent})
    try:
        pulse.start()
        machine.start()
        machine.run("useradd", "--create-home", "teacher")
        machine.write("/etc/asound.conf", ASOUNDRC)
        machine.write("/etc/systemd/system/speakerd.service.d/test.conf", MICROPHONE)
        yield machine, pulse
    finally:
        machine.stop()
        pulse.stop()


@pytest.fixture(scope="module")
def service(machine_and_pulse: tuple[Machine, Pulse]) -> Service:
    service = Service(*machine_and_pulse)
    service.install()
    return service


@pytest.fixture(scope="module")
def recording(service: Service, clips: list[Path]) -> Path:
    """One that it recognises, with settings that have something happen then."""
    service.set(SETTINGS, "configuration read again")
    return service.learn(clips)


def test_only_the_group_reaches_it_and_nobody_reads_what_it_was_taught(service: Service) -> None:
    kept = ["/var/lib/speakerd", "/run/speakerd", "/run/speakerd/control.sock", "/etc/speakerd/speakerd.yaml"]
    assert service.machine.run("stat", "--format=%a %U:%G", *kept).splitlines() == [
        "700 speakerd:speakerd",
        "750 speakerd:speakerd",
        "660 speakerd:speakerd",
        "640 root:speakerd",
    ]
    assert service.machine.run("id", "-nG", "speakerd").split() == ["speakerd", "audio"]
    assert "speakerd" in service.machine.run("id", "-nG", "teacher").split()
    assert service.property("UnitFileState") == "enabled"


def test_its_state_is_what_it_was_taught_and_nothing_else(service: Service) -> None:
    kept = service.machine.run("find", "/var/lib/speakerd", "-type", "f", "-printf", "%P\\n").split()
    pulseaudio_s = ".config/pulse/cookie"
    assert all(file in ("owner", pulseaudio_s) or file.startswith("speakerd.sqlite") for file in kept), kept


def test_what_it_recognises_goes_to_programs_and_addresses(service: Service, recording: Path) -> None:
    service.machine.run("systemd-run", "--unit=home", "/usr/bin/python3", "-c", HOME)
    assert wait(lambda: service.machine.run("ls", "/run/told", check=False), 10)
    with service.machine.open("speakerd", "listen", "--json", user="teacher") as watching:
        service.hear(recording)
        assert watching.stdout is not None
        seen = json.loads(watching.stdout.readline())
    assert seen["command"] == PHRASE and seen["accepted"]
    assert wait(lambda: service.machine.run("cat", "/var/lib/speakerd/heard") == f"{PHRASE}\n", 10)
    assert wait(lambda: json.loads(service.machine.run("cat", "/run/told"))["id"] == seen["id"], 10)


def test_killed_it_comes_back_and_knows_what_it_knew(service: Service, recording: Path) -> None:
    process = service.property("MainPID")
    with service.logs("listening for 1 command", "listening on 'default'"):
        service.machine.run("kill", "-KILL", process)
    assert service.property("MainPID") != process
    service.hear(recording)


def test_stuck_it_is_started_anew(service: Service, recording: Path) -> None:
    # The half minute that it is given would be long to wait for.
    service.machine.run("sed", "--in-place", "s/^WatchdogSec=30$/WatchdogSec=5/", UNIT)
    service.systemctl("daemon-reload")
    with service.logs("listening on 'default'"):
        service.systemctl("restart", "speakerd")
    process = service.property("MainPID")
    with service.logs("Watchdog timeout", "listening for 1 command", "listening on 'default'"):
        service.machine.run("kill", "-STOP", process)
    assert service.property("MainPID") != process
    service.hear(recording)


def test_changed_settings_are_taken_over_and_faulty_ones_are_not(service: Service, recording: Path) -> None:
    process = service.property("MainPID")
    service.set(SETTINGS.replace("heard", "noticed"), "configuration read again")
    service.set("outptus:", "the configuration was not taken over")
    service.hear(recording)
    assert wait(lambda: service.machine.run("cat", "/var/lib/speakerd/noticed") == f"{PHRASE}\n", 10)
    assert service.property("MainPID") == process
    service.set(SETTINGS, "configuration read again")


def test_installed_again_it_keeps_what_it_knows_and_its_settings(service: Service, recording: Path) -> None:
    process = service.property("MainPID")
    assert "speakerd is listening" in service.install()
    assert service.property("MainPID") != process
    assert [command["command"] for command in service.speakerd("commands")] == [PHRASE]
    assert service.machine.run("cat", "/etc/speakerd/speakerd.yaml") == SETTINGS
    service.hear(recording)


def test_taken_off_it_leaves_what_it_knew_unless_that_is_to_go_too(service: Service) -> None:
    places = "/opt/speakerd /usr/local/bin/speakerd /var/lib/speakerd /etc/speakerd"
    shown = ("sh", "-c", f"ls -d {places}; getent passwd speakerd; getent group speakerd")
    service.uninstall()
    assert service.property("LoadState") == "not-found"
    left = [line.split(":")[0] for line in service.machine.run(*shown, check=False).splitlines()]
    assert left == ["/etc/speakerd", "/var/lib/speakerd", "speakerd", "speakerd"]
    service.uninstall("--purge")
    assert service.machine.run(*shown, check=False) == ""


def test_for_one_session_it_needs_no_root(machine_and_pulse: tuple[Machine, Pulse], clips: list[Path]) -> None:
    machine, pulse = machine_and_pulse
    service = Service(machine, pulse, session=True)
    machine.run("systemctl", "start", f"user@{machine.run('id', '-u', 'teacher').strip()}")
    machine.write("/etc/systemd/user/speakerd.service.d/test.conf", MICROPHONE)
    service.install()
    assert service.property("UnitFileState") == "enabled"
    service.hear(service.learn(clips))
    with service.logs("listening for 1 command", "listening on 'default'"):
        machine.run("kill", "-KILL", service.property("MainPID"))
    service.uninstall("--purge")
    assert service.property("LoadState") == "not-found"
    assert machine.run("sh", "-c", "find ~ -iname '*speakerd*'", user="teacher") == ""
