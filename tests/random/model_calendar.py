"""An office and its working days, counted day by day, as the contract has them.

So many working days have passed when so many days on which the office opens have come since, at the
same time of day. What began outside its hours begins with the next opening.
"""

from datetime import date, datetime, time, timedelta, timezone

OFFICE = """\
  office:
    timezone: Europe/Moscow
    days: [mon, tue, wed, thu, fri]
    from: "09:00"
    to: "18:00"
    holidays: [2026-09-16, 2026-09-23..2026-09-24]
"""
MOSCOW = timezone(timedelta(hours=3))  # all year
OPENS, CLOSES = time(9), time(18)
HOLIDAYS = (date(2026, 9, 16), date(2026, 9, 23), date(2026, 9, 24))
SATURDAY = 5
A_DAY = timedelta(days=1)


def days_have_passed(since: datetime, count: int) -> datetime:
    """Return when so many working days have passed since an instant."""
    began = since.astimezone(MOSCOW)
    day, at = began.date(), began.time()
    if at >= CLOSES or not _opens_on(day):
        day, at = _next_open_day(day), OPENS
    for _ in range(count):
        day = _next_open_day(day)
    return datetime.combine(day, max(at, OPENS), MOSCOW)


def _opens_on(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in HOLIDAYS


def _next_open_day(day: date) -> date:
    day += A_DAY
    while not _opens_on(day):
        day += A_DAY
    return day
