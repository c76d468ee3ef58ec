"""Reads the list of all running workflows to its end, although its pages shift meanwhile.

Theory of operation. The list is ordered by id and read in pages by offset. When a workflow ends,
all rows behind it move up by one, and the next page would begin one row too late. So each page
begins with the row that was last on the page before, and a page *joins* another one if they share a
row. In the order of the ids a page is an interval: whatever ran at that moment, and lies between
its first row and its last, is on it. (A page that is neither full nor the last has lost rows, and
joins nothing.) Two intervals that share a row are one interval. So once the page that begins the
list is joined, over whichever others and read in whatever order, to one that ends it, every
workflow that ran from the first request to the last has been seen, because it was on one of the
pages. Workflows that started or ended in between may be there or not.

Where two neighbours do not join, because more workflows ended than one row of overlap allows for,
pages are read in between, backwards from the later one: there the rows are now that moved away. If
that does not help a few times, all is read once more, and then the list is given up: it proves
nothing. It is given up at once if its offsets count in whole pages, as those of tasks do
(`id_ranges`).

A row whose id cannot be read joins nothing, and is left alone like one whose document cannot be
read (`malformed_rows`). Two pages that share such a row alone are joined by others, further back.

The first request is sent before the number of rows is known, so some pages are asked for without
knowing that they exist: one behind the end is empty, and costs nothing but its place in a batch.
How many there were lately tells how many that should be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from responder.bitrix24.client.answers import Answer, Command, Failure, uncertain
from responder.bitrix24.lists.malformed_rows import OddRows
from responder.bitrix24.lists.paged import Row
from responder.bitrix24.lists.workflow_row import INSTANCE_FIELDS, id_of, instances
from responder.model import Unknown

PAGE = 50
STRIDE = PAGE - 1
BACK = PAGE - 2  # between two pages: it shares a row with the later one, and with itself further on
PAGES_ON_TRUST = 25
MOST_ON_TRUST = 50  # one request
MAX_PAGES = 4_000
REPAIRS = 4
FEW = 4
READINGS = 2

Compact = tuple[object, ...]

_ABSENT = object()
_TRIPLE = slice(INSTANCE_FIELDS.index("MODULE_ID"), INSTANCE_FIELDS.index("DOCUMENT_ID") + 1)
_COMMON = [
    INSTANCE_FIELDS.index(name)
    for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID", "STARTED_BY", "TEMPLATE_ID")
]
_BEGIN, _END = 0, 1  # two nodes besides the pages: the list's own ends


def pages_of(rows: int) -> int:
    """Return in how many pages a list of so many rows is read."""
    return 1 + max(0, rows - 2) // STRIDE


def triple(compact: Compact) -> Compact:
    """Return the document that a packed row names: module, entity, id."""
    return compact[_TRIPLE]


def unpacked(compact: Compact) -> dict[str, object]:
    """Return a row by the names of its fields; a field that the portal did not send is absent."""
    fields = zip(INSTANCE_FIELDS, compact, strict=True)
    return {name: value for name, value in fields if value is not _ABSENT}


@dataclass(frozen=True, slots=True)
class RunningWorkflows:
    """The content of a whole list of running workflows: rows by id, and rows left alone."""

    rows: Mapping[str, Compact]
    odd: OddRows

    def find_row(self, workflow_id: str) -> Compact | Unknown | None:
        """Return a workflow's row; None where it certainly does not run."""
        row = self.rows.get(workflow_id)
        why = self.odd.why(workflow_id) if row is None else None
        return row if why is None else Unknown(why)


