"""The page's server, with browsers, programs, and others who do not mean well."""

import base64
import io
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tornado.httpclient import HTTPClientError

from speakerd.audio.files import to_flac
from speakerd.config import Http
from speakerd.control import http
from speakerd.control.http import Site
from speakerd.control.service import Service
from speakerd.errors import SpeakerdError
from speakerd.events import Detection
from speakerd.learning.household import Household
from tests.control.browsing import TOKEN, Browser
from tests.control.conftest import recordings
from tests.needs import need
from tests.running import LAMP, clip, eventually

FREE = Http(enabled=True, port=0)


@pytest.fixture
def site(service: Service) -> Iterator[Site]:
    with closing(Site(FREE, service)) as site:
        yield site


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


@pytest.fixture
def locked(service: Service) -> Iterator[Site]:
    """With a token."""
    with closing(Site(Http(enabled=True, port=0, token=TOKEN), service)) as site:
        yield site


def b64(data: bytes) -> str:

    return base64.b64encode(data).decode()


# -- the same requests as on the socket


def test_a_request_and_its_answer(browser: Browser) -> None:
    assert browser.post("status").json["items"][0]["up_seconds"] == 1
    clips = [{"source": f"{i}.flac", "file": b64(to_flac(clip(LAMP, i)))} for i in range(3)]
    learned = browser.post("enroll", name="💡/<b>lamp", recordings=clips)
    assert learned.status == 200
    assert [item.get("accepted") for item in learned.json["items"]] == [True, True, True, None]
    assert learned.json["items"][-1]["command"] == "💡/<b>lamp"
    assert browser.post("rename", old="💡/<b>lamp", new=LAMP).json["items"][0]["command"] == LAMP
    refused = browser.post("forget", name="nobody")
    assert (refused.status, refused.json["message"]) == (409, f"nobody is not a known command. Known: {LAMP}")
    assert [version["change"] for version in browser.post("history").json["items"]][
        -1
    ] == "💡/<b>lamp: learned 3 examples"


def test_a_file_that_is_none_and_one_that_holds_hours_are_refused_with_the_reason(browser: Browser) -> None:

    hours = io.BytesIO()
    soundfile.write(hours, np.zeros(3600 * 8000, np.int16), 8000, format="FLAC")
    clips = [{"source": "notes.txt", "file": b64(b"notes")}, {"source": "hours.flac", "file": b64(hours.getvalue())}]
    good = {"source": "good.flac", "file": b64(to_flac(clip(LAMP)))}
    told = browser.post("enroll", name=LAMP, recordings=[*clips, good]).json["items"]
    assert [item.get("accepted") for item in told[:3]] == [False, False, True]
    assert "not audio that can be read" in told[0]["reason"]
    assert "11 s long; an example holds one utterance" in told[1]["reason"]


def test_the_socket_of_the_web_is_the_unix_socket_in_other_words(browser: Browser, service: Service) -> None:
    told = browser.talk({"type": "Status"}, {"type": "Forget", "name": "x"}, {"type": "Rubbish"})
    assert [reply["type"] for reply in told] == ["Item", "Done", "Failed", "Failed"]
    assert "not a request that this speakerd knows" in told[-1]["message"]


def test_levels_and_detections_come_as_they_are(browser: Browser, service: Service, household: Household) -> None:
    service._status = lambda: {
        "level_dbfs": -50.0,
        "speech": False,
        "waiting": None,
        "microphone": None,
        "version": 0,
        "secret": 1,
    }
    levels: list[object] = []

    def enough(item: dict[str, object]) -> bool:
        if "id" in item:
            return True
        levels.append(item)
        if len(levels) == 3:
            service.detected(Detection("d", 1, 0, LAMP, 0.1, 0.5, False, None, 0.0))
        return False

    told = browser.talk({"type": "Watch", "all": True, "level": True}, until=enough)
    heard = {"level_dbfs": -50.0, "speech": False, "waiting": None, "microphone": None, "muted": None, "version": 0}
    assert levels[0] == heard
    assert told[-1]["value"]["command"] == LAMP
    eventually(lambda: not service._watchers, "somebody still watches for a browser that is gone")


