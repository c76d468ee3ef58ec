"""Serves a sandbox: in a thread for tests and the demo, in the foreground for people."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from responder.bitrix24.sandbox import wire
from responder.bitrix24.sandbox.portal import Sandbox

START_SECONDS = 10.0

Serve = Callable[[wire.Scope, wire.Receive, wire.Send], Coroutine[None, None, None]]


class _ClosableProtocol(HttpToolsProtocol):
    """A protocol that lets the application close its connection, which ASGI itself cannot."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["close"] = self.transport.close


class _QuickServer(uvicorn.Server):
    """A server that starts and stops at once; uvicorn's own loop polls every 0.1 s."""

    def __init__(self, serve: Serve) -> None:
        super().__init__(
            uvicorn.Config(
                serve,
                http=_ClosableProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=75,  # longer than a test: an idle connection stays usable
            )
        )
        self.ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        while self.server_state.tasks:
            await asyncio.wait(list(self.server_state.tasks), timeout=1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        self.stop()

    def stop(self) -> None:
        if self._loop is None:
            self._stopping.set()
        else:
            self._loop.call_soon_threadsafe(self._stopping.set)


class ThreadedServer:
    """An ASGI application on a port of 127.0.0.1, in a thread of its own; 0 is a free one.

    It may be started again after a stop, on the same port.
    """

    def __init__(self, serve: Serve, name: str, port: int = 0) -> None:
        self.port = port
        self._serve = serve
        self._name = name
        self._server: _QuickServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Start to serve, and return when connections are accepted."""
        listener = _listen("127.0.0.1", self.port, socket.AF_INET)
        self.port = listener.getsockname()[1]
        server = _QuickServer(self._serve)
        thread = threading.Thread(
            target=server.run, args=([listener],), name=self._name, daemon=True
        )
        thread.start()
        if not server.ready.wait(START_SECONDS):
            raise RuntimeError("the sandbox did not start")
        self._server, self._thread = server, thread
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; a second stop does nothing."""
        if self._server and self._thread:
            self._server.stop()
            self._thread.join(START_SECONDS)
            self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class SandboxServer(ThreadedServer):
    """A sandbox on a free port of 127.0.0.1: a portal, which may be away for a while."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox or Sandbox()
        super().__init__(self.sandbox, "sandbox")

    @property
    def url(self) -> str:
        """Return the address of the incoming webhook of this portal."""
        return f"{self.address}/rest/{self.sandbox.user_id}/{self.sandbox.secret}/"

    @property
    def address(self) -> str:
        """Return the address of the portal itself, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start to serve, and return when connections are accepted."""
        super().start()
        self.sandbox.reached_at(portal=self.address)
        return self


async def run(host: str, port: int, sandbox: Sandbox) -> None:
    """Serve a sandbox until the process is stopped; raise `OSError` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = _listen(host, port, family)
    name = f"[{host}]" if family == socket.AF_INET6 else host
    sandbox.reached_at(portal=f"http://{name}:{listener.getsockname()[1]}")
    server = _QuickServer(sandbox)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.stop()
        await serving
        raise


def _listen(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Return a listening socket whose connections send at once."""
    listener = socket.create_server((host, port), family=family, backlog=1024)
    # asyncio sets this only where it listens itself; without it each answer's body would wait 40 ms
    # for the caller to acknowledge its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
