"""Reads values that the portal sent, or a rule names, as values that can be compared.

Bitrix24 sends text where it means numbers (`"2"`, `"1000.00"`), `Y` and `N` or `1` and `0` where it
means yes and no, and sometimes typed JSON. A reader returns a value that can be compared, or
`Unknown` where the value cannot be read: a malformed number is not 0. Readers are not called for
empty values; `is_empty` is asked first.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from math import isfinite
from typing import Any, TypeGuard

from responder.model import Unknown
from responder.rules.facts.fields import Type
from responder.rules.yaml_positions import NUMBER

# Returns what can be compared with what the same reader returns, or Unknown.
Reader = Callable[[object], Any]

_MARKS = frozenset({"Y", "N"})
_TRUTHS = {"y": True, "n": False, "1": True, "0": False, "true": True, "false": False}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    _DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_MONEY = re.compile(NUMBER.pattern + r"\|[A-Za-z]{3}")
_CURRENCY_ALONE = re.compile(r"\|[A-Za-z]{3}")  # of an amount that was taken out again
# https://apidocs.bitrix24.com/api-reference/crm/data-types.html: an abbreviated kind, a number.
_LINK = re.compile(r"[A-Z][A-Za-z0-9]{0,5}_[0-9]+")
_DURATION_IN_WORDS = re.compile(
    r"([0-9]{1,9}) *(?=s$|sec|m$|min|h$|hour|hr|d$|day|w$|week|wk)([smhdw])[a-z]*"
)
_DURATION = re.compile(r"(?:[0-9]{1,9}[wdhms] ?)+")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def is_empty(value: object, type_: Type) -> bool:
    """Return whether a value means "none": null, "", [], and 0 in a reference."""
    if value is None:
        return True
    if isinstance(value, str | list | tuple | dict):
        return not value or (type_ is Type.REFERENCE and value == "0")
    return type_ is Type.REFERENCE and value == 0 and value is not False


def may_be_empty(value: object, type_: Type) -> bool:
    """Return whether a value that `is_empty` does not call empty may mean "none" all the same."""
    # Tasks send false for a user field without values; a field whose type only the portal knows may
    # be a reference, where 0 is none, or an amount, where a currency is left of none.
    if type_ is not Type.ANY:
        return value is False and type_ is not Type.TRUTH
    alone = isinstance(value, str) and _CURRENCY_ALONE.fullmatch(value) is not None
    return value is False or alone or is_empty(value, Type.REFERENCE)


def number(value: object) -> int | Decimal | Unknown:
    """Read a number. Text must have its exact form: `2`, `-0.5`, not `007`."""
    if type(value) is int or type(value) is Decimal:
        return value
    if type(value) is str and NUMBER.fullmatch(value):
        return Decimal(value)
    if type(value) is float and isfinite(value):
        # What the portal wrote, not the binary fraction nearest to it.
        return Decimal(repr(value))
    return _unreadable(value, "a number")


def number_or_words(value: object) -> int | Decimal | str | Unknown:
    """Read a value of unknown type for a rule's number; a text without digits is kept as a text."""
    return value if is_words(value) else number(value)


def bit_or_words(value: object) -> int | Decimal | str | Unknown:
    """Read a value of unknown type for a rule's 1 or 0; unknown for `Y`, `N` and the like."""
    other = is_words(value) and not isinstance(truth(value), Unknown)
    return _unreadable(value, "1 or 0") if other else number_or_words(value)


def money(value: object) -> tuple[Decimal, str] | Unknown:
    """Read an amount with its currency, as user fields have it: `1000|RUB`."""
    if type(value) is str and _MONEY.fullmatch(value):
        amount, _, currency = value.partition("|")
        return Decimal(amount), currency.upper()
    return _unreadable(value, "an amount with its currency")


def amounts_in(currency: str) -> Reader:
    """Return a reader of amounts in a currency; one in another currency is unknown."""

    def amount(value: object) -> Decimal | Unknown:
        found = money(value)
        if isinstance(found, Unknown):
            return found
        number, other = found
        return number if other == currency else Unknown(f"it is in {other}, and not in {currency}")

    return amount


def money_or_words(value: object) -> tuple[Decimal, str] | str | Unknown:
    """Read a value of unknown type for a rule's amount; a text without digits is kept as a text."""
    return value if is_words(value) else money(value)


