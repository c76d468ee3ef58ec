"""Says when a schedule is due.

What runs every so often is due at the multiples of its length since 1970 in UTC, so that a restart
shifts nothing. What runs daily is due once each day of its zone: a time of day that does not exist,
because clocks go forward, is due at the next instant that does; one that exists twice is due the
first time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from responder.rules import time_zones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Every:
    """Due again and again, this long apart."""

    length: timedelta


@dataclass(frozen=True, slots=True)
class DailyAt:
    """Due once a day."""

    at: time
    zone: tzinfo


Schedule = Every | DailyAt


def next_after(schedule: Schedule, at: datetime) -> datetime:
    """Return the first instant after this one at which a schedule is due."""
    if isinstance(schedule, Every):
        return _EPOCH + ((at - _EPOCH) // schedule.length + 1) * schedule.length
    return min(due for due in _around(schedule, at) if due > at)


def last_due(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """Return the last instant, after `since` and no later than now, at which it was due.

    However many were missed meanwhile, this is the one to catch up with.
    """
    if isinstance(schedule, Every):
        last = _EPOCH + (now - _EPOCH) // schedule.length * schedule.length
    else:
        last = max(due for due in _around(schedule, now) if due <= now)
    return last if last > since else None


def _around(schedule: DailyAt, at: datetime) -> list[datetime]:
    """Return when it is due on the days about an instant, two to each side.

    One would be too few where a zone has left a whole day out.
    """
    today: date = at.astimezone(schedule.zone).date()
    days = (today + ahead * _DAY for ahead in range(-2, 3))
    return [time_zones.instant(day, schedule.at, schedule.zone) for day in days]
