"""Runs uvicorn with its own listening replaced: connections are accepted only while there is room.

uvicorn's listener accepts all that come, and where no file descriptor is left for one more, resets
every connection that waits. So connections are accepted here, a few at a time, and each only when
there is room for it; the others wait in the kernel meanwhile. Signals are left to the caller.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import structlog
import uvicorn

from responder.receive.refused_callers import SeldomLog
from responder.receive.server.connections import OpenConnections
from responder.receive.server.deadlines import DeadlineProtocol
from responder.receive.server.sockets import (
    KEEP_ALIVE_SECONDS,
    PATIENCE_SECONDS,
    OnRefused,
    listen,
)

_AT_ONCE = 16
_REST_SECONDS = 0.05

logger = structlog.stdlib.get_logger(__name__)


class Listener:
    """Listening sockets, from which connections are accepted while there is room."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], DeadlineProtocol],
        room: OpenConnections,
    ) -> None:
        self.sockets = sockets
        self._protocol = protocol
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._lines = SeldomLog()
        self._waiting: socket.socket | None = None  # accepted, and there was no room
        self._closed = False
        for one in sockets:
            one.settimeout(0)
            self._loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Stop accepting."""
        self._closed = True
        for one in self.sockets:
            self._loop.remove_reader(one)
            one.close()
        if self._waiting:
            self._waiting.close()

    async def wait_closed(self) -> None:
        """Wait for connections that are being opened."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a few connections, so that other work gets its turn between them."""
        for _ in range(_AT_ONCE):
            try:
                connection = self._waiting or listener.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if self._lines.count("accept"):
                    logger.error("A connection could not be accepted.", why=error.strerror)
                self._rest(listener)
                return
            self._waiting = None if self._room.make_room() else connection
            if self._waiting:
                self._rest(listener)
                return
            self._open(connection)

    def _open(self, connection: socket.socket) -> None:
        protocol = self._protocol()
        protocol.room = self._room
        self._room.add(protocol)
        connection.settimeout(0)
        task = self._loop.create_task(self._connect(protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, protocol: DeadlineProtocol, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:  # it was reset meanwhile
            connection.close()
            self._room.remove(protocol)

    def _rest(self, listener: socket.socket) -> None:
        """Accept nothing for a moment."""
        self._loop.remove_reader(listener)
        self._loop.call_later(_REST_SECONDS, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listener, self._accept, listener)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process with the signal's code."""

    def __init__(self, config: uvicorn.Config, room: OpenConnections) -> None:
        super().__init__(config)
        self._room = room

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `serve` handles signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; raise OSError where that fails."""
        host, port = self.config.host, self.config.port
        sockets = sockets or await listen(host, port)
        self.servers = [Listener(sockets, self._make_protocol, self._room)]  # type: ignore[list-item]
        self.started = True

    def _make_protocol(self) -> DeadlineProtocol:
        protocol = self.config.http
        assert isinstance(protocol, type)
        assert issubclass(protocol, DeadlineProtocol)
        return protocol(self.config, self.server_state, {})

    async def listening_port(self, serving: "asyncio.Task[None]") -> int:
        """Return the port once it listens; raise OSError where that fails."""
        while not self.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Accept nothing more, and end."""
        self.should_exit = True


def server_config(
    app: object,
    *,
    host: str,
    port: int,
    patience_seconds: float = PATIENCE_SECONDS,
    drain_seconds: int = 15,
    protocol: type[DeadlineProtocol] = DeadlineProtocol,
    on_refused: OnRefused = DeadlineProtocol.on_refused,
) -> uvicorn.Config:
    """Return uvicorn's configuration for receiving events.

    uvicorn logs no request (a path may hold a `url_key`), and trusts no header about where a
    request came from. A client has `patience_seconds` for a head, and for a body; a stop waits
    `drain_seconds` at most.
    """

    class Protocol(protocol):  # type: ignore[misc, valid-type]  # a class is a value here
        pass

    Protocol.patience_seconds = patience_seconds
    Protocol.on_refused = staticmethod(on_refused)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        http=Protocol,
        ws="none",
        workers=1,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )
