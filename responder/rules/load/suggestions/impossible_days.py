"""Says which days and times that people write no calendar or clock has: 2027-02-29, 24:00."""

import re
from calendar import monthrange
from datetime import MAXYEAR, date, timedelta
from typing import NamedTuple

from responder.rules.load.suggestions.written_values import DAY_OF

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?")
_TIME_OF_A_DAY = re.compile(r"[T ]+(\d{1,2}:\d{2}(?::\d{2})?)(.*)")


class NoSuch(NamedTuple):
    """What is wrong with a day or a time that does not exist, and the nearest one that does."""

    message: str
    suggestion: str | None = None


def of_moment(written: str) -> NoSuch | None:
    """Return what is wrong with a day, or a time on it, that does not exist; None for others."""
    for pattern, order in DAY_OF:
        found = pattern.match(written)
        if found is None:
            continue
        first, second, third = (int(part) for part in found.groups())
        parts = (first, second, third) if order == "ymd" else (third, second, first)
        if order == "either" and second > 12 >= first:
            parts = (third, first, second)
        rest = written[found.end() :]
        return _of_day(*parts, written, rest) if re.match(r"$|[T ]+\d", rest) else None
    return None


def _of_day(year: int, month: int, day: int, written: str, rest: str) -> NoSuch | None:
    if not 1 <= month <= 12:
        return NoSuch(f"there is no month {month}, and so no day `{written}`")
    if not 1 <= year < MAXYEAR:
        return None
    _, last = monthrange(year, month)
    ends = date(year, month, last).isoformat()
    if not 1 <= day <= last:
        at = _TIME_OF_A_DAY.fullmatch(rest)
        right = bool(rest) and at is not None and of_time(at[1]) is None
        message = f"there is no such day as `{written}`: that month ends with {ends}"
        return NoSuch(message, f"{ends}{rest}" if right or not rest else ends)
    at = _TIME_OF_A_DAY.fullmatch(rest)
    wrong = of_time(at[1]) if at is not None else None
    if at is None or wrong is None:
        return None
    if wrong.suggestion is None:
        return wrong
    following = date(year, month, day) + timedelta(days=1)
    return NoSuch(wrong.message, f"{following}T00:00{at[2]}")


def of_time(written: str) -> NoSuch | None:
    """Return what is wrong with a time of day that no clock shows: `25:10`; None for others."""
    found = _TIME.fullmatch(written.strip())
    if found is None or (int(found[1]) < 24 and int(found[2]) < 60):
        return None
    message = f"there is no such time as `{written}`: a day is from 00:00 to 23:59"
    is_midnight = (int(found[1]), int(found[2])) == (24, 0)
    return NoSuch(message, '"00:00"' if is_midnight else None)


def of_days(written: str) -> NoSuch | None:
    """Return what is wrong with a range of days, or one day, that does not exist."""
    ends = written.split("..")
    wrong = [of_moment(end.strip()) for end in ends]
    first = next((one for one in wrong if one is not None), None)
    if first is None or first.suggestion is None:
        return first
    meant = [one.suggestion if one else end.strip() for one, end in zip(wrong, ends, strict=True)]
    return first._replace(suggestion="..".join(one or "" for one in meant))
