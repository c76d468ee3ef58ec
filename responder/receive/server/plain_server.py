"""Serves with uvicorn's public parts alone, where `uvicorn_parts` finds private parts missing.

Events are received as always, but h11 parses them, and what the private parts were needed for is
done around uvicorn: before the application, and between a connection and uvicorn's own protocol for
it, by what asyncio calls. A request is answered once its body is complete, or has not come for ten
seconds. A request that asks for another protocol, or whose end is ambiguous, is the last of its
connection.

What is lost: a head may take as long as it likes, until its connection is the one that has been
idle longest; connections beyond the limit are accepted, and closed where all others await an
answer; and acknowledging costs more.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from responder.receive.endpoint import BODY_BYTES
from responder.receive.server.connections import OpenConnections
from responder.receive.server.sockets import (
    HEAD_BYTES,
    KEEP_ALIVE_SECONDS,
    PATIENCE_SECONDS,
    OnRefused,
    listen,
)

_GONE: Message = {"type": "http.disconnect"}

Caller = tuple[Any, ...]  # host and port: unique among open connections


class WholeRequests:
    """An ASGI application around another, which is called once a request is complete.

    `owed` are the callers whose answer has not begun.
    """

    def __init__(self, app: ASGIApp, on_refused: OnRefused, patience_seconds: float) -> None:
        self.owed: set[Caller] = set()
        self._app = app
        self._on_refused = on_refused
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then pass the request on; refuse one after which nothing may be read."""
        came = await self._body(receive)
        caller = tuple(scope["client"] or ())
        answer = _Answer(send, lambda: self.owed.discard(caller), closes=came is _GONE)
        kind = _refused_kind(scope)
        if kind:
            self._on_refused(kind)
            await answer.refuse(400)
            return
        if scope["method"] == "POST":
            self.owed.add(caller)
        try:
            await self._app(scope, _replayed(came, receive), answer.send)
        finally:
            self.owed.discard(caller)
        if not answer.began:  # its body did not come, and the application counted that
            self._on_refused("late")
            await answer.refuse(408)

    async def _body(self, receive: Receive) -> Message:
        """Return the whole body, of which no more is kept than shows that it is too long."""
        body = b""
        try:
            async with asyncio.timeout(self._patience_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return _GONE
                    body += message.get("body", b"") if len(body) <= BODY_BYTES else b""
                    if not message.get("more_body", False):
                        return {"type": "http.request", "body": body}
        except TimeoutError:
            return _GONE


class _Answer:
    """An answer, which also closes the connection where no more is to be read."""

    def __init__(self, send: Send, begins: Callable[[], None], *, closes: bool) -> None:
        self.began = False
        self._send = send
        self._begins = begins
        self._closes = closes

    async def send(self, message: Message) -> None:
        """Send a message of the answer."""
        if not self.began:
            self.began = True
            self._begins()
            if self._closes:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, status: int) -> None:
        """Send an answer of a status alone, and close."""
        self._closes = True
        headers = [(b"content-length", b"0")]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body"})


def _replayed(first: Message, receive: Receive) -> Receive:
    left = [first]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def _refused_kind(scope: Scope) -> str | None:
    """Return the kind of a request after which nothing may be read as another one, or None."""
    given: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        given[name] = given.get(name, b"") + value.lower() + b","
    options = [option.strip() for option in given.get(b"connection", b"").split(b",")]
    if scope["method"] == "CONNECT" or (b"upgrade" in given and b"upgrade" in options):
        return "upgrade"
    chunked = b"transfer-encoding" in given
    if chunked and (b"content-length" in given or scope["http_version"] == "1.0"):
        return "malformed"
    return None if scope["http_version"] in ("1.0", "1.1") else "malformed"


class _Connection(asyncio.Protocol):
    """A connection on which uvicorn's own protocol runs, counted among the open ones."""

    inner_type: ClassVar[type[asyncio.Protocol]]
    room: ClassVar[OpenConnections]
    owed: ClassVar[set[Caller]]

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 -- uvicorn's business
        self._loop = asyncio.get_running_loop()
        self._inner = self.inner_type(*given, **named)
        self.active_at = self._loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; abort it where there is no room."""
        self._transport = transport
        self._caller = tuple((transport.get_extra_info("peername") or ())[:2])
        if self.room.make_room():
            self.room.add(self)
        else:
            self._inner = asyncio.Protocol()
            transport.abort()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self.room.remove(self)
        self._inner.connection_lost(exc)

    def awaits_answer(self) -> bool:
        """Return whether it sent a request that is not answered yet."""
        return self._caller in self.owed

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass on what arrived."""
        self.active_at = self._loop.time()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that nothing more will arrive."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the client does not read what is sent."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client reads again."""
        self._inner.resume_writing()


class PlainServer:
    """An unmodified uvicorn."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        room: OpenConnections,
        on_refused: OnRefused,
        drain_seconds: int,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        whole = WholeRequests(app, on_refused, patience_seconds)
        settings: dict[str, Any] = {
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
            "log_level": "error",  # below that it logs a line for each malformed request
            "access_log": False,
            "proxy_headers": False,
            "server_header": False,
            "timeout_keep_alive": KEEP_ALIVE_SECONDS,
            "timeout_graceful_shutdown": drain_seconds,
            "h11_max_incomplete_event_size": HEAD_BYTES,
        }
        kind = _connection_type(whole, room, settings)
        self._server = uvicorn.Server(uvicorn.Config(whole, http=kind, **settings))

    async def serve(self) -> None:
        """Receive until stopped."""
        sockets = await listen(self._host, self._port)
        self._bound.set_result(sockets[0].getsockname()[1])
        await self._server.serve(sockets=sockets)

    async def listening_port(self, serving: "asyncio.Task[None]") -> int:
        """Return the port once it listens; raise OSError where that fails."""
        either: list[asyncio.Future[Any]] = [serving, self._bound]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        return await self._bound

    def stop(self) -> None:
        """Accept nothing more, and end."""
        self._server.should_exit = True


def _connection_type(
    whole: WholeRequests, room: OpenConnections, settings: Mapping[str, Any]
) -> type[_Connection]:
    """Return the connection class that runs uvicorn's h11 protocol and counts among these."""
    config = uvicorn.Config(whole, http="h11", **settings)
    config.load()
    named = {"inner_type": config.http_protocol_class, "room": room, "owed": whole.owed}
    return type("Connection", (_Connection,), named)
