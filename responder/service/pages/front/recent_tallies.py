"""Keeps what was counted by hour, so that showing the front page again counts little.

An outcome may still change, so nothing is kept for long: what is younger than two days for some
seconds, what is older for some minutes.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from responder.journal.reading.by_hour import Tally, tallies
from responder.store.database.database import Database

DAYS = 7
HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_YOUNG_SECONDS, _OLD_SECONDS = 5.0, 300.0


class RecentTallies:
    """The tallies of the last days, by day. One thread alone may use it.

    `clock` counts seconds, and is never set back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._days: dict[datetime, tuple[float, list[Tally]]] = {}

    def week(self, database: Database, now: datetime) -> list[Tally]:
        """Return the tallies of seven days, and of the rest of the first of them."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [today - _DAY * back for back in range(DAYS, -1, -1)]
        self._days = {day: kept for day, kept in self._days.items() if day in days}
        return [one for day in days for one in self._of(database, day, today)]

    def _of(self, database: Database, day: datetime, today: datetime) -> list[Tally]:
        counted_at, found = self._days.get(day, (None, []))
        good_for = _YOUNG_SECONDS if today - day <= _DAY else _OLD_SECONDS
        if counted_at is None or self._clock() - counted_at > good_for:
            # a day in a transaction of its own: a reader must not hold one for long
            found = database.read(lambda conn: tallies(conn, day, day + _DAY))
            self._days[day] = (self._clock(), found)
        return found
