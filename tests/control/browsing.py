"""What a browser does, and what it would not: requests to a running site with any headers."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from speakerd.control.http import Site

TOKEN = "correct horse battery staple".replace(" ", "-")


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """``headers`` go with every request; a cookie that comes is sent from then on."""

    def __init__(self, site: Site, trusts: ssl.SSLContext | None = None, **headers: str) -> None:
        self.url = urlsplit(site.address)
        self.headers, self._trusts = headers, trusts

    def connect(self) -> http.client.HTTPConnection:
        assert self.url.hostname
        if self._trusts:
            return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=20, context=self._trusts)
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=20)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connect()
        connection.request(method, path, body, self.headers | headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        if answer.headers["Set-Cookie"]:
            self.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        return answer

    def post(self, request: str, /, **fields: Any) -> Answer:
        body = json.dumps(fields).encode()
        return self.ask("POST", f"/api/{request}", body, **{"Content-Type": "application/json"})

    def talk(self, *requests: dict[str, Any], until: Callable[[dict[str, Any]], bool] | None = None) -> list[Any]:
        """What comes on the WebSocket: so many ends as requests, or until an item is enough."""

        async def talk() -> list[Any]:
            url = f"ws://{self.url.netloc}/api/socket"
            socket = await websocket_connect(HTTPRequest(url, headers=self.headers, connect_timeout=10))
            for request in requests:
                await socket.write_message(json.dumps(request))
            told: list[Any] = []
            while sum(reply["type"] != "Item" for reply in told) < len(requests):
                text = await asyncio.wait_for(socket.read_message(), 20)
                if text is None:
                    told.append({"type": "Closed", "code": socket.close_code})
                    break
                told.append(json.loads(text))
                if until is not None and told[-1]["type"] == "Item" and until(told[-1]["value"]):
                    break
            socket.close()
            return told

        return asyncio.run(talk())
