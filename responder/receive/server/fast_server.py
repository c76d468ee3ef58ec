"""Listens with uvicorn, which leaves signals, and the end, to the one who started it.

What uvicorn has listen for it accepts all that come, and where there is no file left for one more,
resets every one that waits. So connections are accepted here, a few at a time, and each only when
there is room for it; others wait in the kernel meanwhile.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence

import structlog
import uvicorn

from responder.receive.refused_callers import Seldom
from responder.receive.server.connections import Room
from responder.receive.server.protocol import PatientProtocol
from responder.receive.server.sockets import (
    KEEP_ALIVE_SECONDS,
    PATIENCE_SECONDS,
    Note,
    listening_on,
)

_AT_ONCE = 16
_REST_SECONDS = 0.05

logger = structlog.stdlib.get_logger(__name__)


class Listener:
    """Accepts connections where there is room for them."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], PatientProtocol],
        room: Room,
    ) -> None:
        self.sockets = sockets
        self._protocol = protocol
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._lines = Seldom()
        self._waiting: socket.socket | None = None  # accepted, and there was no room
        self._closed = False
        for one in sockets:
            one.settimeout(0)
            self._loop.add_reader(one, self._accept, one)

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        for one in self.sockets:
            self._loop.remove_reader(one)
            one.close()
        if self._waiting:
            self._waiting.close()

    async def wait_closed(self) -> None:
        """Wait for those that are being opened."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a few; the others' turn comes after that of whatever else is to be done."""
        for _ in range(_AT_ONCE):
            try:
                connection = self._waiting or listener.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if self._lines.counted("accept"):
                    logger.error("A connection could not be accepted.", why=error.strerror)
                self._rest(listener)
                return
            self._waiting = None if self._room.make() else connection
            if self._waiting:
                self._rest(listener)
                return
            self._open(connection)

    def _open(self, connection: socket.socket) -> None:
        protocol = self._protocol()
        protocol.room = self._room
        self._room.enter(protocol)
        connection.settimeout(0)
        task = self._loop.create_task(self._connect(protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, protocol: PatientProtocol, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:  # it was reset meanwhile
            connection.close()
            self._room.leave(protocol)

    def _rest(self, listener: socket.socket) -> None:
        """Accept nothing for a moment."""
        self._loop.remove_reader(listener)
        self._loop.call_later(_REST_SECONDS, self._go_on, listener)

    def _go_on(self, listener: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listener, self._accept, listener)


class Server(uvicorn.Server):
    """uvicorn without its signals: it would end the process with the signal's own exit code."""

    def __init__(self, config: uvicorn.Config, room: Room) -> None:
        super().__init__(config)
        self._room = room

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raise OSError where that cannot be."""
        host, port = self.config.host, self.config.port
        sockets = sockets or await listening_on(host, port)
        self.servers = [Listener(sockets, self._speak, self._room)]  # type: ignore[list-item]
        self.started = True

    def _speak(self) -> PatientProtocol:
        speaks = self.config.http
        assert isinstance(speaks, type)
        assert issubclass(speaks, PatientProtocol)
        return speaks(self.config, self.server_state, {})

    async def listens(self, serving: "asyncio.Task[None]") -> int:
        """Wait until it listens, and return the port. Raise OSError where it cannot."""
        while not self.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Receive nothing more, and end."""
        self.should_exit = True


def server_config(
    app: object,
    *,
    host: str,
    port: int,
    patience_seconds: float = PATIENCE_SECONDS,
    drain_seconds: int = 15,
    speaks: type[PatientProtocol] = PatientProtocol,
    note: Note = PatientProtocol.note,
) -> uvicorn.Config:
    """Configure uvicorn for events: fast, silent about itself, patient for so long only.

    It logs through the loggers that exist, never a request (an address may hold a `url_key`), and
    trusts no header about where a request came from. After `drain_seconds` a stop waits no longer.
    """

    class Protocol(speaks):  # type: ignore[misc, valid-type]  # a class is a value here
        pass

    Protocol.patience_seconds = patience_seconds
    Protocol.note = staticmethod(note)
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
