"""Computes when a schedule is due.

`every` is due at the multiples of its length since 1970 in UTC, so that a restart shifts nothing.
`daily_at` is due once each day of its zone: a time of day that does not exist, because clocks go
forward, is due at the next instant that does; one that exists twice is due the first time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from responder.rules import time_zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Every:
    """A schedule that is due again and again, this long apart."""

    length: timedelta


@dataclass(frozen=True, slots=True)
class DailyAt:
    """A schedule that is due once a day."""

    at: time
    zone: tzinfo


Schedule = Every | DailyAt


def next_after(schedule: Schedule, at: datetime) -> datetime:
    """Return the first instant after this one at which a schedule is due."""
    if isinstance(schedule, Every):
        return _EPOCH + ((at - _EPOCH) // schedule.length + 1) * schedule.length
    return min(due for due in _around(schedule, at) if due > at)


def last_due(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """Return the last instant, after `since` and up to `now`, at which a schedule was due.

    Of several missed times this is the only one that is caught up.
    """
    if isinstance(schedule, Every):
        last = _EPOCH + (now - _EPOCH) // schedule.length * schedule.length
    else:
        last = max(due for due in _around(schedule, now) if due <= now)
    return last if last > since else None


def _around(schedule: DailyAt, at: datetime) -> list[datetime]:
    """Return when a schedule is due on the five days around an instant."""
    today: date = at.astimezone(schedule.zone).date()
    # Two to each side: one would be too few where a zone has left a whole day out.
    days = (today + ahead * _DAY for ahead in range(-2, 3))
    return [time_zones.instant(day, schedule.at, schedule.zone) for day in days]
