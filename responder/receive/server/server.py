"""Chooses how uvicorn serves: fast, or by what it promises to keep where private parts are missing.

What is built on those parts is imported only where they are there: without them that alone fails.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

import structlog
import uvicorn
from starlette.types import ASGIApp

from responder.receive.endpoint import Endpoint
from responder.receive.server import uvicorn_parts
from responder.receive.server.connections import Room
from responder.receive.server.sockets import Note

logger = structlog.stdlib.get_logger(__name__)


class Receiving(Protocol):
    """Receives on one port."""

    async def serve(self) -> None:
        """Receive until told to stop."""

    async def listens(self, serving: "asyncio.Task[None]") -> int:
        """Wait until it listens, and return the port. Raise OSError where it cannot."""

    def stop(self) -> None:
        """Receive nothing more, and end."""


def receivers(
    ports: Iterable[tuple[int, ASGIApp]], *, host: str, room: Room, note: Note, drain_seconds: int
) -> list[Receiving]:
    """Make what receives on each of these ports; to be called within a running loop."""
    absent = uvicorn_parts.missing()
    if absent:
        logger.warning(
            "This uvicorn lacks parts that fast receiving is built on: events are received in a "
            "slower way, and slow clients are waited for longer.",
            uvicorn=uvicorn.__version__,
            missing=absent,
        )
    receiver = _plain if absent else _fast
    return [
        receiver(app, room, note, host=host, port=port, drain_seconds=drain_seconds)
        for port, app in ports
    ]


def _plain(app: ASGIApp, room: Room, note: Note, **given: Any) -> Receiving:  # noqa: ANN401
    from responder.receive.server.plain_server import PlainServer

    return PlainServer(app, room=room, note=note, **given)


def _fast(app: ASGIApp, room: Room, note: Note, **given: Any) -> Receiving:  # noqa: ANN401
    from responder.receive.server import fast_path
    from responder.receive.server.fast_server import Server, server_config
    from responder.receive.server.protocol import PatientProtocol

    speaks = fast_path.speaking_for(app) if isinstance(app, Endpoint) else PatientProtocol
    return Server(server_config(app, speaks=speaks, note=note, **given), room)
