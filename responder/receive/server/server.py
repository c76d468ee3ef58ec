"""Chooses how uvicorn serves: by its private parts, which is fast, or by its public ones alone.

Modules built on private parts are imported only where those exist.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

import structlog
import uvicorn
from starlette.types import ASGIApp

from responder.receive.endpoint import Endpoint
from responder.receive.server import uvicorn_parts
from responder.receive.server.connections import OpenConnections
from responder.receive.server.sockets import OnRefused

logger = structlog.stdlib.get_logger(__name__)


class Receiver(Protocol):
    """A server on one port."""

    async def serve(self) -> None:
        """Receive until stopped."""

    async def listening_port(self, serving: "asyncio.Task[None]") -> int:
        """Return the port once it listens; raise OSError where that fails."""

    def stop(self) -> None:
        """Accept nothing more, and end."""


def receivers(
    ports: Iterable[tuple[int, ASGIApp]],
    *,
    host: str,
    room: OpenConnections,
    on_refused: OnRefused,
    drain_seconds: int,
) -> list[Receiver]:
    """Return a server for each of these ports; call it within a running loop."""
    absent = uvicorn_parts.missing()
    if absent:
        logger.warning(
            "This uvicorn lacks parts that fast receiving is built on: receiving is slower, and "
            "slow clients may hold connections longer.",
            uvicorn=uvicorn.__version__,
            missing=absent,
        )
    receiver = _plain if absent else _fast
    return [
        receiver(app, room, on_refused, host=host, port=port, drain_seconds=drain_seconds)
        for port, app in ports
    ]


def _plain(app: ASGIApp, room: OpenConnections, on_refused: OnRefused, **given: Any) -> Receiver:  # noqa: ANN401
    from responder.receive.server.plain_server import PlainServer

    return PlainServer(app, room=room, on_refused=on_refused, **given)


def _fast(app: ASGIApp, room: OpenConnections, on_refused: OnRefused, **given: Any) -> Receiver:  # noqa: ANN401
    from responder.receive.server import fast_path
    from responder.receive.server.deadlines import DeadlineProtocol
    from responder.receive.server.fast_server import Server, server_config

    protocol = fast_path.protocol_for(app) if isinstance(app, Endpoint) else DeadlineProtocol
    return Server(server_config(app, protocol=protocol, on_refused=on_refused, **given), room)
