"""How many connections may be open, and which of them is closed when one more comes.

A process that has no file left cannot take an event, call a portal or read its rules. So as many
connections are open as it may have files, less a reserve for all else. Past that the one that has
been idle longest is closed: the one from which a request began longest ago, unless what it brought
is being stored.

They stand in a heap by that instant, as it was when they were last looked at. A request costs them
an assignment; where they are older in the heap than in truth, they are put back when their turn
comes.
"""

import contextlib
import heapq
import itertools
import resource
from typing import Protocol

import structlog

from responder.adapters.metrics import Metrics
from responder.receive.refused_callers import Seldom

RESERVE = 64
_FEWEST = 16
_SPARE = 64

logger = structlog.stdlib.get_logger(__name__)


class Guest(Protocol):
    """A connection: when a request on it last began, and whether its answer is owed to it."""

    heard_at: float

    def is_owed(self) -> bool:
        """Tell whether it brought something that is not answered yet."""

    def let_go(self) -> None:
        """Close the connection at once."""


class Room:
    """The connections of one process."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._open: dict[Guest, int] = {}
        self._by_age: list[tuple[float, int, Guest]] = []
        self._numbers = itertools.count()
        self._closed = metrics.connections_closed
        self._lines = Seldom()
        metrics.connections.set_function(lambda: len(self._open))
        metrics.connections_limit.set(most)

    def enter(self, guest: Guest) -> None:
        """Count a connection that was accepted."""
        self._open[guest] = number = next(self._numbers)
        heapq.heappush(self._by_age, (guest.heard_at, number, guest))

    def leave(self, guest: Guest) -> None:
        """Forget a connection that is closed."""
        self._open.pop(guest, None)
        if len(self._by_age) > 2 * len(self._open) + _SPARE:
            self._by_age = [(one.heard_at, n, one) for one, n in self._open.items()]
            heapq.heapify(self._by_age)

    def make(self) -> bool:
        """See that there is room for one more; False where all that are open are owed an answer."""
        while len(self._open) >= self._most:
            idle = self._idle_longest()
            if idle is None:
                return False
            idle.let_go()
            self._open.pop(idle, None)
            self._closed.inc()
            if counts := self._lines.counted("closed"):
                logger.warning(
                    "As many connections are open as may be; those that were idle longest are "
                    "closed.",
                    limit=self._most,
                    closed=counts["closed"],
                )
        return True

    def _idle_longest(self) -> Guest | None:
        """Take the one that has been idle longest out of the heap."""
        owed: list[tuple[float, int, Guest]] = []
        found = None
        while found is None and self._by_age:
            heard_at, number, guest = heapq.heappop(self._by_age)
            if guest not in self._open:
                continue
            if guest.heard_at != heard_at:
                heapq.heappush(self._by_age, (guest.heard_at, number, guest))
            elif guest.is_owed():
                owed.append((heard_at, number, guest))
            else:
                found = guest
        for one in owed:
            heapq.heappush(self._by_age, one)
        return found


def most_connections(portals: int) -> int:
    """Say how many connections may be open beside the database, so many portals and the rules.

    The number of files that this process may open is raised first, as far as it is allowed to.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserve = max(RESERVE, RESERVE // 2 + 4 * portals)  # a portal has four connections at most
    return max(_FEWEST, files - reserve) if files != resource.RLIM_INFINITY else 1_000_000
