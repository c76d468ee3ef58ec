"""Reads a long list of numbered rows by ranges of their numbers, where pages prove nothing.

Theory of operation. `bizproc.task.list` counts in whole pages: `start` is rounded down to a
multiple of fifty, and a page behind the end may be the first one again (module rest,
IRestService::getNavData; module main, CDBResult::DBNavStart). So pages cannot overlap as those of
`workflows` do, and a row that moves from one to another is missed. A *range* of numbers whose rows
all fit into one answer cannot miss any: that answer has all rows of that moment. The list is asked
for its first number and its last one, in both orders, and is read in ranges from the one to the
other. A range that has more rows than an answer is cut into smaller ones. One number alone may have
many rows, since a task has one for each of its users: these are read by pages, and so is the whole
list where the portal does not understand such a filter.

Meanwhile rows go, and others come: a workflow whose task is answered has its next one as a new row.
New rows have higher numbers than any before. So when all ranges are answered the *open range* is
asked for, all numbers above the last one known; if that is too much for one answer, the last number
is looked up anew, and the numbers up to it are read in ranges first. Then nothing is missing that
is there at the moment of that last answer. For take such a row. Either it is above the last number
that was known, and so on that answer. Or it is in a range; each was asked for after a higher number
had been seen, so the row was there already when its range was answered, and is on that answer. (Its
number may have been given out some moments before it could be seen, and a higher one have been seen
before it: so the open range begins a few rows early.) Whoever waits at that moment is therefore
known to wait. But the rows seen of one workflow may be of two moments: its task, and the one that
followed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from responder.bitrix24.client.answers import Answer, Command, Failure, uncertain
from responder.bitrix24.lists.paged import Listing, Row
from responder.bitrix24.lists.requests import ReadSource

PAGE = 50
AIM = 30  # rows in a range, as far as they lie evenly
EARLY = 10  # rows that the open range reads again
OPENED = 5  # times that the open range is asked for, at most
MOST_ASKED = 8_000


def pages_of(rows: int) -> int:
    """Return in about how many requests a list of so many rows is read."""
    return 1 if rows <= PAGE else 3 + rows // AIM


class _End(Enum):
    """The two ends of the list, each with the order that has it first."""

    FIRST = "ASC"
    LAST = "DESC"


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The numbers above `after`, up to `through`."""

    after: int
    through: int

    @property
    def filter(self) -> dict[str, object]:
        """Return the filter for these numbers."""
        return {">ID": self.after, "<=ID": self.through}

    def cut(self, rows: int) -> Iterator["NumberRange"]:
        """Yield smaller ranges with some thirty rows each, if the numbers are spread evenly."""
        width = self.through - self.after
        parts = min(width, max(2, -(-rows // AIM)))
        bounds = [self.after + width * part // parts for part in range(parts + 1)]
        for after, through in pairwise(bounds):
            yield NumberRange(after, through)


@dataclass(frozen=True, slots=True)
class _Open:
    """All numbers above `after`."""

    after: int

    @property
    def filter(self) -> dict[str, object]:
        """Return the filter for these numbers."""
        return {">ID": self.after}


_Asked = _End | NumberRange | _Open | tuple[ReadSource, int]


class RangedList:
    """A list read by ranges, as a source for `SharedRequests`.

    `rows` has, by their keys, the rows that `keep` accepts. They count for something once `whole`
    is true; if it never will be, `failure` is the reason. `key_of` distinguishes rows of one
    number.
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
        self._ahead: list[_End | NumberRange | _Open] = [_End.FIRST, _End.LAST]
        self._asked: dict[int, _Asked] = {}
        self._ends: dict[_End, list[int]] = {}
        self._paged: list[tuple[ReadSource, Listing]] = []
        self._at_ends: set[int] = set()  # numbers at both ends; all of them do not vanish at once
        self._seen_again = False  # a range had one of these, so its filter was understood
        self._last = 0  # all ranges up to here are read, or will be
        self._above = 0  # how many rows the list has above it
        self._open: _Open | None = None  # to be asked for after them
        self._opened = 0

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return the next commands."""
        if self.whole or self.failure is not None or not room:
            return []  # without room, that nothing is asked does not mean that all is known
        asking = self._next(room)
        if not asking and not self._asked:
            self._go_on()
            asking = self._next(room)
        if self._numbers > MOST_ASKED:
            self._is_too_long()
        return asking

    def _next(self, room: int) -> list[tuple[int, Command]]:
        some, self._ahead = self._ahead[:room], self._ahead[room:]
        asking = [self._numbered(one, self._command_of(one)) for one in some]
        for source, _ in self._paged:
            for number, command in source.next_commands(room - len(asking)):
                asking.append(self._numbered((source, number), command))
        return asking

    def _go_on(self) -> None:
        """Ask for the open range after all others, or conclude."""
        if self._open is None:
            self._conclude()
        else:
            self._ahead.append(self._open)
            self._open = None
            self._opened += 1

    def accept(self, number: int, answer: Answer) -> None:
        """Accept an answer; one to a command that no longer matters is ignored."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        if isinstance(asked, tuple):
            source, place = asked
            source.accept(place, answer)
        elif answer.failure is not None:
            self.failure = answer.failure
        elif not isinstance(answer.value, list) or answer.total is None:
            self.failure = uncertain("wrong_type", "the answer is no list")
        elif self._contradicts_itself(answer.value, answer.total, answer.next):
            self.failure = uncertain("incomplete", "the answer contradicts itself")
        else:
            self._accept_rows(asked, answer.value, answer.total)

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

    def _command_of(self, asked: _End | NumberRange | _Open) -> Command:
        params = dict(self._command.params)
        if isinstance(asked, _End):
            return replace(self._command, params={**params, "ORDER": {"ID": asked.value}})
        given = params.get("FILTER")
        wanted = dict(given) if isinstance(given, Mapping) else {}
        return replace(self._command, params={**params, "FILTER": wanted | asked.filter})

    def _accept_rows(
        self, asked: _End | NumberRange | _Open, rows: Sequence[object], total: int
    ) -> None:
        found = [row for row in rows if isinstance(row, dict) and self._key_of(row) is not None]
        numbers = [number for row in found if (number := _number(row)) is not None]
        if len(numbers) < len(rows):
            self.failure = uncertain("wrong_type", "the list has a row that cannot be read")
        elif isinstance(asked, _End):
            self._accept_end(asked, found, numbers, total)
        elif isinstance(asked, _Open):
            self._accept_open(asked, found, numbers, total)
        elif any(not asked.after < number <= asked.through for number in numbers):
            self._read_by_pages()  # the portal dropped the filter
        elif total <= len(found):
            self._keep_rows(found)
            self._seen_again |= not self._at_ends.isdisjoint(numbers)
        elif asked.through - asked.after == 1:
            self._page(self._command_of(asked))
        else:
            self._cut(asked, total)

    def _accept_open(
        self, asked: _Open, rows: Sequence[Row], numbers: list[int], total: int
    ) -> None:
        if any(number <= asked.after for number in numbers):
            self._read_by_pages()
        elif total <= len(rows):
            self._keep_rows(rows)
        elif self._opened < OPENED:
            self._above = total
            self._ahead.append(_End.LAST)
        else:
            self.failure = uncertain("incomplete", "the list grew faster than it could be read")

    def _accept_end(self, end: _End, rows: Sequence[Row], numbers: list[int], total: int) -> None:
        if end is _End.FIRST:
            self.total = total
        if total <= len(rows):
            if self.total is not None and self.total > total + PAGE:
                self.failure = uncertain("incomplete", "the list told two lengths")
                return
            self._stop_asking()
            self.rows.clear()
            self._keep_rows(rows)
            return
        self._ends[end] = numbers
        if len(self._ends) < len(_End):
            return
        first, last = self._ends[_End.FIRST], self._ends[_End.LAST]
        if not _are_ends(first, last):
            self._read_by_pages()  # there is no telling where the list begins and ends
            return
        if not self._at_ends:
            self._at_ends = set(first) | set(last)
            self._last, self._above = first[0] - 1, total
        self._open = _Open(last[min(EARLY, len(last) - 1)])
        if last[0] > self._last:
            new, self._last = NumberRange(self._last, last[0]), last[0]
            self._cut(new, self._above)

    def _cut(self, asked: NumberRange, rows: int) -> None:
        """Plan the parts of a range, unless its list is too long."""
        if pages_of(rows) > MOST_ASKED:
            self._is_too_long()
        else:
            self._ahead += asked.cut(rows)

    def _is_too_long(self) -> None:
        self.failure = uncertain("too_long", "the list has more rows than can be read")

    def _read_by_pages(self) -> None:
        self._stop_asking()
        self.rows.clear()
        self._page(self._command)

    def _stop_asking(self) -> None:
        self._ahead, self._asked, self._paged, self._open = [], {}, [], None

    def _page(self, command: Command) -> None:
        listing = Listing(command, id_of=self._key_of, twice=True)
        self._paged.append((ReadSource(listing), listing))

    def _keep_rows(self, rows: Collection[Row]) -> None:
        for row in rows:
            key = self._key_of(row)
            if key is not None and self._keep(row):
                self.rows[key] = row

    def _conclude(self) -> None:
        for _, listing in self._paged:
            if not listing.whole:
                changed = uncertain("incomplete", "the list changed while it was read")
                self.failure = listing.failure or changed
                return
            self._keep_rows(listing.rows.values())
        if self._at_ends and not self._seen_again and not self._paged:
            self.failure = uncertain("incomplete", "no range had a row that the whole list had")
            return
        self.whole = True


def _are_ends(first: list[int], last: list[int]) -> bool:
    """Return whether these can be the numbers on the first page of a list in both orders."""
    ordered = first == sorted(first) and last == sorted(last, reverse=True)
    return ordered and bool(first and last) and first[0] <= last[0]


def _number(row: Row) -> int | None:
    value = row.get("ID")
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
