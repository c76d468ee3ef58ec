"""Reads dates and times, and compares them with each other and with days.

A day has one meaning, whatever the test. A moment belongs to the day that the clock showed in the
file's own zone (`defaults.timezone`) or, where the file names none, in the offset that the portal
sent with it. A field that is a day is the day that the portal wrote. If either side is a day, days
are compared; everything else is compared in UTC, because Python never calls two moments of the
autumn hour that comes twice equal across zones.

The CRM writes a day as midnight of UTC in the portal's own offset (module rest,
CRestUtil::ConvertDate): 24 September is `2026-09-24T03:00:00+03:00`, and west of Greenwich
`2026-09-23T19:00:00-05:00`; it may be an hour off where the clocks change between that day and
today. Older portals write their own midnight. A user field may be a day or a moment, and only its
value shows which: a value that looks like a day is read both ways, and is unknown where the two
readings give different answers.
"""

import operator
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from responder.model import Unknown
from responder.rules.calendars import Calendar
from responder.rules.facts import values
from responder.rules.facts.fields import Type
from responder.rules.facts.values import Reader

Order = Callable[[date, date], bool]
Holds = bool | Unknown

_AMBIGUOUS = Unknown("it may be a day or a moment, and the two do not agree")
_UNPLACED = Unknown("it names no time zone, and neither does `defaults`")
_PARTLY = Unknown("it is a day, and the calendar is open for a part of it")
_TOO_FAR = Unknown("no calendar reaches so far")
_FIRST_YEAR, _LAST_YEAR = 1, 9999
_DAY = timedelta(days=1)


class Moment(NamedTuple):
    """One reading of a date: the wall-clock time, the instant in UTC, whether it is a whole day.

    `instant` is None where the zone is not known.
    """

    local: datetime
    instant: datetime | None
    whole: bool = False


# All the ways in which a value may be read; none where it is no date at all.
Readings = tuple[Moment, ...]


@lru_cache(maxsize=64)
def reader(type_: Type, zone: tzinfo | None) -> Reader:
    """Return the reader of dates for fields of a type: a value in, `Readings` or `Unknown` out."""
    of_type = {Type.DAY: _of_a_day, Type.ANY: _of_either}.get(type_, _of_a_moment)

    def read(value: object) -> Readings | Unknown:
        found = values.date_and_time(value)
        if isinstance(found, Unknown):
            return found
        if values.is_day(value):
            sure = UTC if type_ is Type.DAY else None
            return (_whole(found.date(), zone or sure),)
        return of_type(found, zone)

    return read


def literal(written: str, zone: tzinfo | None) -> Moment | None:
    """Parse a day or a moment as a rule writes it; None if the text is neither."""
    found = values.date_and_time(written)
    if isinstance(found, Unknown):
        return None
    return _whole(found.date(), zone) if values.is_day(written) else _moment(found, zone)


def _of_a_moment(read: datetime, zone: tzinfo | None) -> Readings:
    return (_moment(read, zone),)


def _of_a_day(read: datetime, zone: tzinfo | None) -> Readings:
    return (_whole(_day_meant(read), zone or read.tzinfo or UTC),)


def _of_either(read: datetime, zone: tzinfo | None) -> Readings:
    moment = _moment(read, zone)
    if read.tzinfo is None or not (read.time() == time.min or _is_midnight_of_utc(read)):
        return (moment,)
    return (moment, _whole(_day_meant(read), zone or read.tzinfo))


def _moment(read: datetime, zone: tzinfo | None) -> Moment:
    if read.tzinfo is None:
        instant = None if zone is None else values.in_zone(read.replace(tzinfo=zone), UTC)
        return Moment(read, instant)
    local = read if zone is None else values.in_zone(read, zone)
    return Moment(local.replace(tzinfo=None), values.in_zone(read, UTC))