def test_what_is_not_a_request_is_told_so(browser: Browser) -> None:
    as_json = {"Content-Type": "application/json"}
    for body in (
        b"",
        b"{",
        b"[]",
        b'{"name": 7}',
        b'{"name": "a", "more": 1}',
        b'{"type": "Undo"}',
        b"\xff",
        b"[" * 10**5,
    ):
        answer = browser.ask("POST", "/api/forget", body, **as_json)
        assert (answer.status, answer.json["type"]) == (400, "Failed"), body
    assert browser.ask("POST", "/api/forget", b"name=a").status == 415
    assert browser.ask("GET", "/api/forget").headers["Allow"] == "POST"
    assert browser.post("teach", name="a").json["message"].startswith("this one goes on")
    for path in ("/api/nothing", "/api/", "/nothing", "/../../etc/passwd", "/%2e%2e/http.py", "//etc/passwd"):
        assert browser.ask("POST" if "api" in path else "GET", path).status == 404, path


# -- who may


def test_without_the_token_nothing_but_the_page(locked: Site) -> None:
    stranger = Browser(locked)
    assert stranger.ask("GET", "/").status == 200
    for path in ("status", "forget", "nothing"):
        answer = stranger.post(path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    with pytest.raises(HTTPClientError, match="401"):
        stranger.talk({"type": "Status"})
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", TOKEN, "Bearer é"):
        assert Browser(locked, Authorization=wrong).post("status").status == 401
    program = Browser(locked, Authorization=f"Bearer {TOKEN}")
    assert program.post("status").status == 200
    assert program.talk({"type": "Status"})[-1] == {"type": "Done"}


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use(locked: Site) -> None:
    browser = Browser(locked)
    assert browser.post("login", token="wrong").status == 401
    cookie = browser.post("login", token=TOKEN).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert browser.post("status").status == 200
    assert browser.talk({"type": "Status"})[-1] == {"type": "Done"}
    assert browser.post("logout").status == 200
    assert browser.post("status").status == 401


def test_a_cookie_that_was_made_up_or_is_old_is_worth_nothing(locked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(locked)
    browser.post("login", token=TOKEN)
    since, _, signed = browser.headers["Cookie"].removeprefix("speakerd=").partition(".")
    for forged in (f"{int(since) + 1}.{signed}", f"{since}.", since, "", ".", f"٣.{signed}", "9" * 5000):
        headers = {"Cookie": f"speakerd={forged}".encode().decode("latin-1")}
        assert Browser(locked, **headers).post("status").status == 401, forged
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert browser.post("status").status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "", "127.0.0.1.evil.example", "[", "a b"])
def test_a_name_that_is_not_ours_is_refused(browser: Browser, host: str) -> None:
    for method, path in (("GET", "/"), ("POST", "/api/status"), ("GET", "/api/openapi.json")):
        answer = browser.ask(method, path, Host=host.format(port=browser.url.port))
        assert answer.status in (400, 403), answer.body


def test_names_that_are_ours(service: Service) -> None:
    with closing(Site(Http(enabled=True, port=0, names=["Kitchen.home"]), service)) as site:
        for host in ("localhost", "kitchen.home", f"{socket.gethostname()}.local", "192.168.1.5:8765", "[::1]:8765"):
            assert Browser(site).ask("GET", "/", Host=host).status == 200, host


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_another_sites_page_is_refused(site: Site, origin: str) -> None:
    stranger = Browser(site, Origin=origin)
    assert stranger.post("undo").status == 403
    with pytest.raises(HTTPClientError, match="403"):
        stranger.talk({"type": "Status"})
    assert Browser(site, Origin=site.address.rstrip("/")).post("status").status == 200


def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(browser: Browser) -> None:
    headers = browser.ask("GET", "/").headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    for file in http.PAGE.iterdir():
        assert browser.ask("GET", f"/{file.name}").status == 200
        assert not re.search(r"""(src|href|url|import|from)\W+(https?:)?//""", file.read_text()), file


# -- those who want too much


def test_too_large_is_refused_before_it_is_read(browser: Browser) -> None:
    connection = browser.connect()
    connection.putrequest("POST", "/api/enroll")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["message"]) == (413, "too much at once: give fewer recordings")


def test_a_stranger_cannot_send_much(locked: Site) -> None:
    connection = Browser(locked).connect()
    connection.putrequest("POST", "/api/enroll")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with pytest.raises(OSError):
        for _ in range(1000):
            connection.send(chunk)


