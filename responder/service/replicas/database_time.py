"""Corrects our time by the database's where the two differ by more than half a second.

What one driver writes (when a call was made, when a stop is due) the next one reads, perhaps on
another machine, whose clock may be minutes off. So one clock counts, the database's, as for leases.
For a SQLite file it is our own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

TOLERANCE = timedelta(seconds=0.5)
SLOW = timedelta(seconds=2)  # a slower answer is too inexact to correct by

log = structlog.get_logger()


class Clock:
    """A clock that follows the database's. `local` is the machine's clock."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self.behind = timedelta(0)

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.local() + self.behind

    def compare(self, asked_at: datetime, theirs: datetime, answered_at: datetime) -> None:
        """Correct the clock by the database's time, read between two instants of the local one."""
        took = answered_at - asked_at
        if not timedelta(0) <= took <= SLOW:
            return
        behind = theirs - asked_at - took / 2
        if abs(behind) < TOLERANCE:
            behind = timedelta(0)
        if abs(behind - self.behind) < TOLERANCE:
            return
        self.behind = behind
        seconds = round(behind.total_seconds(), 1)
        log.warning("our clock is behind the database's, which counts", seconds=seconds)
