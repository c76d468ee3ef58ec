"""Selects, filters, sorts and pages rows as the portal's lists do.

A filter key that a list does not understand (another case, an operator it does not know, a field it
does not have) is dropped without a word, and the list answers as if the key were absent.

Some lists compare texts without an operator by SQL's `LIKE`, with no `ESCAPE` (module bizproc,
lib/restservice.php `getFilter`; module main, classes/general/sqlwhere.php `addStringFilter`): `_`
and `%` stand for any characters, and a backslash takes the next character as it is and is dropped
itself. So a text that has a backslash does not find its own rows.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer

PAGE = 50
BIZPROC_OPERATORS = ("<=", ">=", "!", "<", ">")
ALL_OPERATORS = ("!=", "<=", ">=", "!", "<", ">", "=", "@")

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The filters, orders and fields that one list understands.

    Without `fields` every field of its rows is one. With `like` texts are compared by SQL's `LIKE`;
    `numbers` are the fields that are cast to whole numbers, `dates` those that are read from ISO
    8601; a filter by one of the `misread` finds nothing. A start of -1 asks for no count, which not
    every list `skips_count` for. With `whole_pages` it rounds an offset down to that of a page, and
    has the first page where there is none (module rest, IRestService::getNavData; module main,
    CDBResult::DBNavStart).
    """

    fields: tuple[str, ...]
    select: tuple[str, ...]
    order: tuple[tuple[str, str], ...]
    operators: tuple[str, ...] = ALL_OPERATORS
    any_case: bool = False
    like: bool = False
    numbers: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    misread: frozenset[str] = frozenset()
    skips_count: bool = False
    whole_pages: bool = False

    def field(self, name: str) -> str | None:
        """Return the list's own name of a field, or None."""
        name = name.upper() if self.any_case else name
        return name if name in self.fields else None

    def split(self, key: str) -> tuple[str, str] | None:
        """Split a filter key into operator and field; None drops it."""
        sign = next((sign for sign in self.operators if key.startswith(sign)), "")
        field = self.field(key[len(sign) :])
        return None if field is None else (sign, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParams:
    """The parameters of a list call."""

    filter: Mapping[str, object]
    order: Mapping[str, object]
    select: Sequence[str]
    start: int


def page(
    rows: Iterable[Row], asked: ListParams, listing: Listing, in_order_of: str | None = None
) -> Answer:
    """Return one page of rows, which may be in ascending order of a field already.

    `next` is there while more rows follow, `total` always. Both are computed as the portal does
    (module rest, IRestService::setNavData): without a count the total is 0, and a start of -1
    counts as an offset.
    """
    found = matching(rows, asked, listing, in_order_of)
    start = asked.start
    if listing.whole_pages:
        start = start // PAGE * PAGE if 0 <= start < len(found) else 0
    first = max(start, 0)
    part = found[first : first + PAGE]
    columns = [name for name in map(listing.field, asked.select) if name] or listing.select
    total = 0 if start < 0 and listing.skips_count else len(found)
    following = start + len(part)
    return Answer(
        value=[{name: row.get(name) for name in columns if name in row} for row in part],
        total=total,
        next=following if following < total else None,
    )


def matching(
    rows: Iterable[Row], asked: ListParams, listing: Listing, in_order_of: str | None = None
) -> list[Row]:
    """Return all rows that the filter finds, in order."""
    found = list(rows)
    for field, holds in _tests(asked.filter, listing):
        found = [row for row in found if holds(row.get(field))]
    order = _order(asked, listing)
    if [(name, way.upper()) for name, way in order] != [(in_order_of, "ASC")]:
        _sort(found, order)
    return found


Holds = Callable[[object], bool]
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _tests(filters: Mapping[str, object], listing: Listing) -> list[tuple[str, Holds]]:
    """Return the tests of a filter, ready for many rows: a field, and a check of its value."""
    keys = [(listing.split(key), wanted) for key, wanted in filters.items()]
    return [(key[1], _test(*key, wanted, listing)) for key, wanted in keys if key]


def _test(sign: str, field: str, wanted: object, listing: Listing) -> Holds:
    if field in listing.misread:
        return lambda _value: False
    if sign in _ORDERS:
        holds = _ORDERS[sign]
        return lambda value: value is not None and holds(_compare(value, wanted), 0)
    equals = _equals(field, wanted, listing)
    if not sign.startswith("!"):
        return equals
    with_nulls = not listing.like
    return lambda value: (value is not None or with_nulls) and not equals(value)


def _equals(field: str, wanted: object, listing: Listing) -> Holds:
    values = _values(wanted)
    if field in listing.dates:
        return lambda value: any(_compare(value, one) == 0 for one in values)
    if field in listing.numbers:
        numbers = {php.integer(value) for value in values}
        return lambda value: php.integer(value) in numbers
    if listing.like:
        return _like([php.text(value) for value in values])
    texts = frozenset(map(_folded, values))
    return lambda value: any(_folded(one) in texts for one in _values(value))


def _like(patterns: Sequence[str]) -> Holds:
    """Return SQL's `LIKE a OR LIKE b`; an empty text also finds null."""
    one_of = "|".join(map(_regular, patterns)) if patterns else "(?!)"
    pattern = re.compile(one_of, re.IGNORECASE | re.DOTALL)
    is_empty = "" in patterns

    @lru_cache(maxsize=1024)  # thousands of rows have one document
    def matches(text: str) -> bool:
        return pattern.fullmatch(text) is not None

    def holds(value: object) -> bool:
        if isinstance(value, str):
            return matches(value)
        if value is None:
            return is_empty
        return any(matches(php.text(one)) for one in _values(value))

    return holds


def _regular(pattern: str) -> str:
    """Return a pattern of `LIKE` as a regular expression; a backslash at its end is itself."""
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    return "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)


def _values(value: object) -> Iterable[object]:
    return php.mapping(value).values() if isinstance(value, list | dict) else (value,)


def _folded(value: object) -> str:
    # The database's collation does not know case: `deal_759` finds `DEAL_759`.
    return php.text(value).casefold()


def _compare(left: object, right: object) -> int:
    one, other = comparable(php.text(left)), comparable(php.text(right))
    if one[0] != other[0]:
        one, other = (2, 0.0, php.text(left)), (2, 0.0, php.text(right))
    return (one > other) - (one < other)


@lru_cache(maxsize=1 << 16)  # each page of a long list sorts the same values
def comparable(value: str) -> tuple[int, float, str]:
    """Return what a text is compared and sorted by: a number, an instant, or itself."""
    try:
        return (0, float(value), "")
    except ValueError:
        pass
    try:
        return (1, datetime.fromisoformat(value).timestamp(), "")
    except ValueError:
        return (2, 0.0, value.casefold())


def _order(asked: ListParams, listing: Listing) -> list[tuple[str, str]]:
    named = [(listing.field(name), php.text(way)) for name, way in asked.order.items()]
    return [(name, way) for name, way in named if name] or list(listing.order)


def _sort(rows: list[Row], order: Sequence[tuple[str, str]]) -> None:
    for name, way in reversed(order):
        rows.sort(
            key=lambda row: (row.get(name) is not None, *comparable(php.text(row.get(name)))),
            reverse=way.upper() == "DESC",
        )
