"""Listens on a host's addresses, and defines how long and how much a client may send."""

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

OnRefused = Callable[[str], None]  # called with the kind of each refused request


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every local address of a host; raise OSError on failure."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                sockets.append(socket.create_server(address[:2], family=family, backlog=_BACKLOG))
            except OSError as error:
                # a name may have an address of a family that this machine does not support
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
    except OSError:
        sockets = []
    if not sockets:
        raise OSError(f"cannot listen on {host}:{port}")
    return sockets