def test_those_who_take_their_time_are_hung_up_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE", 1)
    with closing(Site(FREE, service)) as site:
        browser = Browser(site)
        assert browser.url.hostname
        slow = [socket.create_connection((browser.url.hostname, browser.url.port or 0), 10) for _ in range(3)]
        slow[1].sendall(b"GET / HTTP/1.1\r\nHo")
        slow[2].sendall(b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        for one in slow:
            assert one.recv(1000) in (b"", *([b""] if one is not slow[2] else [])) or one.recv(1000) == b""
            one.close()
        assert browser.post("status").status == 200


def test_one_who_asks_and_does_not_read_is_cut_off(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE", 2)
    with closing(Site(FREE, service)) as site:
        url = Browser(site).url
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(15)
            assert url.hostname
            lazy.connect((url.hostname, url.port))
            ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            with pytest.raises(OSError):
                for _ in range(100):
                    lazy.sendall(ask * 100)
                    time.sleep(0.1)
        assert Browser(site).post("status").status == 200


def test_too_many_at_once_wait_for_others_to_go(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 4)
    assert browser.url.hostname
    many = [socket.create_connection((browser.url.hostname, browser.url.port or 0), 10) for _ in range(8)]
    eventually(lambda: sum(_is_closed(one) for one in many) == 4)
    for one in many:
        one.close()

    def is_served() -> bool:
        try:
            return browser.post("status").status == 200
        except ConnectionError:
            return False

    eventually(is_served)


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_too_many_web_sockets_and_too_many_requests_on_one(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    flood = browser.talk({"type": "Watch"}, *[{"type": "Status"}] * 20)
    assert flood[-1] == {"type": "Closed", "code": 1008}
    monkeypatch.setattr(http, "MOST_SOCKETS", 0)
    assert browser.talk({"type": "Status"}) == [{"type": "Closed", "code": 1013}]


# -- coming and going


def test_closing_hangs_up_and_frees_the_port(service: Service) -> None:
    site = Site(FREE, service)
    browser = Browser(site)
    again = Http(enabled=True, port=browser.url.port or 0)
    with pytest.raises(SpeakerdError, match=r"http.port: 127.0.0.1:\d+ cannot be served: Address already in use"):
        Site(again, service)
    ended: list[object] = []

    def end(_: object) -> bool:
        site.close()
        return False

    service._status = lambda: {"level_dbfs": 0.0, "speech": False, "waiting": None, "microphone": None, "version": 0}
    ended = browser.talk({"type": "Watch", "level": True}, until=end)
    assert ended[-1] == {"type": "Closed", "code": 1001}
    with closing(Site(again, service)) as next_one:
        assert Browser(next_one).post("status").status == 200


def test_an_address_that_is_not_ours(service: Service) -> None:
    with pytest.raises(SpeakerdError, match="cannot be served"):
        Site(Http(enabled=True, address="192.0.2.1", port=0), service)


def test_a_token_in_a_file(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = Http(enabled=True, port=0, token_file=str(file))
    with pytest.raises(SpeakerdError, match="cannot be read"):
        Site(settings, service)
    file.write_text("short\n")
    with pytest.raises(SpeakerdError, match="does not hold a token of 16 or more"):
        Site(settings, service)
    file.write_text(f"{TOKEN}\n")
    with closing(Site(settings, service)) as site:
        assert Browser(site, Authorization=f"Bearer {TOKEN}").post("status").status == 200


def test_with_a_certificate_it_is_https(service: Service, tmp_path: Path) -> None:
    need("openssl")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(
        [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True
    )
    files = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    with closing(Site(Http(enabled=True, port=0, token=TOKEN, **files), service)) as site:
        assert site.address.startswith("https://")
        browser = Browser(site, trusts=ssl.create_default_context(cafile=files["certificate"]))
        assert "Secure" in browser.post("login", token=TOKEN).headers["Set-Cookie"]
        assert browser.post("status").status == 200
    with pytest.raises(SpeakerdError, match=r"http.certificate, http.key: .* cannot be used"):
        Site(Http(enabled=True, port=0, certificate=files["key"], key=files["certificate"]), service)


def test_recordings_as_the_socket_takes_them(browser: Browser) -> None:
    clips = [{"source": r.source, "samples": b64(r.samples)} for r in recordings(LAMP)]
    assert browser.post("enroll", name=LAMP, recordings=clips).json["items"][-1]["examples"] == 3
