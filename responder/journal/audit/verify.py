"""Checks a chain: what was changed, removed, swapped or inserted, and where.

Entries are read in order, a hundred a read, and hashed again (`chain`); the rows that belong to
each are compared with it (`index_check`). The first fault is returned. A chain that was cut off at
its end, or rewritten as a whole, is consistent in itself; that is found by *marks*, numbers and
hashes of entries that were kept elsewhere (`checkpoints`).

The check runs beside a service that appends, prunes and erases. What is appended meanwhile is left
to the next check; where the beginning was pruned meanwhile, the check begins again after that.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from responder.journal.audit import index_check
from responder.journal.audit.checkpoint_marks import Marks, proves, wrongly_pruned
from responder.journal.audit.delivery_counts import Concluded
from responder.journal.audit.differences import Difference
from responder.journal.audit.index_check import Doubt, Page, Row
from responder.journal.audit.replay import Replay
from responder.journal.audit.working_state import settle
from responder.journal.chain import entry_hash
from responder.journal.chain_ends import (
    BadEntry,
    End,
    Readable,
    base_of,
    head_of,
    outside,
    snapshot,
)
from responder.store.database.damage import NOT_AS_WRITTEN, Damaged, undamaged

T = TypeVar("T")

_PAGE = 100
_UNREADABLE_ROWS = "the rows beside the log cannot be read any more"
_UNREADABLE = "it, or a row that belongs to it, cannot be read any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The result of a check: `entries` hold, up to `seq`; `bad` is the first that does not.

    `pruned` is the number of the last entry that was pruned (0: none) and `kept_days` how old it
    was at least (None: not known), `erased` how many entries lost their evidence, `compared` how
    many marks agree. `differs` has the differences between the rows and the log, where they were
    compared, a hundred at most; `differing` is their number.
    """

    portal: str
    entries: int
    erased: int
    pruned: int
    seq: int
    hash: str
    kept_days: int | None = None
    compared: int = 0
    bad: BadEntry | None = None
    differs: tuple[Difference, ...] = ()
    differing: int = 0


def verify(
    database: Readable, portal: str, marks: Marks | None = None, now: datetime | None = None
) -> Verified:
    """Check a portal's chain in itself, against the marks of checkpoints, and the clock."""
    return walk(database, portal, marks or {}, now)[0]


def walk(
    database: Readable,
    portal: str,
    marks: Marks,
    now: datetime | None,
    concluded: Concluded | None = None,
) -> tuple[Verified, Replay]:
    """Check a portal's chain as `verify` does; return the result, and what its entries said.

    Where `concluded` is given, the rows beside the log are compared with the entries too.
    """
    way = _Walk(database, portal, marks, now, concluded)
    try:
        return way.verified(), way.replay
    except Damaged:
        return way.report(BadEntry(way.at.seq + 1, _UNREADABLE)), way.replay


