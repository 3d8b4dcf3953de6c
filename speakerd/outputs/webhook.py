"""Tell a web address of a detection. Imported only where a webhook is configured: HTTP and TLS take 7 MB.

Neither header values nor the path of the address, which with Home Assistant is as good as a password, are logged.
"""

import http.client
import logging
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import msgspec

from speakerd import __version__
from speakerd.config import WebhookAction
from speakerd.events import Detection
from speakerd.outputs.lines import record

log = logging.getLogger(__name__)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body, and with the headers at whatever host was named."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Webhook:
    """An action that sends a POST with the detection as JSON; any answer but 2xx is a failure."""

    def __init__(self, name: str, action: WebhookAction) -> None:
        self._name, self._action = name, action
        # Proxies out of environment variables are meant for the world, not for what stands in the house.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)

    def run(self, detection: Detection) -> None:
        """Send it, and log what goes wrong. The timeout holds for each step: connecting, and the answer."""
        headers = {"Content-Type": "application/json", "User-Agent": f"speakerd/{__version__}", **self._action.headers}
        body = msgspec.json.encode(record(detection))
        request = urllib.request.Request(self._action.webhook, body, headers, method="POST")
        try:
            self._opener.open(request, timeout=self._action.timeout).close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            host = urlsplit(self._action.webhook).netloc
            log.warning("action '%s': %s did not take it: %s", self._name, host, self._why(error))

    def _why(self, error: Exception) -> str:
        if isinstance(error, urllib.error.HTTPError):
            with error:
                return f"it answered {error.code} {http.client.responses.get(error.code, '')}{_moved(error)}"
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, TimeoutError):
            return f"no answer within {self._action.timeout:g} s"
        if isinstance(cause, OSError):
            return cause.strerror or str(cause)
        return f"the exchange broke off ({type(cause).__name__})"  # its text may quote the request


def _moved(error: urllib.error.HTTPError) -> str:
    """Where a redirect, which is not followed, points to: its scheme and host."""
    target = urlsplit(error.headers.get("Location", ""))
    where = f" to {target.scheme}://{target.hostname}" if target.hostname else ""
    return f"{where}; give the final address" if 300 <= error.code < 400 else ""
