"""Our time, which follows the database's where the two differ by more than half a second.

What one driver writes down (when a call was made, when a stop is due) the next one reads, perhaps
on another machine, whose clock is minutes off. So it is one clock that counts, the database's, as
for leases. A file's clock is our own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

ALIKE = timedelta(seconds=0.5)
SLOW = timedelta(seconds=2)  # an answer that took longer says nothing

log = structlog.get_logger()


class Clock:
    """Tells the time. `local` is the machine's clock."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self.behind = timedelta(0)

    def __call__(self) -> datetime:
        """Return this instant."""
        return self.local() + self.behind

    def compare(self, asked_at: datetime, theirs: datetime, answered_at: datetime) -> None:
        """Take in the database's time, told between these two instants of the machine's clock."""
        took = answered_at - asked_at
        if not timedelta(0) <= took <= SLOW:
            return
        behind = theirs - asked_at - took / 2
        if abs(behind) < ALIKE:
            behind = timedelta(0)
        if abs(behind - self.behind) < ALIKE:
            return
        self.behind = behind
        seconds = round(behind.total_seconds(), 1)
        log.warning("our clock is behind the database's, which counts", seconds=seconds)