@dataclass(slots=True)
class _Walk:
    """One pass over a chain. `at` is the last entry that holds."""

    database: Readable
    portal: str
    marks: Marks
    now: datetime | None
    concluded: Concluded | None
    base: End = field(default_factory=lambda: End(0, ""))
    at: End = field(default_factory=lambda: End(0, ""))
    erased: int = 0
    doubt: Doubt | None = None
    replay: Replay = field(default_factory=lambda: Replay(End(0, "")))

    def verified(self) -> Verified:
        """Check the chain, again from its new beginning while it is pruned meanwhile."""
        base = self._base()
        while not isinstance(base, BadEntry):
            bad = self._along(base)
            again = self._base()
            if bad is None or again == base:
                return self.report(bad)
            base = again
        return self.report(base)

    def report(self, bad: BadEntry | None) -> Verified:
        """Return the result so far."""
        found = [self.replay.differs]
        if self.concluded is not None:
            found.append(self.concluded.differs)
        differs = [difference for one in found for difference in one.named]
        return Verified(
            portal=self.portal,
            entries=self.at.seq - self.base.seq,
            erased=self.erased,
            pruned=self.base.seq,
            kept_days=self.base.pruning.days if self.base.pruning else None,
            seq=self.at.seq,
            hash=self.at.hash,
            compared=sum(
                seq <= self.at.seq and proves(mark, seq, self.base)
                for seq, mark in self.marks.items()
            ),
            bad=bad,
            differs=tuple(differs),
            differing=sum(one.count for one in found),
        )

    def _base(self) -> End | BadEntry:
        return undamaged(partial(base_of, self.database, self.portal))

    def _along(self, base: End) -> BadEntry | None:
        self.base = self.at = base
        self.erased = 0
        self.doubt = None
        self.replay = Replay(base, self.concluded)
        head, stray = self._read(partial(_ends, portal=self.portal, after=base.seq))
        if stray is not None and stray.seq <= base.seq:
            return stray
        bad = self._wrong_mark() or wrongly_pruned(base, self.marks, self.now)
        bad = bad or self._entries(head)
        if bad is not None:
            return bad
        if self.doubt is not None:
            return BadEntry(self.doubt.seq, self.doubt.why)
        if self.at.hash != head.hash:
            return BadEntry(head.seq, "the head of the chain has another hash")
        if self.concluded is not None and stray is None:
            self._settle()
        return stray or self._cut_off()

    def _settle(self) -> None:
        """Compare the rows beside the log with the entries."""
        try:
            self._read(partial(settle, portal=self.portal, replay=self.replay))
        except Damaged:
            self.replay.differs.add("rows", f"of {self.portal}", _UNREADABLE_ROWS)

    def _entries(self, head: End) -> BadEntry | None:
        size = _PAGE
        while self.at.seq < head.seq:
            end = min(self.at.seq + size, head.seq)
            fetch = partial(_page_of, portal=self.portal, after=self.at.seq, end=end)
            try:
                page = self._read(fetch)
            except Damaged:
                if size == 1:
                    return BadEntry(self.at.seq + 1, _UNREADABLE)
                size = 1  # to find out which of them it is
                continue
            if bad := self._page(page):
                return bad
        return None

    def _page(self, page: Page) -> BadEntry | None:
        if not page.entries:
            return BadEntry(self.at.seq + 1, "the entry is missing")
        for entry in page.entries:
            expected = self.at.seq + 1
            if entry.seq != expected:
                return BadEntry(expected, "the entry is missing")
            try:
                bad = self._check(page, entry)
            except NOT_AS_WRITTEN:
                bad = BadEntry(expected, _UNREADABLE)
            if bad is not None:
                return bad
        return None

    def _check(self, page: Page, entry: Row) -> BadEntry | None:
        """Check one entry, and advance to it."""
        if why := self._wrong(page, entry):
            return BadEntry(entry.seq, why)
        self.doubt = self.doubt or index_check.doubt(page, entry)
        self.at = End(entry.seq, entry.hash)
        self.erased += _is_erased(page, entry.seq)
        if self.doubt is not None and self.doubt.until <= entry.seq:
            return BadEntry(self.doubt.seq, self.doubt.why)
        return self._wrong_mark()

    def _wrong(self, page: Page, entry: Row) -> str | None:
        digest = entry_hash(self.at.hash, entry.portal, entry.seq, entry.kind, entry.at, entry.body)
        if digest != entry.hash:
            return "the entry was changed, or stands in another's place"
        body = json.loads(entry.body)
        return index_check.wrong(page, entry, body, self.base.seq) or self.replay.add(
            entry, body, page
        )

    def _wrong_mark(self) -> BadEntry | None:
        marked = self.marks.get(self.at.seq)
        if marked is None or marked.hash == self.at.hash:
            return None
        return BadEntry(
            self.at.seq,
            "a checkpoint has another hash here: this entry or an earlier one was changed",
        )

    def _cut_off(self) -> BadEntry | None:
        last = max(self.marks, default=0)
        if last <= self.at.seq:
            return None
        return BadEntry(
            self.at.seq + 1, f"the chain was cut off: a checkpoint has entries up to {last}"
        )

    def _read(self, fn: Callable[[Connection], T]) -> T:
        return undamaged(partial(self.database.read, fn))


def _ends(conn: Connection, portal: str, after: int) -> tuple[End, BadEntry | None]:
    snapshot(conn)
    head = head_of(conn, portal)
    return head, outside(conn, portal, after, head.seq)


def _page_of(conn: Connection, portal: str, after: int, end: int) -> Page:
    snapshot(conn)
    return index_check.read(conn, portal, after, end)


def _is_erased(page: Page, seq: int) -> bool:
    proof = page.evidence.get(seq)
    return proof is not None and index_check.erased_by(proof) is not None
