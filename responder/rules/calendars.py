"""Defines calendars: when an office is open.

Hours belong to the day on which they begin: a night shift from 22:00 to 06:00 on Fridays ends on
Saturday morning, and no shift begins on a holiday. Hours are those of the wall clock, so a day on
which clocks change is shorter or longer.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from responder.rules import time_zones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(len(DAYS)))
_MIDNIGHT = time.min
_DAY = timedelta(days=1)
_NONE = timedelta()
# How many days ahead an opening is searched for.
_FAR = 3660


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The hours of an office. `days` counts from Monday, 0; `holidays` are first and last days.

    `closes` at or before `opens` is on the next day, so that 00:00 is the end of the same day.
    """

    name: str
    zone: tzinfo = UTC
    days: frozenset[int] = EVERY_DAY
    opens: time = _MIDNIGHT
    closes: time = _MIDNIGHT
    holidays: tuple[tuple[date, date], ...] = ()

    def is_open(self, at: datetime) -> bool:
        """Return whether the office is open at this instant; at its closing time it is not."""
        day = at.astimezone(self.zone).date()
        return any(self._is_in_shift(at, one) for one in (day, day - _DAY))

    def is_open_on(self, day: date) -> bool | None:
        """Return whether the office is open all that day: true, false, or None for a part of it."""
        first, last = (time_zones.instant(one, _MIDNIGHT, self.zone) for one in (day, day + _DAY))
        shifts = map(self._hours, (day - _DAY, day))
        within = ((max(start, first), min(end, last)) for start, end in shifts)
        open_for = sum((max(end - start, _NONE) for start, end in within), _NONE)
        return None if _NONE < open_for < last - first else open_for > _NONE

    def opens_at(self, at: datetime) -> datetime:
        """Return the first instant, from this one on, at which the office is open.

        If it is closed for the next ten years, return the end of these.
        """
        if self.is_open(at):
            return at
        day = at.astimezone(self.zone).date()
        for ahead in range(_FAR):
            start, end = self._hours(day + ahead * _DAY)
            if at < start < end:
                return start
        return at + _FAR * _DAY

    def days_later(self, at: datetime, count: int) -> datetime | None:
        """Return when `count` days on which the office opens have passed, at the same time of day.

        What is outside the hours counts from the next opening, and a night shift belongs to the day
        on which it begins. None where the office does not open on so many days in ten years.
        """
        begins = self.opens_at(at)
        local = begins.astimezone(self.zone)
        today = local.date()
        shift = next((one for one in (today, today - _DAY) if self._is_in_shift(begins, one)), None)
        if shift is None:
            return None
        for ahead in range(1, _FAR):
            day = shift + ahead * _DAY
            start, end = self._hours(day)
            count -= start < end
            if count == 0:
                at_time = local.time().replace(fold=0)
                return time_zones.instant(day + (today - shift), at_time, self.zone)
        return None

    def _is_in_shift(self, at: datetime, day: date) -> bool:
        start, end = self._hours(day)
        return start <= at < end

    def _hours(self, day: date) -> tuple[datetime, datetime]:
        """Return from when until when the office is open on a day; one instant twice if never."""
        start = time_zones.instant(day, self.opens, self.zone)
        if day.weekday() not in self.days or self._is_holiday(day):
            return start, start
        last = day if self.closes > self.opens else day + _DAY
        return start, time_zones.instant(last, self.closes, self.zone)

    def _is_holiday(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.holidays)
