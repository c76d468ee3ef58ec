"""Makes values of a fact between and beside those that tests compare it with.

Whatever the fact is, one of these gives the same answers to all of the tests.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import TypeVar

from responder.rules.facts.derived import RUNNING
from responder.rules.facts.fields import Type
from responder.rules.facts.moments import Moment
from responder.rules.facts.registry import Fact

_T = TypeVar("_T", Decimal, timedelta)
_COUNTS = frozenset({"workflow.tasks", RUNNING})
_UNREADABLE = "?"
_TEXTS = (Type.TEXT, Type.ID)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def of(fact: Fact, compared: Sequence[object], now: datetime) -> Iterator[object]:
    """Yield values of a fact, some of which cannot be read. `now` is when they are tested."""
    if fact.type is Type.TRUTH:
        yield from (True, False, _UNREADABLE)
        return
    yield from (True, False)  # which are no texts, no numbers and no dates
    if fact.type in _TEXTS:
        yield from (one for one in compared if isinstance(one, str))
        return
    yield _UNREADABLE
    numbers = [Decimal(one) for one in compared if isinstance(one, int | Decimal)]
    lengths = [one for one in compared if isinstance(one, timedelta)]
    if fact.path in _COUNTS:
        yield from _counts(numbers)
    elif fact.type in (Type.NUMBER, Type.REFERENCE):
        yield from (Decimal(0), *_around(numbers, Decimal(1)))
    elif fact.type is Type.DURATION:
        yield from _around(lengths, _SECOND)
    else:
        yield from _moments(compared, lengths, now)


def others(fact: Fact, compared: Sequence[object]) -> Iterator[str]:
    """Yield a text that is none of those compared, where a fact is a text."""
    if fact.type in _TEXTS:
        yield "?" + "".join(one for one in compared if isinstance(one, str))


def _counts(numbers: Iterable[Decimal]) -> Iterator[Decimal]:
    whole = {one.to_integral_value(way) for one in numbers for way in (ROUND_FLOOR, ROUND_CEILING)}
    near = {one + step for one in whole for step in (-1, 0, 1)} | {Decimal(0)}
    yield from sorted(one for one in near if one >= 0)


def _around(ends: Iterable[_T], step: _T) -> Iterator[_T]:
    """Yield ends, what is between each two neighbours, and what is beyond the first and last."""
    some: list[_T] = sorted(set(ends))
    for one, after in pairwise(some):
        yield one
        yield one + (after - one) / 2
    if some:
        yield some[-1]
        yield some[0] - step
        yield some[-1] + step


def _moments(
    compared: Sequence[object], lengths: Sequence[timedelta], now: datetime
) -> Iterator[str]:
    first = now - datetime.min.replace(tzinfo=now.tzinfo)
    yield from ((now - one).isoformat() for one in _around(lengths, _SECOND) if one < first)
    for day in (one.local.date() for one in compared if isinstance(one, Moment)):
        yield day.isoformat()
        yield from ([(day - _DAY).isoformat()] if day > date.min else [])
        yield from ([(day + _DAY).isoformat()] if day < date.max else [])
