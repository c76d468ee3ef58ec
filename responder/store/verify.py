"""The check of a chain: what was changed, removed, swapped or inserted, and where.

Entries are read in order, a hundred a read, and hashed again (`chain`); what hangs on each is held
against it (`proofs`). The first place where something is not so is returned. A chain that was cut
off at its end, or written anew as a whole, holds in itself: for that there are *marks*, numbers and
hashes of entries that were kept elsewhere (`audit`).

It runs beside a service that appends, prunes and erases. What is appended meanwhile is left to the
next time; where the beginning was pruned meanwhile, it begins anew behind that.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError as SQLDatabaseError

from responder.store import proofs
from responder.store.chain import entry_hash
from responder.store.database import StoreUnavailable
from responder.store.ends import BadEntry as BadEntry
from responder.store.ends import End, Readable, base_of, head_of, outside, snapshot
from responder.store.marks import Marks, proves, wrongly_pruned
from responder.store.proofs import Doubt, Page, Row
from responder.store.told import Told

T = TypeVar("T")

_PAGE = 100
_UNREADABLE = "it, or what hangs on it, cannot be read any more"
_NOT_AS_WRITTEN = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


class _Damaged(Exception):  # noqa: N818 -- it says a state, not a mistake
    """Something in the database is not what can ever have been written there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a check found: `entries` that hold, up to `seq`; `bad` is the first that does not.

    `pruned` is the number of the last entry that was pruned (0: none) and `kept_days` how old it
    was at least (None: not known), `erased` how many entries lost their evidence, `compared` how
    many marks were found to agree.
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


def verify_chain(database: Readable, portal: str) -> BadEntry | None:
    """Hold a portal's chain against itself; return the first entry that is wrong, or None."""
    return verify(database, portal).bad


def verify(
    database: Readable, portal: str, marks: Marks | None = None, now: datetime | None = None
) -> Verified:
    """Hold a portal's chain against itself, against the marks of checkpoints, and the clock."""
    walk = _Walk(database, portal, marks or {}, now)
    try:
        return walk.verified()
    except _Damaged:
        return walk.report(BadEntry(walk.at.seq + 1, _UNREADABLE))


@dataclass(slots=True)
class _Walk:
    """One way along a chain. `at` is the last entry that holds."""

    database: Readable
    portal: str
    marks: Marks
    now: datetime | None
    base: End = field(default_factory=lambda: End(0, ""))
    at: End = field(default_factory=lambda: End(0, ""))
    erased: int = 0
    doubt: Doubt | None = None
    told: Told = field(default_factory=lambda: Told(0))

    def verified(self) -> Verified:
        """Go along the chain, anew for as long as its beginning moves away."""
        base = self._base()
        while not isinstance(base, BadEntry):
            bad = self._along(base)
            again = self._base()
            if bad is None or again == base:
                return self.report(bad)
            base = again
        return self.report(base)

    def report(self, bad: BadEntry | None) -> Verified:
        """Say how far it went."""
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
        )

    def _base(self) -> End | BadEntry:
        return _undamaged(partial(base_of, self.database, self.portal))

    def _along(self, base: End) -> BadEntry | None:
        self.base = self.at = base
        self.erased = 0
        self.doubt = None
        self.told = Told(base.seq)
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
        return stray or self._cut_off()

    def _entries(self, head: End) -> BadEntry | None:
        size = _PAGE
        while self.at.seq < head.seq:
            end = min(self.at.seq + size, head.seq)
            fetch = partial(_page_of, portal=self.portal, after=self.at.seq, end=end)
            try:
                page = self._read(fetch)
            except _Damaged:
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
                bad = self._held(page, entry)
            except _NOT_AS_WRITTEN:
                bad = BadEntry(expected, _UNREADABLE)
            if bad is not None:
                return bad
        return None

    def _held(self, page: Page, entry: Row) -> BadEntry | None:
        """Hold one entry against all there is, and go on to it."""
        if why := self._wrong(page, entry):
            return BadEntry(entry.seq, why)
        self.doubt = self.doubt or proofs.doubt(page, entry)
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
        return proofs.wrong(page, entry, body, self.base.seq) or self.told.hear(
            entry, body, page.evidence.get(entry.seq)
        )

    def _wrong_mark(self) -> BadEntry | None:
        marked = self.marks.get(self.at.seq)
        if marked is None or marked.hash == self.at.hash:
            return None
        return BadEntry(
            self.at.seq, "a checkpoint has another hash here: it, or what is before, is not the old"
        )

    def _cut_off(self) -> BadEntry | None:
        last = max(self.marks, default=0)
        if last <= self.at.seq:
            return None
        return BadEntry(
            self.at.seq + 1, f"the chain was cut off: a checkpoint has entries up to {last}"
        )

    def _read(self, fn: Callable[[Connection], T]) -> T:
        return _undamaged(partial(self.database.read, fn))


def _ends(conn: Connection, portal: str, after: int) -> tuple[End, BadEntry | None]:
    snapshot(conn)
    head = head_of(conn, portal)
    return head, outside(conn, portal, after, head.seq)


def _page_of(conn: Connection, portal: str, after: int, end: int) -> Page:
    snapshot(conn)
    return proofs.read(conn, portal, after, end)


def _is_erased(page: Page, seq: int) -> bool:
    proof = page.evidence.get(seq)
    return proof is not None and proofs.erased_by(proof) is not None


def _undamaged(read: Callable[[], T]) -> T:
    try:
        return read()
    except _NOT_AS_WRITTEN:
        raise _Damaged from None
    except StoreUnavailable as error:
        if _is_damage(error.__cause__):
            raise _Damaged from None
        raise


def _is_damage(cause: BaseException | None) -> bool:
    """Tell a page or a text of a SQLite file that is broken from a database that is away."""
    return type(cause) is SQLDatabaseError or "UTF-8" in str(cause)
