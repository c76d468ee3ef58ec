"""Listens with uvicorn, which leaves signals and the end to the one who started it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class Server(uvicorn.Server):
    """uvicorn without its signals: it would end the process with the signal's own exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen. Raise OSError where uvicorn would end the process."""
        try:
            await super().startup(sockets)
        except SystemExit:
            raise OSError(f"cannot listen on {self.config.host}:{self.config.port}") from None

    async def listens(self, serving: "asyncio.Task[None]") -> int:
        """Wait until it listens, and return the port. Raise OSError where it cannot."""
        while not self.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port