class WorkflowList:
    """The list of all running workflows, as a source for `SharedRequests`.

    `rows` holds them by id, packed: a large portal has tens of thousands. They count for something
    once `whole` is true; if it never will be, `failure` is the reason. `odd` has the rows that are
    left alone. About `expected` rows there are, as far as is known.
    """

    def __init__(self, expected: int | None = None) -> None:
        self.rows: dict[str, Compact] = {}
        self.total: int | None = None
        self.whole = False
        self.failure: Failure | None = None
        self.odd = OddRows()
        self._command = instances({})
        self._readings = 0
        self._shared: dict[str, str] = {}
        self._begin(max(PAGES_ON_TRUST, min(MOST_ON_TRUST, pages_of(expected or 0))))

    def _begin(self, pages: int) -> None:
        self._readings += 1
        self._repairs = 0
        self.rows.clear()
        self.odd = OddRows()
        self._page_of: dict[str, int] = {}
        self._parents = [_BEGIN, _END]
        self._pages: list[tuple[int, int, int]] = []  # start, node, total
        self._asked: set[int] = set()
        self._ahead = [STRIDE * number for number in range(pages)]
        self._furthest = self._ahead[-1]

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return the next pages to read, each under its offset."""
        if self.failure is None and not self._ahead and not self._asked:
            self._conclude()
        if self.whole or self.failure is not None:
            return []
        starts, self._ahead = self._ahead[:room], self._ahead[room:]
        self._asked.update(starts)
        return [(start, self._page_at(start)) for start in starts]

    def accept(self, number: int, answer: Answer) -> None:
        """Accept the page at this offset."""
        self._asked.discard(number)
        if answer.failure is not None:
            self.failure = answer.failure
        elif not isinstance(answer.value, list) or answer.total is None:
            self.failure = uncertain("wrong_type", "the answer is no list")
        else:
            self.failure = _doubt(number, answer.value, answer.total, answer.next)
            if self.failure is None:
                self._accept_page(number, answer.value, answer.total)

    def _page_at(self, start: int) -> Command:
        return Command(self._command.method, {**self._command.params, "start": start})

    def _accept_page(self, start: int, rows: Sequence[object], total: int) -> None:
        node = len(self._parents)
        self._parents.append(node)
        self._pages.append((start, node, total))
        self.total = total
        self._plan_up_to(total)
        is_last = start + len(rows) >= total
        if not is_last and len(rows) < PAGE:
            return  # rows are missing from it, or the list grew before it was counted
        if start == 0:
            self._join(node, _BEGIN)
        if is_last:
            self._join(node, _END)
        ids: list[str] = []
        for row in rows:
            self.odd.add(row)
            workflow_id = id_of(row) if isinstance(row, dict) else None
            if workflow_id is not None and isinstance(row, dict):
                ids.append(workflow_id)
                self._join(node, self._page_of.setdefault(workflow_id, node))
                self.rows[workflow_id] = self._packed(row)
        if not _are_in_order(ids):
            self.failure = uncertain("wrong_order", "the list is not ordered by id")

    def _packed(self, row: Row) -> Compact:
        """Return a row as a tuple; a text that many rows share (user, template) is stored once."""
        packed = [row.get(name, _ABSENT) for name in INSTANCE_FIELDS]
        for place in _COMMON:
            text = packed[place]
            if isinstance(text, str):
                packed[place] = self._shared.setdefault(text, text)
        return tuple(packed)

    def _plan_up_to(self, total: int) -> None:
        """Plan the pages behind the furthest one, as far as the list is known to go."""
        starts = range(self._furthest + STRIDE, total - 1, STRIDE)
        if len(self._pages) + len(self._ahead) + len(starts) > MAX_PAGES:
            self.failure = uncertain("too_long", f"the list has more than {MAX_PAGES} pages")
        elif starts:
            self._ahead += starts
            self._furthest = starts[-1]

    def _conclude(self) -> None:
        if self._top(_BEGIN) == self._top(_END):
            self.whole = True
            self._page_of.clear()
            self._shared.clear()
            return
        self._repairs += 1
        between = sorted(set(self._starts_between()))
        anew = 1 + (self.total or 0) // STRIDE
        if self._repairs <= REPAIRS and len(between) <= max(anew, FEW):
            self._ahead = between
        elif self._readings < READINGS:
            self._begin(anew)
        elif self.failure is None:
            self.failure = uncertain("incomplete", "the list changed while it was read")

    def _starts_between(self) -> Iterator[int]:
        """Yield the offsets to read between neighbours that do not join, further back each time.

        As many rows moved away as workflows ended between the two pages, and more move while more
        end. The totals show how many, as long as no others started meanwhile.
        """
        now = self.total or 0
        pages = [*sorted(self._pages), (self._furthest + STRIDE, _END, now)]
        for (_, left, before), (start, right, after) in pairwise(pages):
            if self._top(left) == self._top(right):
                continue
            few = self._repairs == 1 and before - after < BACK
            ended = max(0, before - (after if few else min(after, now)))
            for number in range(1, 1 + max(1 << (self._repairs - 1), 1 + ended // BACK)):
                yield max(0, start - number * BACK)

    def _join(self, one: int, other: int) -> None:
        self._parents[self._top(one)] = self._top(other)

    def _top(self, node: int) -> int:
        while self._parents[node] != node:
            self._parents[node] = self._parents[self._parents[node]]
            node = self._parents[node]
        return node


def _doubt(start: int, rows: Sequence[object], total: int, following: int | None) -> Failure | None:
    """Return why a page is not believed, or None: its end must agree with its total and its next.

    Lists whose offsets count in whole pages have another end (`id_ranges`): where it is would be a
    guess. (Module rest, setNavData.)
    """
    end = start + len(rows)
    if rows and (total < end or (following is None) is (end < total)):
        return uncertain("incomplete", "the answer contradicts itself")
    if following not in (None, end):
        return uncertain("wrong_page", "the answer is another page of the list")
    return None


def _are_in_order(ids: Sequence[str]) -> bool:
    """Return whether ids ascend, as far as that can be decided without the database's own rules."""
    # The ids that the portal makes are of one length, with a point in one place (PHP: uniqid).
    last: dict[tuple[int, int], str] = {}  # of each shape
    for one in map(str.lower, ids):
        shape = (len(one), one.find("."))
        if one <= last.get(shape, ""):
            return False
        last[shape] = one
    return True
