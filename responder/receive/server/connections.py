"""Limits how many connections are open, and closes the longest idle one where one more comes.

A process without a free file descriptor cannot receive an event, call a portal or read its rules.
So as many connections may be open as the process may have files, less a reserve for everything
else. At that limit, the connection whose last request began longest ago is closed, unless what it
sent is being stored.

The connections are in a heap by that instant, as of when it was last read. A request costs an
assignment; a connection whose instant in the heap is out of date is put back when its turn comes.
"""

import contextlib
import heapq
import itertools
import resource
from typing import Protocol

import structlog

from responder.adapters.metrics import Metrics
from responder.receive.refused_callers import SeldomLog

RESERVE = 64
_FEWEST = 16
_SPARE = 64

logger = structlog.stdlib.get_logger(__name__)


class Connection(Protocol):
    """A connection, with the instant at which its last request began (`active_at`)."""

    active_at: float

    def awaits_answer(self) -> bool:
        """Return whether it sent a request that is not answered yet."""

    def abort(self) -> None:
        """Close the connection at once."""


class OpenConnections:
    """The open connections of one process."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._open: dict[Connection, int] = {}
        self._by_age: list[tuple[float, int, Connection]] = []
        self._numbers = itertools.count()
        self._closed = metrics.connections_closed
        self._lines = SeldomLog()
        metrics.connections.set_function(lambda: len(self._open))
        metrics.connections_limit.set(most)

    def add(self, connection: Connection) -> None:
        """Add a connection that was accepted."""
        self._open[connection] = number = next(self._numbers)
        heapq.heappush(self._by_age, (connection.active_at, number, connection))

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was closed."""
        self._open.pop(connection, None)
        if len(self._by_age) > 2 * len(self._open) + _SPARE:
            self._by_age = [(one.active_at, n, one) for one, n in self._open.items()]
            heapq.heapify(self._by_age)

    def make_room(self) -> bool:
        """Close idle connections until one more may open; return False if all await an answer."""
        while len(self._open) >= self._most:
            idle = self._idle_longest()
            if idle is None:
                return False
            idle.abort()
            self._open.pop(idle, None)
            self._closed.inc()
            if counts := self._lines.count("closed"):
                logger.warning(
                    "The limit of open connections is reached; the longest idle ones are closed.",
                    limit=self._most,
                    closed=counts["closed"],
                )
        return True

    def _idle_longest(self) -> Connection | None:
        """Remove the connection that has been idle longest from the heap, and return it."""
        owed: list[tuple[float, int, Connection]] = []
        found = None
        while found is None and self._by_age:
            active_at, number, connection = heapq.heappop(self._by_age)
            if connection not in self._open:
                continue
            if connection.active_at != active_at:
                heapq.heappush(self._by_age, (connection.active_at, number, connection))
            elif connection.awaits_answer():
                owed.append((active_at, number, connection))
            else:
                found = connection
        for one in owed:
            heapq.heappush(self._by_age, one)
        return found


def most_connections(portals: int) -> int:
    """Return how many connections may be open, beside the files that so many portals need."""
    # the soft limit of open files is raised to the hard one first
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserve = max(RESERVE, RESERVE // 2 + 4 * portals)  # a portal has four connections at most
    return max(_FEWEST, files - reserve) if files != resource.RLIM_INFINITY else 1_000_000
