"""Reads a long list of numbered rows by ranges of their numbers, where pages prove nothing.

Theory of operation. `bizproc.task.list` counts in whole pages: what `start` names is rounded down
to a multiple of fifty, and a page behind the end may be the first one again (module rest,
IRestService::getNavData; module main, CDBResult::DBNavStart). So pages cannot overlap as those of
`everything` do, and a row that moves from one to another is missed. A *range* of numbers whose rows
all fit into one answer cannot miss any: that answer is what there was at that moment. Numbers only
grow, so the ranges from the first number to the last, told by the list in both orders, hold
whatever was listed from the first request to the last one. A range that has more rows than an
answer is cut into smaller ones. One number alone may have many rows, since a task has one for each
of its users: these are read by pages, and so is all of it where the portal does not understand such
a filter.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from responder.bitrix24.answers import Answer, Command, Failure, uncertain
from responder.bitrix24.errands import Whole
from responder.bitrix24.listing import Listing, Row

PAGE = 50
AIM = 30  # rows in a range, as far as they lie evenly
MOST_ASKED = 8_000


def pages_of(rows: int) -> int:
    """Say in about how many requests a list of so many rows is read."""
    return 1 if rows <= PAGE else 2 + rows // AIM


class _End(Enum):
    """The first page of the list in both orders."""

    FIRST = "ASC"
    LAST = "DESC"


@dataclass(frozen=True, slots=True)
class _Range:
    """The numbers above `after`, `through` the last one."""

    after: int
    through: int

    def cut(self, rows: int) -> Iterator["_Range"]:
        """Cut it into ranges that have some thirty rows, if they lie evenly."""
        width = self.through - self.after
        parts = min(width, max(2, -(-rows // AIM)))
        bounds = [self.after + width * part // parts for part in range(parts + 1)]
        for after, through in pairwise(bounds):
            yield _Range(after, through)


_Asked = _End | _Range | tuple[Whole, int]


class RangedList:
    """A list read by ranges, as a source of commands for `Errands`.

    `rows` holds by their keys the rows that `keep` says are wanted. They count for something once
    `whole` is true; if it never will be, `failure` says why. `key_of` tells rows of one number
    apart.
    """

    def __init__(
        self,
        command: Command,
        *,
        key_of: Callable[[Row], str | None],
        keep: Callable[[Row], bool],
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.total: int | None = None
        self.whole = False
        self.failure: Failure | None = None
        self._command = command
        self._key_of = key_of
        self._keep = keep
        self._numbers = 0
        self._ahead: list[_End | _Range] = [_End.FIRST, _End.LAST]
        self._asked: dict[int, _Asked] = {}
        self._ends: dict[_End, list[int]] = {}
        self._paged: list[tuple[Whole, Listing]] = []
        self._told: set[int] = set()  # numbers at both ends; all of them do not vanish at once
        self._seen_again = False

    def wanted(self, room: int) -> list[tuple[int, Command]]:
        """Return what to ask next."""
        if self.whole or self.failure is not None or not room:
            return []  # without room, that nothing is asked does not mean that all is known
        some, self._ahead = self._ahead[:room], self._ahead[room:]
        asking = [self._numbered(one, self._command_of(one)) for one in some]
        for source, _ in self._paged:
            for number, command in source.wanted(room - len(asking)):
                asking.append(self._numbered((source, number), command))
        if not asking and not self._asked:
            self._conclude()
        if self._numbers > MOST_ASKED:
            self.failure = uncertain("too_long", "the list has more rows than can be read")
        return asking

    def take(self, number: int, answer: Answer) -> None:
        """Take an answer; one to a question that matters no more is left alone."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        if isinstance(asked, tuple):
            source, place = asked
            source.take(place, answer)
        elif answer.failure is not None:
            self.failure = answer.failure
        elif not isinstance(answer.value, list) or answer.total is None:
            self.failure = uncertain("wrong_type", "the answer is no list")
        elif self._contradicts_itself(answer.value, answer.total, answer.next):
            self.failure = uncertain("incomplete", "the answer contradicts itself")
        else:
            self._take_rows(asked, answer.value, answer.total)

    def _contradicts_itself(
        self, rows: Sequence[object], total: int, following: int | None
    ) -> bool:
        keys = [self._key_of(row) for row in rows if isinstance(row, dict)]
        is_all = total <= len(rows)
        return (
            total < len(rows)
            or (is_all and following is not None)
            or len(set(keys)) < len(keys) - keys.count(None)
        )

    def _numbered(self, asked: _Asked, command: Command) -> tuple[int, Command]:
        self._numbers += 1
        self._asked[self._numbers] = asked
        return self._numbers, command

    def _command_of(self, asked: _End | _Range) -> Command:
        params = dict(self._command.params)
        if isinstance(asked, _End):
            return Command(self._command.method, {**params, "ORDER": {"ID": asked.value}})
        given = params.get("FILTER")
        wanted = dict(given) if isinstance(given, Mapping) else {}
        wanted |= {">ID": asked.after, "<=ID": asked.through}
        return Command(self._command.method, {**params, "FILTER": wanted})

    def _take_rows(self, asked: _End | _Range, rows: Sequence[object], total: int) -> None:
        found = [row for row in rows if isinstance(row, dict) and self._key_of(row) is not None]
        numbers = [number for row in found if (number := _number(row)) is not None]
        if len(numbers) < len(rows):
            self.failure = uncertain("wrong_type", "the list has a row that cannot be read")
        elif isinstance(asked, _End):
            self._take_end(asked, found, numbers, total)
        elif any(not asked.after < number <= asked.through for number in numbers):
            self._read_by_pages()  # the portal dropped the filter
        elif total <= len(found):
            self._take_in(found)
        elif asked.through - asked.after == 1:
            self._page(self._command_of(asked))
        else:
            self._ahead += asked.cut(total)

    def _take_end(self, end: _End, rows: Sequence[Row], numbers: list[int], total: int) -> None:
        if end is _End.FIRST:
            self.total = total
        if total <= len(rows):
            if self.total is not None and self.total > total + PAGE:
                self.failure = uncertain("incomplete", "the list told two lengths")
                return
            self._stop_asking()
            self.rows.clear()
            self._take_in(rows)
            return
        self._ends[end] = numbers
        if len(self._ends) < len(_End):
            return
        first, last = self._ends[_End.FIRST], self._ends[_End.LAST]
        self._told = set(first) | set(last)
        if _are_ends(first, last):
            self._ahead += _Range(first[0] - 1, last[0]).cut(total)
        else:
            self._read_by_pages()  # there is no telling where the list begins and ends

    def _read_by_pages(self) -> None:
        self._stop_asking()
        self.rows.clear()
        self._page(self._command)

    def _stop_asking(self) -> None:
        self._ahead, self._asked, self._paged = [], {}, []

    def _page(self, command: Command) -> None:
        listing = Listing(command, id_of=self._key_of, twice=True)
        self._paged.append((Whole(listing), listing))

    def _take_in(self, rows: Collection[Row]) -> None:
        for row in rows:
            key = self._key_of(row)
            if key is not None and self._keep(row):
                self.rows[key] = row
        self._seen_again |= not self._told.isdisjoint(map(_number, rows))

    def _conclude(self) -> None:
        for _, listing in self._paged:
            if not listing.whole:
                changed = uncertain("incomplete", "the list changed while it was read")
                self.failure = listing.failure or changed
                return
            self._take_in(listing.rows.values())
        if self._told and not self._seen_again and not self._paged:
            self.failure = uncertain("incomplete", "no range had a row that the whole list had")
            return
        self.whole = True


def _are_ends(first: list[int], last: list[int]) -> bool:
    """Say whether these are the numbers on the first page of a list in both orders."""
    ordered = first == sorted(first) and last == sorted(last, reverse=True)
    return ordered and bool(first and last) and first[0] <= last[0]


def _number(row: Row) -> int | None:
    value = row.get("ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
