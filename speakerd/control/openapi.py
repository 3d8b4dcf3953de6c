"""The OpenAPI document, derived from the types of the requests: what the socket answers, HTTP does."""

import re
from typing import Any, get_args

import msgspec

from speakerd import __version__
from speakerd.control.messages import Failed, Request

# Each request by its name in an address: `Forget` is asked at /api/forget.
REQUESTS: dict[str, type[Request]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower(): kind for kind in get_args(Request)
}
REFUSALS = {
    "400": "This is not such a request.",
    "401": "The token is missing or wrong.",
    "403": "The Host or Origin header is not this speaker's.",
    "409": "It could not be done, and nothing was changed.",
    "413": "It is too much at once.",
    "415": "The body is not application/json.",
    "503": "Too many ask at once.",
}


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token, for a cookie: what a browser does."""

    token: str


def document(asks_for_token: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of ``POST /api/NAME`` for every request that comes to an end."""
    references, schemas = msgspec.json.schema_components(
        [*REQUESTS.values(), Login, Failed], ref_template="#/components/schemas/{name}"
    )
    for schema in schemas.values():  # the address says of which type it is
        schema["required"] = [name for name in schema.get("required", ()) if name != "type"]
    *bodies, login, failed = references
    paths = {
        f"/api/{name}": {"post": _operation(kind, body, failed)}
        for (name, kind), body in zip(REQUESTS.items(), bodies, strict=True)
        if not kind.goes_on
    }
    if asks_for_token:
        paths["/api/login"] = {"post": _operation(Login, login, failed) | {"security": []}}
    schemes = {
        "token": {"type": "http", "scheme": "bearer"},
        "login": {"type": "apiKey", "in": "cookie", "name": "speakerd"},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "speakerd",
            "version": __version__,
            "description": "Requests that go on (Watch, Teach and their like), and all others too, are asked on the "
            "WebSocket at /api/socket: a message with the request, as in the schemas here and with its `type`, is "
            'answered by messages {"type": "Item", "value": {...}}, the last by {"type": "Done"} or '
            '{"type": "Failed", "message": "..."}.',
        },
        "paths": paths,
        "components": {"schemas": schemas} | ({"securitySchemes": schemes} if asks_for_token else {}),
        "security": [{name: []} for name in schemes] if asks_for_token else [],
    }


def _operation(kind: type[msgspec.Struct], body: dict[str, Any], failed: dict[str, Any]) -> dict[str, Any]:
    items = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "object"}}},
        "required": ["items"],
    }
    return {
        "operationId": kind.__name__,
        "summary": msgspec.json.schema(kind)["$defs"][kind.__name__].get("description", kind.__name__),
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": _response("What the socket gives as items.", items)}
        | {status: _response(words, failed) for status, words in REFUSALS.items()},
    }


def _response(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
