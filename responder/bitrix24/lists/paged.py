"""Reads lists of the portal to their end by offset, many at a time, and notices incomplete ones.

Theory of operation. A list comes in pages of fifty by offset, and the rows behind an offset move
when workflows end meanwhile: a page may then miss a row. So rows are collected by their id, and a
list is *whole* only if every page had the same total and as many ids were found. If not it is read
once more from its start, and then given up. A list that is not whole proves nobody's absence. Where
absence will be believed, a list of several pages must be read twice with the same result, row for
row: one row that ended and one that started leave the total as it was, and a third row may have
slipped between two pages. Two equal readings show the list as it was at the moment when the second
began, whatever moved: each of its rows was there before and after that moment, with the same
values, and their number was the total. (A row that went does not come back, nor does one that
changed become what it was: a task that was answered waits no more.)

The first page has the total; then all other pages are asked for at once. Filters may not have been
understood (the portal drops what it does not know without a word), so rows that were not asked for
are counted, since the total counts them, and not kept.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind, uncertain

Send = Callable[[Sequence[Command]], Awaitable[list[Answer]]]
"""Sends commands in their order and returns each one's answer in its place."""

Row = Mapping[str, object]

# For how long the next readings use the templates, users and stages of one. So much older than a
# reading its facts may be, and so much sooner it is too old to act on.
REMEMBERED_FOR = timedelta(seconds=5)
MAX_PAGES = 1000
MAX_READINGS = 3
PAGES_AT_ONCE = 200


class Read(Protocol):
    """Something that sends commands to the portal, in one or more rounds, until it is finished."""

    def next_commands(self) -> list[Command]:
        """Return the commands of the next round; none when it is finished or has failed."""

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept the answers to these commands, in their order."""


async def read_all(send: Send, reads: Sequence[Read]) -> None:
    """Send the commands of all reads, each round in one, until all are finished."""
    while True:
        asked = [(read, commands) for read in reads if (commands := read.next_commands())]
        if not asked:
            return
        answers = await send([command for _, commands in asked for command in commands])
        place = 0
        for read, commands in asked:
            read.accept(answers[place : place + len(commands)])
            place += len(commands)


class Listing:
    """One list: its kept rows by id, and whether it is whole; `failure` is the reason if not.

    `id_of` returns a row's id, or None for a row that cannot be read. Such a row makes the list
    fail, unless `odd` is given: it is then called with every row, and decides what may be
    concluded. `twice` is for lists whose absent rows are taken to be gone. `until` is an id whose
    row alone matters: once it is found no further page is read.
    """

    def __init__(
        self,
        command: Command,
        *,
        id_of: Callable[[Row], str | None],
        keep: Callable[[Row], bool] = lambda _row: True,
        odd: Callable[[object], None] | None = None,
        twice: bool = False,
        until: str | None = None,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.whole = False
        self.failure: Failure | None = None
        self._command = command
        self._id_of = id_of
        self._keep = keep
        self._odd = odd
        self._twice = twice
        self._until = until
        self._seen: set[str] = set()
        self._nameless = 0
        self._totals: set[int] = set()
        self._ahead = [0]
        self._asked: list[int] = []
        self._pages = 0
        self._broken = False
        self._readings = 1
        self._before: tuple[set[str], int, dict[str, Row]] | None = None

    def next_commands(self) -> list[Command]:
        """Return the commands for the next pages."""
        self._asked = self._ahead[:PAGES_AT_ONCE]
        del self._ahead[:PAGES_AT_ONCE]
        return [self._page_at(start) for start in self._asked]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept these pages."""
        for start, answer in zip(self._asked, answers, strict=True):
            self._accept_page(start, answer)
        if self._broken or self._until in self.rows:
            self._ahead = []
        elif not self._ahead:
            self._conclude()

    def _page_at(self, start: int) -> Command:
        if start == 0:
            return self._command
        return replace(self._command, params={**self._command.params, "start": start})

    def _accept_page(self, start: int, answer: Answer) -> None:
        if answer.failure is not None:
            self._give_up(answer.failure)
        elif not isinstance(answer.value, list) or answer.total is None:
            self._give_up(uncertain("wrong_type", "the answer is no list"))
        else:
            self._pages += 1
            self._totals.add(answer.total)
            for row in answer.value:
                self._accept_row(row)
            self._look_ahead(start, answer.total, answer.next)

    def _accept_row(self, row: object) -> None:
        if self._odd is not None:
            self._odd(row)
        row_id = self._id_of(row) if isinstance(row, dict) else None
        if row_id is not None and isinstance(row, dict):
            self._seen.add(row_id)
            if self._keep(row):
                self.rows[row_id] = row
        elif self._odd is not None:
            self._nameless += 1
        else:
            self._give_up(uncertain("wrong_type", "the list has a row that cannot be read"))

    def _look_ahead(self, start: int, total: int, following: int | None) -> None:
        """Plan the other pages after the first page, and one more where the last one has a next."""
        if following is None or following <= max([start, *self._asked, *self._ahead]):
            return
        if self._pages + total // following > MAX_PAGES:
            self._give_up(uncertain("too_long", f"the list has more than {MAX_PAGES} pages"))
        elif start == 0:
            self._ahead = list(range(following, max(total, following + 1), following))
        else:
            self._ahead.append(following)

    def _give_up(self, failure: Failure) -> None:
        self.failure = failure
        self._broken = True
        self.rows = {key: row for key, row in self.rows.items() if key == self._until}

    def _conclude(self) -> None:
        consistent = self._totals == {len(self._seen) + self._nameless}
        found = (self._seen, self._nameless, self.rows)
        if consistent and (self._pages == 1 or not self._twice or found == self._before):
            self.whole = True
        elif self._readings < (MAX_READINGS if consistent else 2):
            self._before = found if consistent else None
            self._read_again()
        else:
            self._give_up(uncertain("incomplete", "the list changed while it was read"))

    def _read_again(self) -> None:
        self._readings += 1
        self.rows, self._seen, self._nameless = {}, set(), 0
        self._totals.clear()
        self._pages = 0
        self._ahead = [0]


def unless_rejected(failure: Failure) -> Failure | None:
    """Return the failure, or None if the portal merely rejected this one request."""
    return None if failure.kind is FailureKind.REJECTED else failure
