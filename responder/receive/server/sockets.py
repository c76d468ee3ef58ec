"""Listens, and says what a connection is granted, whichever way uvicorn then speaks on it."""

import asyncio
import errno
import socket
from collections.abc import Callable

PATIENCE_SECONDS = 10.0
HEAD_BYTES = 64 * 1024

# An idle connection of a load balancer is kept a little longer than the 60 s that most of them
# use: were it closed here first, the event that is just being sent on it would be lost.
KEEP_ALIVE_SECONDS = 75

_BACKLOG = 2048

Note = Callable[[str], None]  # hears of what kind a request was that is refused


async def listening_on(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that a host has here. Raise OSError where that cannot be."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                sockets.append(socket.create_server(address[:2], family=family, backlog=_BACKLOG))
            except OSError as error:
                # a name may have an address of a family that this machine has not
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
    except OSError:
        sockets = []
    if not sockets:
        raise OSError(f"cannot listen on {host}:{port}")
    return sockets
