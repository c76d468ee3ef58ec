"""Compares how long something takes with working days: `3wd` of a calendar.

Three working days have passed when three days on which the calendar opens have come after the one
on which it began, at the same time of day. What began outside the hours begins with the next
opening.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.model import Unknown
from responder.rules.calendars import Calendar
from responder.rules.facts.moments import Holds

MOST = 366  # with one open day a week these are seven years
_WRITTEN = re.compile(r"([0-9]{1,9})wd")
_IN_WORDS = re.compile(r"([0-9]{1,9}) *(?:wd|(?:working|work|business) ?days?)")
_CLOSED = Unknown("the calendar does not open on so many days")
_TOO_LONG_AGO = Unknown("it began before the calendar's first day")


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """A number of days of one calendar."""

    count: int
    calendar: Calendar

    def passed_at(self, began_at: datetime) -> datetime | Unknown:
        """Return when so many days have passed since an instant."""
        try:
            found = self.calendar.days_later(began_at, self.count)
        except OverflowError:
            return _TOO_LONG_AGO
        return _CLOSED if found is None else found


def written(text: str) -> int | None:
    """Parse a number of working days, such as `3wd`; None where the text is something else."""
    found = _WRITTEN.fullmatch(text)
    return int(found[1]) if found else None


def is_meant(text: str) -> bool:
    """Return whether a text names working days, though perhaps not in the one way to write them."""
    return "wd" in text.lower() or meant(text) is not None


def meant(text: str) -> str | None:
    """Return what was probably meant by `3 working days`; None where that is not clear."""
    found = _IN_WORDS.fullmatch(text.strip().lower())
    return f"{found[1]}wd" if found else None


def compared(
    days: WorkingDays, order: Callable[[datetime, datetime], bool]
) -> Callable[[object, datetime], Holds]:
    """Return a check that compares a duration that ends now with a number of working days."""

    def check(value: object, now: datetime) -> Holds:
        passed = _passed_at(value, days, now)
        return passed if isinstance(passed, Unknown) else order(now, passed)

    return check


def between(low: WorkingDays, high: WorkingDays) -> Callable[[object, datetime], Holds]:
    """Return a check whether a duration that ends now is from `low` to `high` working days."""

    def check(value: object, now: datetime) -> Holds:
        first, last = (_passed_at(value, days, now) for days in (low, high))
        if isinstance(first, Unknown):
            return first
        return last if isinstance(last, Unknown) else first <= now <= last

    return check


def _passed_at(value: object, days: WorkingDays, now: datetime) -> datetime | Unknown:
    if not isinstance(value, timedelta):
        return Unknown("it is no duration")
    try:
        return days.passed_at(now - value)
    except OverflowError:
        return _TOO_LONG_AGO
