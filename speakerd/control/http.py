"""The page and the requests over HTTP and WebSocket, on Tornado in a thread of its own.

Tornado because it needs nothing else, takes 12 MB where aiohttp takes 19, and bounds by itself what a client may send
and how long that may take. Only who switches the page on imports it.
"""

import asyncio
import contextlib
import logging
import queue
import socket
import ssl
import threading
from collections.abc import Awaitable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from speakerd.config.settings import Http
from speakerd.control.access import REMEMBERED, Access
from speakerd.control.messages import Failed, Request
from speakerd.control.openapi import REQUESTS, Login, document
from speakerd.control.service import Service
from speakerd.errors import SpeakerdError

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

MOST_CONNECTIONS = 64  # a browser opens six; each costs 50 kB
MOST_SOCKETS = 16  # WebSockets, each with a thread
LARGEST_REQUEST = 16 * 1024 * 1024  # ten examples of ten seconds, as a phone records them
LARGEST_MESSAGE = 64 * 1024  # on the WebSocket, where nobody sends sound
PATIENCE = 30  # seconds that a client may take to say what it wants, and to take the answer
COOKIE = "speakerd"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "Server": "speakerd",
    "X-Content-Type-Options": "nosniff",
}


class Site:
    """Serves until closed. ``address`` is where the page is."""

    def __init__(self, settings: Http, service: Service) -> None:
        """Raises:
        SpeakerdError: the address or the port cannot be used, or the token or the certificate cannot be read.
        """
        self.access = Access(settings)
        self.service = service
        self.pool = ThreadPoolExecutor(4, "http-request")
        self.sockets: set[Socket] = set()
        self._secrets, self._files = _secrets(settings), _files()
        try:
            self._bound = bind_sockets(settings.port, settings.address, backlog=MOST_CONNECTIONS)
        except OSError as error:
            raise SpeakerdError(
                f"http.port: {settings.address}:{settings.port} cannot be served: {error.strerror}. Does another "
                "program use it? Choose another http.port"
            ) from error
        for bound in self._bound:  # those who connect inherit it: who takes nothing for so long is cut off
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PATIENCE * 1000)
        port = self._bound[0].getsockname()[1]
        named = f"[{settings.address}]" if ":" in settings.address else settings.address
        self.address = f"{'https' if self._secrets else 'http'}://{named}:{port}/"
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="http", daemon=True)
        self._thread.start()
        self._loop, self._ending = self._ready.result()
        log.info("the page is at %s", self.address)

    def close(self) -> None:
        """Take nothing more, and hang up on everybody."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(5)
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self) -> None:
        here = {"site": self}
        application = Application(
            [
                (r"/api/openapi\.json", OpenApi, here),
                (r"/api/login", LogIn, here),
                (r"/api/logout", LogOut, here),
                (r"/api/socket", Socket, here),
                (r"/api/(.*)", Ask, here),
                (r"/(.*)", Page, here | {"files": self._files}),
            ],
            log_function=_told,
            websocket_ping_interval=PATIENCE,
            websocket_ping_timeout=PATIENCE,
            websocket_max_message_size=LARGEST_MESSAGE,
        )
        server = Server(
            application,
            ssl_options=self._secrets,
            max_header_size=16 * 1024,
            max_body_size=4096,  # who may send more is told so when it is known who that is
            body_timeout=PATIENCE,
            idle_connection_timeout=PATIENCE,
        )
        server.add_sockets(self._bound)
        ending = asyncio.Event()
        self._ready.set_result((asyncio.get_running_loop(), ending))
        await ending.wait()
        server.stop()
        for one in list(self.sockets):
            one.close(1001, "speakerd ends")
        await asyncio.sleep(0.1)  # the words of farewell
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.close_all_connections(), 2)


class Server(HTTPServer):
    """With a limit to how many are connected."""

    connected = 0

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if self.connected >= MOST_CONNECTIONS:
            stream.close()
            return
        self.connected += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        self.connected -= 1
        super().on_close(server_conn)


class _Handler(RequestHandler):
    """Looks first at who asks."""

    guarded = True  # by the token

    def initialize(self, site: Site) -> None:
        self.site = site

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.set_header("Cache-Control", "no-store")

    def prepare(self) -> Awaitable[None] | None:
        access, headers = self.site.access, self.request.headers
        host = headers.get("Host")
        if not access.is_ours(host):
            self.refuse(403, "this name is not one of this speaker's; add it to http.names if it is")
        elif not access.is_own_page(headers.get("Origin"), host):
            self.refuse(403, "the request comes from another site's page")
        elif self.guarded and not access.may_ask(headers.get("Authorization"), self.get_cookie(COOKIE)):
            self.set_header("WWW-Authenticate", 'Bearer realm="speakerd"')
            self.refuse(401, "the token is missing or wrong: log in, or send it in the Authorization header")
        return None

    def refuse(self, status: int, message: str) -> None:
        self.set_status(status)
        self.answer(Failed(message))

    def answer(self, value: Any) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **_: Any) -> None:
        if status_code == 405:
            self.set_header("Allow", "POST" if isinstance(self, Ask | LogIn | LogOut) else "GET, HEAD")
        self.answer(Failed(self._reason))

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return None


class Page(_Handler):
    """The files of the page, which are no secret."""

    guarded = False

    def initialize(self, site: Site, files: dict[str, tuple[str, bytes]]) -> None:  # type: ignore[override]
        super().initialize(site)
        self._files = files

    def get(self, name: str) -> None:
        if name not in self._files:
            self.refuse(404, "there is no such page")
            return
        kind, content = self._files[name]
        self.set_header("Content-Type", kind)
        self.set_header("Cache-Control", "no-cache")  # asked for each time, sent when it has changed
        self.finish(content)

    head = get


class OpenApi(_Handler):
    guarded = False

    def get(self) -> None:
        self.answer(document(self.site.access.asks_for_token))

    head = get


class LogIn(_Handler):
    guarded = False

    async def post(self) -> None:
        try:
            login = msgspec.json.decode(self.request.body, type=Login)
        except msgspec.MsgspecError as error:
            self.refuse(400, f"not a login: {error}")
            return
        cookie = self.site.access.cookie(login.token)
        if cookie is None:
            await asyncio.sleep(1)  # for those who try many
            self.refuse(401, "this is not the token; it stands in the settings, as http.token or in http.token_file")
            return
        secure = self.request.protocol == "https"
        self.set_cookie(COOKIE, cookie, max_age=REMEMBERED, httponly=True, samesite="Strict", secure=secure)
        self.answer({"items": []})


class LogOut(_Handler):
    guarded = False

    def post(self) -> None:
        self.clear_cookie(COOKIE)
        self.answer({"items": []})


@stream_request_body
class Ask(_Handler):
    """One request and all of its answer."""

    def prepare(self) -> None:
        self._body = bytearray()
        super().prepare()
        if self._finished:
            return
        kind = REQUESTS.get(self.path_args[0])
        size = self.request.headers.get("Content-Length", "0")
        if kind is None:
            self.refuse(404, "there is no such request; /api/openapi.json lists them")
        elif self.request.method != "POST":
            self.send_error(405)
        elif kind.goes_on:
            self.refuse(404, "this one goes on: ask it on the WebSocket at /api/socket")
        elif self.request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            self.refuse(415, "the body must be application/json")
        elif size.isdecimal() and int(size) > LARGEST_REQUEST:
            self.refuse(413, "too much at once: give fewer recordings")
        else:
            self._kind: type[Request] = kind
            self.request.connection.set_max_body_size(LARGEST_REQUEST)  # type: ignore[union-attr]

    def data_received(self, chunk: bytes) -> None:
        self._body += chunk

    async def post(self, _: str) -> None:
        try:
            request = msgspec.json.decode(self._body, type=self._kind)
            loop = asyncio.get_running_loop()
            items = await loop.run_in_executor(self.site.pool, lambda: [*self.site.service.ask(request)])
        except msgspec.MsgspecError as error:
            self.refuse(400, f"not such a request: {error}")
        except SpeakerdError as error:
            self.refuse(409, str(error))
        else:
            self.answer({"items": items})


class Socket(_Handler, WebSocketHandler):
    """Requests and answers as on the unix socket, one after the other; closing it ends what is going on."""

    def open(self) -> None:
        self._asked: queue.Queue[bytes | None] = queue.Queue(4)
        self._loop, self._gone = asyncio.get_running_loop(), False
        if len(self.site.sockets) >= MOST_SOCKETS:
            self.close(1013, "too many listen already")
            return
        self.site.sockets.add(self)
        threading.Thread(target=self._serve, name="request", daemon=True).start()

    def check_origin(self, origin: str) -> bool:
        return True  # prepare has looked

    def on_message(self, message: str | bytes) -> None:
        try:
            self._asked.put_nowait(message.encode() if isinstance(message, str) else message)
        except queue.Full:
            self.close(1008, "too many requests at once")

    def on_close(self) -> None:
        self._gone = True
        self.site.sockets.discard(self)
        with contextlib.suppress(queue.Full):
            self._asked.put_nowait(None)

    def _serve(self) -> None:
        """In a thread of its own."""
        while (asked := self._asked.get()) is not None:
            for reply in self.site.service.replies(asked):
                if self._gone:
                    return
                sent = asyncio.run_coroutine_threadsafe(self._send(msgspec.json.encode(reply)), self._loop)
                try:
                    sent.result(PATIENCE)
                except (WebSocketClosedError, TimeoutError):  # gone, or as good as
                    self._loop.call_soon_threadsafe(self.close)
                    return

    async def _send(self, reply: bytes) -> None:
        await self.write_message(reply.decode())


def _files() -> dict[str, tuple[str, bytes]]:
    """What the page consists of, by its place: type and content."""
    files = {file.name: (TYPES[file.suffix] + "; charset=utf-8", file.read_bytes()) for file in PAGE.iterdir()}
    return files | {"": files["index.html"]}


def _secrets(settings: Http) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: "")  # never ask on a terminal
    except (OSError, ssl.SSLError) as error:
        raise SpeakerdError(
            f"http.certificate, http.key: {settings.certificate} and {settings.key} cannot be used: {error}"
        ) from error
    return context


def _told(handler: RequestHandler) -> None:
    request: HTTPServerRequest = handler.request
    log.debug("%s %s from %s: %d", request.method, request.path, request.remote_ip, handler.get_status())
