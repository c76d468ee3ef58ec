"""Converts HTTP requests to calls, and the results of calls to HTTP answers."""

import asyncio
import functools
import json
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass

from responder.bitrix24.sandbox import php

Message = MutableMapping[str, object]
Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HANG_SECONDS = 60.0
DRIP_SECONDS = 0.05

_PATH = re.compile(r"/rest/(?:([^/]+)/([^/]+)/)?([^/]*?)(?:\.json)?/?")
_TOKENS = ("auth", "access_token")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. `user` is None where the path is not one of a webhook.

    There `token` is the access token of an application, which is no longer among `params`.
    """

    user: str | None
    secret: str
    method: str
    params: Mapping[str, object]
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """One HTTP request as it came: what stood in its address, and what in its body."""

    http_method: str
    path: str
    query: Mapping[str, object]
    body: Mapping[str, object]
    headers: Mapping[str, str]
    content: bytes

    @property
    def params(self) -> dict[str, object]:
        """Return all parameters; those of the body win."""
        return {**self.query, **self.body}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", _JSON.encode()),)


async def inquiry(scope: Scope, receive: Receive) -> Inquiry:
    """Read an HTTP request whole."""
    body = bytearray()
    more: object = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        body += part if isinstance(part, bytes) else b""
        more = message.get("more_body", False)
    query = scope.get("query_string", b"")
    headers = _headers(scope)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return Inquiry(
        http_method=str(scope.get("method", "POST")),  # some callers leave it out
        path=str(scope["path"]),
        query=php.nest(query.decode("latin-1")) if isinstance(query, bytes) else {},
        body=_parameters(content_type, bytes(body)),
        headers=headers,
        content=bytes(body),
    )


def request(asked: Inquiry) -> Request:
    """Convert an HTTP request to a call; its method name in lower case, as the portal takes it."""
    params = asked.params
    match = _PATH.fullmatch(asked.path)
    if not match:
        return Request(user=None, secret="", method="", params=params)
    method = match[3].lower()
    if match[1]:
        return Request(user=match[1], secret=match[2], method=method, params=params)
    token = _token(asked.headers.get("authorization", ""), params)
    params = {name: value for name, value in params.items() if name not in _TOKENS}
    return Request(user=None, secret="", method=method, params=params, token=token)


def _token(authorization: str, params: Mapping[str, object]) -> str | None:
    """Return the access token of a request; that of the header wins."""
    scheme, _, bearer = authorization.partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    given = (params.get(name) for name in _TOKENS)
    return next((token for token in given if isinstance(token, str) and token), None)


def _headers(scope: Scope) -> dict[str, str]:
    headers = scope["headers"]
    pairs = headers if isinstance(headers, list) else ()
    return {str(name, "latin-1"): str(value, "latin-1") for name, value in pairs}


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


async def send_broken(fault: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the fault's own answer, or none, and close the connection."""
    write = _BROKEN.get(fault)
    if write:
        await send_reply(write(), send)
    elif fault == "drip":
        await _drip(receive, send)
    else:
        if fault.endswith("hang"):
            await wait_until_gone(receive, within=HANG_SECONDS)
        _close(scope)
        await wait_until_gone(receive, within=HANG_SECONDS)


async def _drip(receive: Receive, send: Send) -> None:
    """Send a byte every 50 ms, so that no single read ever times out."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    ends_at = time.monotonic() + HANG_SECONDS
    while time.monotonic() < ends_at:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        if await wait_until_gone(receive, within=DRIP_SECONDS):
            return


async def wait_until_gone(receive: Receive, *, within: float) -> bool:
    """Wait until the caller has gone, or the server stops; return whether that was in time."""
    try:
        async with asyncio.timeout(within):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _close(scope: Scope) -> None:
    state = scope.get("state")
    close = state.get("close") if isinstance(state, dict) else None
    if callable(close):
        close()


def _html_502() -> Reply:
    page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return Reply(status=502, body=page, headers=((b"content-type", b"text/html"),))


def _redirect() -> Reply:
    location = (b"location", b"https://renamed-portal.invalid/rest/")
    return Reply(status=302, body=b"", headers=(location,))


def _not_json() -> Reply:
    return Reply(status=200, body=b"<br />\n<b>Notice</b>: Undefined index: ID in rest.php")


def _half() -> Reply:
    return Reply(status=200, body=b'{"result":10')


def _twice() -> Reply:
    return Reply(status=200, body=b'{"result":101}' * 2)


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
    "half": _half,
    "twice": _twice,
    "big": _big,
    "gzip_bomb": _gzip_bomb,
}
