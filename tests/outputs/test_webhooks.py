"""Webhooks to a real server on the loopback."""

import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from speakerd.config import WebhookAction
from speakerd.outputs.lines import record
from speakerd.outputs.webhook import Webhook

SECRETS = {"Authorization": "Bearer hunter2"}


class House(ThreadingHTTPServer):
    """A server that answers by the path (/status/500, /moved?to=..., /slow, /rude) and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Room)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Room(BaseHTTPRequestHandler):
    server: House

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        kind, _, rest = self.path[1:].partition("/")
        if kind == "slow":
            self.server.over.wait(20)
        if kind == "rude":
            self.wfile.write(b"hunter2 is no answer\r\n\r\n")
            return
        status, _, target = rest.partition("/") if kind == "status" else ("200", "", "")
        self.send_response(int(status))
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def house():
    server = House()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def messages(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records]


def test_the_detection_arrives(house, heard, caplog):
    detection = heard(speaker="Zoë", action="lamp")
    action = WebhookAction(f"{house.url}/api/webhook/1?a=b", headers={"X-House": "ours", **SECRETS})
    Webhook("home", action).run(detection)
    [(method, path, headers, body)] = house.asked
    assert (method, path) == ("POST", "/api/webhook/1?a=b")
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer hunter2"
    assert headers["X-House"] == "ours"
    assert json.loads(body) == record(detection)
    assert messages(caplog) == []


def test_proxies_of_the_environment_do_not_count(house, heard, caplog, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    Webhook("home", WebhookAction(f"{house.url}/")).run(heard())
    assert len(house.asked) == 1
    assert messages(caplog) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/status/404", "it answered 404 Not Found"),
        ("/status/500", "it answered 500 Internal Server Error"),
        ("/status/302//hunter2", "it answered 302 Found; give the final address"),
        (
            "/status/307/https://other.example/hunter2",
            "307 Temporary Redirect to https://other.example; give the final",
        ),
        ("/status/302/file:///etc/hunter2", "it answered 302 Found; give the final address"),
        ("/rude", "the exchange broke off (BadStatusLine)"),
    ],
)
def test_one_warning_for_a_failure_without_secrets(house, heard, caplog, path, said):
    Webhook("home", WebhookAction(house.url + path, headers=SECRETS)).run(heard())
    [warning] = messages(caplog)
    host = house.url.removeprefix("http://")
    assert warning.startswith(f"action 'home': {host} did not take it: ")
    assert said in warning
    assert "hunter2" not in caplog.text
    assert len(house.asked) == 1  # no redirect was followed


def test_a_server_that_does_not_answer(house, heard, caplog):
    began = time.monotonic()
    Webhook("home", WebhookAction(f"{house.url}/slow", timeout=0.3)).run(heard())
    assert time.monotonic() - began < 3
    assert messages(caplog)[0].endswith("did not take it: no answer within 0.3 s")


def test_nobody_listens(heard, caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        Webhook("home", WebhookAction(f"http://127.0.0.1:{port}/")).run(heard())
    assert messages(caplog) == [f"action 'home': 127.0.0.1:{port} did not take it: Connection refused"]


def test_tls_with_one_that_does_not_speak_it(house, heard, caplog):
    Webhook("home", WebhookAction(house.url.replace("http", "https") + "/", timeout=2.0)).run(heard())
    assert "SSL" in messages(caplog)[0]


def test_a_header_that_cannot_be_sent_is_not_quoted(house, heard, caplog):
    # Settings from a file cannot hold such a value.
    Webhook("home", WebhookAction(house.url, headers={"Authorization": "Bearer\nhunter2"})).run(heard())
    assert messages(caplog)[0].endswith("did not take it: the exchange broke off (ValueError)")
    assert "hunter2" not in caplog.text


def test_http_and_tls_are_loaded_only_for_a_webhook():
    code = """
import sys
from speakerd.config import Outputs as Settings, ShellAction, WebhookAction
from speakerd.outputs import Outputs
Outputs(Settings(actions={"a": ShellAction(["true"])}))
print("urllib.request" in sys.modules, "ssl" in sys.modules)
Outputs(Settings(actions={"a": WebhookAction("http://127.0.0.1/")}))
print("urllib.request" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
