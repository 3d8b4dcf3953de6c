"""Who may ask over HTTP: by which name, from which page, with which password."""

import hmac
import socket
import time
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from speakerd.config.settings import Http
from speakerd.errors import SpeakerdError

REMEMBERED = 30 * 24 * 3600  # seconds after which somebody who logged in must do so again
SHORTEST_TOKEN = 16


class Access:
    """Judges what a client says of itself; ``token`` None: everybody may ask who gets through to this address."""

    def __init__(self, settings: Http) -> None:
        """Raises:
        SpeakerdError: the file with the token cannot be used.
        """
        self._token = settings.token or (_token_in(Path(settings.token_file)) if settings.token_file else None)
        own = socket.gethostname().casefold()
        self._names = {"localhost", own, f"{own}.local", *(name.casefold() for name in settings.names)}

    @property
    def asks_for_token(self) -> bool:
        return self._token is not None

    def is_ours(self, host: str | None) -> bool:
        """Whether a Host header names this machine. A page that somebody else's DNS leads here by another name (DNS
        rebinding) is of the same origin as that name; an address cannot be anybody else's name."""
        name = _name_in(host)
        return name is not None and (name in self._names or _is_address(name))

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether a request comes from our own page, or from no page at all."""
        return origin is None or (host is not None and urlsplit(origin).netloc.casefold() == host.casefold())

    def cookie(self, token: str) -> str | None:
        """What a browser gets for the right token: the time of it, signed with the token. None for a wrong one."""
        return self._signed(str(int(time.time()))) if self._is_token(token) else None

    def may_ask(self, authorization: str | None, cookie: str | None) -> bool:
        """Whether an Authorization header or a cookie is good."""
        if self._token is None:
            return True
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.casefold() == "bearer" and self._is_token(token.strip()):
            return True
        since = (cookie or "").partition(".")[0]
        if not (since.isascii() and since.isdigit() and len(since) < 12):
            return False
        return int(since) + REMEMBERED > time.time() and _same(cookie or "", self._signed(since))

    def _is_token(self, token: str) -> bool:
        return self._token is not None and _same(token, self._token)

    def _signed(self, since: str) -> str:
        assert self._token is not None
        return f"{since}.{hmac.new(self._token.encode(), since.encode(), sha256).hexdigest()}"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _name_in(host: str | None) -> str | None:
    try:
        return urlsplit(f"//{host or ''}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _token_in(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SpeakerdError(f"http.token_file: {file} cannot be read: {error}") from error
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise SpeakerdError(
            f"http.token_file: {file} does not hold a token of {SHORTEST_TOKEN} or more letters, digits and signs; "
            "make one: openssl rand -hex 16"
        )
    return token