def _whole(day: date, zone: tzinfo | None) -> Moment:
    start = datetime.combine(day, time.min)
    instant = None if zone is None else values.in_zone(start.replace(tzinfo=zone), UTC)
    return Moment(start, instant, whole=True)


def _day_meant(read: datetime) -> date:
    """Return the day that the portal meant: the next one where it wrote the evening before."""
    day, offset = read.date(), read.utcoffset()
    is_west = offset is not None and offset < timedelta() and read.hour >= 12
    return day + _DAY if is_west and _is_midnight_of_utc(read) and day < date.max else day


def _is_midnight_of_utc(read: datetime) -> bool:
    at = values.in_zone(read, UTC).time()
    return at.hour in (23, 0, 1) and at == time(at.hour)


def compared(order: Order) -> Callable[[Readings, Moment], Holds]:
    """Return a check that compares a value with a literal of a rule."""

    def holds(found: Readings, wanted: Moment) -> Holds:
        return agreed(_compare(order, one, wanted) for one in found)

    return holds


def compared_facts(order: Order) -> Callable[[Readings, Readings], Holds]:
    """Return a check that compares the values of two facts."""

    def holds(left: Readings, right: Readings) -> Holds:
        return agreed(_compare_facts(order, one, two) for one, two in product(left, right))

    return holds


def between(found: Readings, ends: tuple[Moment, Moment]) -> Holds:
    """Return whether a value lies between two ends or equals one of them."""
    low, high = ends
    return agreed(
        _both(_compare(operator.ge, one, low), _compare(operator.le, one, high)) for one in found
    )


def among(found: Readings, wanted: Iterable[Moment]) -> Holds:
    """Return whether a value equals one of these."""
    return agreed(any_of(_compare(operator.eq, one, two) for two in wanted) for one in found)


def at_instants(found: Readings, test: Callable[[datetime], bool]) -> Holds:
    """Return the result of `test` for the value's instant; a day counts as its first instant."""
    return agreed(_UNPLACED if one.instant is None else test(one.instant) for one in found)


def in_hours(found: Readings, calendar: Calendar) -> Holds:
    """Return whether a calendar is open at the value; for a day, whether it is open all day."""
    return agreed(_in_hours(one, calendar) for one in found)


def _in_hours(moment: Moment, calendar: Calendar) -> Holds:
    if not _FIRST_YEAR < moment.local.year < _LAST_YEAR:
        return _TOO_FAR
    if not moment.whole:
        return _UNPLACED if moment.instant is None else calendar.is_open(moment.instant)
    is_open = calendar.is_open_on(moment.local.date())
    return _PARTLY if is_open is None else is_open


def agreed(answers: Iterable[Holds]) -> Holds:
    """Return the answer that all readings share, unknown where they differ, false without any."""
    found = set(answers)
    if len(found) > 1:
        return next((one for one in found if isinstance(one, Unknown)), _AMBIGUOUS)
    return found.pop() if found else False


def _compare(order: Order, found: Moment, wanted: Moment) -> Holds:
    if found.whole or wanted.whole:
        return order(found.local.date(), wanted.local.date())
    if wanted.instant is None:
        # A moment that a rule gives without a zone is in the value's own zone, as a day is.
        return order(found.local, wanted.local)
    return _UNPLACED if found.instant is None else order(found.instant, wanted.instant)


def _compare_facts(order: Order, one: Moment, two: Moment) -> Holds:
    placed = two.instant is not None or one.instant is None
    return _compare(order, one, two) if placed or one.whole or two.whole else _UNPLACED


def _both(one: Holds, two: Holds) -> Holds:
    if one is False or two is False:
        return False
    return two if one is True else one


def any_of(answers: Iterable[Holds]) -> Holds:
    """Return true at the first answer that is, else unknown if one was."""
    unknown: Unknown | None = None
    for found in answers:
        if isinstance(found, Unknown):
            unknown = found
        elif found:
            return True
    return unknown or False
