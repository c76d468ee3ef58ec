"""Converts HTTP requests to calls, and the results of calls to HTTP answers."""

import functools
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass

from responder.bitrix24.sandbox import php

Message = MutableMapping[str, object]
Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATH = re.compile(r"/rest/([^/]+)/([^/]+)/([^/]*?)(?:\.json)?/?")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `user` is None where the path is not one of a webhook."""

    user: str | None
    secret: str
    method: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", _JSON.encode()),)


async def read(scope: Scope, receive: Receive) -> Request:
    """Read a request; its method name in lower case, as the portal takes it."""
    body = bytearray()
    more: object = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        body += part if isinstance(part, bytes) else b""
        more = message.get("more_body", False)
    query = scope.get("query_string", b"")
    params = php.nest(query.decode("latin-1")) if isinstance(query, bytes) else {}
    params.update(_parameters(_content_type(scope), bytes(body)))
    match = _PATH.fullmatch(str(scope["path"]))
    if not match:
        return Request(user=None, secret="", method="", params=params)
    return Request(user=match[1], secret=match[2], method=match[3].lower(), params=params)


def _content_type(scope: Scope) -> str:
    headers = scope["headers"]
    for name, value in headers if isinstance(headers, list) else ():
        if name == b"content-type":
            return str(value, "latin-1").partition(";")[0].strip().lower()
    return ""


def _parameters(content_type: str, body: bytes) -> dict[str, object]:
    if content_type == _FORM:
        return php.nest(body.decode("utf-8", "replace"))
    if content_type == "application/json":
        # JSON that cannot be read is no error: it means no parameters.
        try:
            return php.mapping(json.loads(body))
        except ValueError:
            return {}
    return {}


def encode(status: int, value: object) -> Reply:
    """Return an answer as PHP's `json_encode` writes it: ASCII only, slashes escaped."""
    text = json.dumps(value, separators=(",", ":")).replace("/", "\\/")
    return Reply(status=status, body=text.encode())


def error(status: int, code: str, text: str) -> Reply:
    """Return an error; there is no `time` in it."""
    return encode(status, {"error": code, "error_description": text})


async def send_reply(reply: Reply, send: Send) -> None:
    """Send an answer whole."""
    length = str(len(reply.body)).encode()
    headers = [*reply.headers, (b"content-length", length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def broken(fault: str) -> Reply | None:
    """Return the answer that a fault sends instead, or None where the connection simply closes."""
    write = _BROKEN.get(fault)
    return write() if write else None


def _html_502() -> Reply:
    page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return Reply(status=502, body=page, headers=((b"content-type", b"text/html"),))


def _redirect() -> Reply:
    location = (b"location", b"https://renamed-portal.invalid/rest/")
    return Reply(status=302, body=b"", headers=(location,))


def _not_json() -> Reply:
    return Reply(status=200, body=b"<br />\n<b>Notice</b>: Undefined index: ID in rest.php")


def _big() -> Reply:
    return encode(200, {"result": "x" * (2 << 20)})


@functools.cache
def _gzip_bomb() -> Reply:
    packer = zlib.compressobj(level=1, wbits=31)
    parts = [packer.compress(b'{"result":"')]
    parts += [packer.compress(b"0" * (1 << 20)) for _ in range(64)]
    parts += [packer.compress(b'"}'), packer.flush()]
    encoding = (b"content-encoding", b"gzip")
    content_type = (b"content-type", _JSON.encode())
    return Reply(status=200, body=b"".join(parts), headers=(content_type, encoding))


_BROKEN: dict[str, Callable[[], Reply]] = {
    "act_then_500": lambda: error(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "html_502": _html_502,
    "redirect": _redirect,
    "not_json": _not_json,
    "big": _big,
    "gzip_bomb": _gzip_bomb,
}