def reader_like(written: str) -> Reader:
    """Return the reader of values of unknown type for a rule's text.

    Where the portal may write the same thing in another way, that other way is read as unknown: yes
    and no, a day, a link to a CRM item (`D_5`, or `5` where the field links to one kind alone).
    """
    if written in _MARKS:
        return _mark
    if is_words(written):
        return text
    return _link if _LINK.fullmatch(written) else _code


def _mark(value: object) -> str | Unknown:
    read = text(value)
    other = read not in _MARKS and not isinstance(truth(value), Unknown)
    return _unreadable(value, "Y or N") if other else read


def _link(value: object) -> str | Unknown:
    is_number = not isinstance(number(value), Unknown)
    return _unreadable(value, "a link that names its kind") if is_number else _code(value)


def _code(value: object) -> str | Unknown:
    is_date = not isinstance(date_and_time(value), Unknown)
    return _unreadable(value, "a text but a date") if is_date else text(value)


def is_words(value: object) -> TypeGuard[str]:
    """Return whether a value is a text without a digit, so certainly neither a number nor a date.

    A text with digits may be meant as one: `1 000`, `24.09.2026`, `1000|RUB`.
    """
    return isinstance(value, str) and not any(map(str.isdigit, value))


def truth(value: object) -> bool | Unknown:
    """Read yes or no as the portal writes them: `Y`/`N`, `1`/`0`, true and false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int):
        read = _TRUTHS.get(str(value).lower())
        if read is not None:
            return read
    return _unreadable(value, "yes or no")


def text(value: object) -> str | Unknown:
    """Read a text; a number becomes the text that it is written as."""
    if type(value) is str:
        return value
    if type(value) is int or type(value) is float or type(value) is Decimal:
        return str(value)
    return _unreadable(value, "a text")


def date_and_time(value: object) -> datetime | Unknown:
    """Read an ISO 8601 date and time, or a day as its first moment; naive if it names no zone."""
    if type(value) is str and (_INSTANT.fullmatch(value) or _DATE.fullmatch(value)):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return _unreadable(value, "a date")
    return _unreadable(value, "a date")


def instants(zone: tzinfo) -> Reader:
    """Return a reader of instants, in UTC; a value that names no zone is in `zone`."""

    def instant(value: object) -> datetime | Unknown:
        read = date_and_time(value)
        if isinstance(read, Unknown):
            return read
        return in_zone(read if read.tzinfo else read.replace(tzinfo=zone), UTC)

    return instant


def in_zone(at: datetime, zone: tzinfo) -> datetime:
    """Return the same instant in another zone, clipped to the years 1 to 9999."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        first, last = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
        return first if at.year == first.year else last


def as_it_is(value: object) -> object:
    """Read a duration, which the program made itself and which needs no conversion."""
    return value if isinstance(value, timedelta) else _unreadable(value, "a duration")


READERS: Mapping[Type, Reader] = {
    Type.TEXT: text,
    Type.ID: text,
    Type.NUMBER: number,
    Type.REFERENCE: number,
    Type.TRUTH: truth,
    Type.DURATION: as_it_is,
}


def is_day(value: object) -> bool:
    """Return whether a value that was read as a date is a day without a time."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def day(written: str) -> date | None:
    """Parse a day as a rule writes it, `2026-09-24`; None if the text is not one."""
    if not _DATE.fullmatch(written):
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


def duration(written: str) -> timedelta | None:
    """Parse a duration as a rule writes it: `45s`, `10m`, `12h`, `30d`, `2w`, `1d 12h`."""
    if not _DURATION.fullmatch(written):
        return None
    parts = re.findall(r"([0-9]+)([wdhms])", written)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta())
    except OverflowError:
        return None


def duration_meant(written: str) -> str | None:
    """Return what was probably meant by `10 minutes` or `2 days`; None for months, which vary."""
    if written.rstrip().endswith("M"):
        return None
    found = _DURATION_IN_WORDS.fullmatch(written.strip().lower())
    meant = f"{found[1]}{found[2]}" if found else written
    return None if meant == written else meant


def duration_in_words(length: timedelta) -> str:
    """Return a duration as rules write it: `31d 4h`."""
    seconds = int(length.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts) or "0s")


def _unreadable(value: object, expected: str) -> Unknown:
    shown = value if isinstance(value, str) else repr(value)
    clipped = shown if len(shown) <= 40 else shown[:39] + "…"
    return Unknown(f"`{clipped}` is not {expected}")
