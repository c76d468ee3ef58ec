"""Counts, from the table of deliveries, how many deliveries each evaluation concluded.

All deliveries are read once, in the order of their ids, some thousands a read, and counted by the
number of their evaluation: four bytes for each entry of the log. The heads of the chains are read
before that, so everything that was concluded up to there is counted; what is concluded meanwhile is
left to the next check.
"""

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from responder.journal.audit.differences import Differences
from responder.journal.chain_ends import BadEntry, End, Readable, base_of, head_of
from responder.store.database.damage import Damaged, undamaged
from responder.store.database.tables import deliveries

_PAGE = 5_000
_CHUNK = 256
_CLOCKS_DIFFER = timedelta(hours=1)  # as pruning has it


class _Group(NamedTuple):
    """Deliveries of one read with one evaluation: their number, first and last id, newest time."""

    portal: str
    evaluation: str | None
    number: int
    first: int
    last: int
    received_at: datetime


@dataclass(slots=True)
class Concluded:
    """The deliveries of one portal, counted for evaluations up to number `last`."""

    base: End
    last: int
    differs: Differences = field(default_factory=Differences)
    _chunks: dict[int, "array[int]"] = field(default_factory=dict)
    _ahead: tuple[int, int] = (0, 0)

    def of(self, seq: int) -> int | None:
        """Return how many deliveries name this entry as their evaluation; None if it is too new."""
        if seq > self.last:
            return None
        chunk = self._chunks.get(seq // _CHUNK)
        return 0 if chunk is None else chunk[seq % _CHUNK]

    def add(self, group: _Group) -> None:
        """Count deliveries of one evaluation, or record why that cannot be their evaluation."""
        portal, _, number = (group.evaluation or "").rpartition("-")
        if portal != group.portal or not _is_number(number):
            self._differs(group, f"it names {group.evaluation!r} as its evaluation")
            return
        seq = int(number)
        if seq > self.last:
            self._ahead = max(self._ahead, (seq, group.first))
        elif seq > self.base.seq:
            chunk = self._chunks.setdefault(seq // _CHUNK, array("i", [0]) * _CHUNK)
            chunk[seq % _CHUNK] += group.number
        elif self.base.pruning is None:
            self._differs(group, "its evaluation would be an entry before the first")
        elif group.received_at >= self.base.pruning.before + _CLOCKS_DIFFER:
            self._differs(
                group, f"it is younger than its evaluation {group.evaluation}, now pruned"
            )

    def end(self, last: int) -> None:
        """Record the deliveries whose evaluation is an entry that does not exist even now."""
        seq, delivery = self._ahead
        if seq > last:
            self.differs.add("delivery", str(delivery), f"its evaluation {seq} does not exist")

    def _differs(self, group: _Group, why: str) -> None:
        self.differs.add("delivery", str(group.first), why)


def count(database: Readable, portals: Collection[str]) -> dict[str, Concluded]:
    """Return the deliveries of these portals, counted by evaluation."""
    found = {portal: _begun(database, portal) for portal in portals}
    after = 0
    try:
        for group in _groups(database):
            after = group.last
            if group.evaluation is not None:
                found.setdefault(group.portal, Concluded(End(0, ""), 0)).add(group)
    except Damaged:
        return {portal: _unreadable(after) for portal in found}
    for portal, concluded in found.items():
        concluded.end(database.read(partial(head_of, portal=portal)).seq)
    return found


def _unreadable(after: int) -> Concluded:
    """Return a count of nothing, with the difference that deliveries cannot be read."""
    none = Concluded(End(0, ""), 0)
    none.differs.add("deliveries", f"after {after}", "they cannot be read any more")
    return none


def _begun(database: Readable, portal: str) -> Concluded:
    last = database.read(partial(head_of, portal=portal)).seq
    try:
        base = undamaged(partial(base_of, database, portal))
    except Damaged:  # the check of the chain will name the entry
        return Concluded(End(0, ""), last)
    return Concluded(End(0, "") if isinstance(base, BadEntry) else base, last)


def _groups(database: Readable) -> Iterator[_Group]:
    """Yield all deliveries, grouped by evaluation within each read."""
    after: int | None = None
    while page := undamaged(partial(database.read, partial(_page, after=after))):
        yield from page
        after = max(group.last for group in page)


def _page(conn: Connection, after: int | None) -> list[_Group]:
    columns = (deliveries.c.portal, deliveries.c.evaluation, deliveries.c.received_at)
    some = select(deliveries.c.id, *columns).order_by(deliveries.c.id).limit(_PAGE)
    if after is not None:
        some = some.where(deliveries.c.id > after)
    page = some.subquery()
    found = conn.execute(
        select(
            page.c.portal,
            page.c.evaluation,
            func.count(),
            func.min(page.c.id),
            func.max(page.c.id),
            func.max(page.c.received_at),
        ).group_by(page.c.portal, page.c.evaluation)
    )
    return [_Group._make(row) for row in found]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
