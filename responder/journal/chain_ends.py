"""Finds the beginning and the end of a portal's chain, and rows that lie outside of it.

A chain begins with entry 1, or, once it was pruned, after the entry that its newest marker (an
entry of the kind `prune`) names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy import Row as Record

from responder.journal.chain import GENESIS, entry_hash
from responder.store.database.tables import chains, decisions, entries, evidence

T = TypeVar("T")

EXCLUSIVE = "responder_exclusive"  # execution option of a connection that locks out all writers

_PAGE = 1_000
_MILLISECOND = timedelta(milliseconds=1)
_MISSING = "the entry is missing"


class Readable(Protocol):
    """A database, or an open transaction of one, that can be read."""

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run on a connection that reads."""


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first number of a chain at which something is not as it was written."""

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """The newest marker: its number, its time, and the instant that all it pruned is older than.

    `days` were kept; None where the version that wrote it recorded none.
    """

    seq: int
    at: datetime
    before: datetime
    days: int | None


@dataclass(frozen=True, slots=True)
class End:
    """The number and the hash of an entry: the last of a chain, or the last that was pruned."""

    seq: int
    hash: str
    pruning: Pruning | None = None


def snapshot(conn: Connection) -> None:
    """Make all statements of this transaction read one state; call this before any of them."""
    if conn.dialect.name == "postgresql" and not conn.get_execution_options().get(EXCLUSIVE):
        conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def portals(conn: Connection) -> list[str]:
    """Return the portals of which anything is in the log, by name."""
    named: set[str] = set()
    for table in (chains, entries, evidence, decisions):
        query = select(func.min(table.c.portal))
        while (name := conn.execute(query).scalar()) is not None:
            named.add(name)
            query = select(func.min(table.c.portal)).where(table.c.portal > name)
    return sorted(named)


def head_of(conn: Connection, portal: str) -> End:
    """Return the last entry as the row of the chain's head has it; number 0 where there is none."""
    found = conn.execute(
        select(chains.c.seq, chains.c.hash).where(chains.c.portal == portal)
    ).one_or_none()
    return End(0, GENESIS) if found is None else End(found.seq, found.hash)


def base_of(database: Readable, portal: str) -> End | BadEntry:
    """Return the last entry that was pruned; number 0 where nothing was."""
    first = database.read(partial(_first, portal=portal))
    while True:
        found = _base(database, portal, first)
        again = database.read(partial(_first, portal=portal))
        if again == first:
            return found
        first = again  # it was pruned between the reads


def instant_of(conn: Connection, portal: str, seq: int) -> datetime | None:
    """Return when an entry was written, None where there is no entry with this number."""
    query = select(entries.c.at).where(entries.c.portal == portal, entries.c.seq == seq)
    return conn.execute(query).scalar()


def _first(conn: Connection, portal: str) -> int | None:
    query = select(func.min(entries.c.seq)).where(entries.c.portal == portal)
    return conn.execute(query).scalar()


def _base(database: Readable, portal: str, first: int | None) -> End | BadEntry:
    if first is None or first == 1:
        return End(0, GENESIS)
    if first < 1:
        return BadEntry(first, "entries stand outside the chain")
    marker = _newest_marker(database, portal)
    if marker is None:
        return BadEntry(1, _MISSING)
    body = json.loads(marker.body)
    if marker.previous is not None and not _is_whole(marker):
        return BadEntry(marker.seq, "the entry was changed, or stands in another's place")
    if body["through"] < first - 1:
        return BadEntry(body["through"] + 1, _MISSING)
    if body["through"] > first - 1:
        return BadEntry(first, "the entry was pruned, and is there again")
    pruning = _pruning(marker.seq, marker.at, body)
    oldest = database.read(partial(instant_of, portal=portal, seq=first))
    if pruning.days is not None and (why := _too_much(pruning, oldest)):
        return BadEntry(marker.seq, why)
    return End(body["through"], body["hash"], pruning)


def _pruning(seq: int, at: datetime, body: Mapping[str, Any]) -> Pruning:
    days = body.get("days")
    if days is not None and type(days) is not int:
        raise TypeError("days are no number")
    return Pruning(seq, at, datetime.fromisoformat(body["before"]), days)


def _too_much(pruning: Pruning, oldest: datetime | None) -> str | None:
    """Return why a prune removed more than it may (`checkpoint_marks` has the rules), or None."""
    assert pruning.days is not None
    if pruning.days < 1 or pruning.before > pruning.at - timedelta(days=pruning.days):
        return "it prunes what is younger than the days that it says were kept"
    if oldest is not None and oldest - pruning.before >= _MILLISECOND:  # it is cut to those
        return "it prunes the log, and does not leave the last entry that was old enough"
    return None


def outside(conn: Connection, portal: str, after: int, last: int) -> BadEntry | None:
    """Return a row whose number the chain does not have, before its base or after its end."""
    for table in (entries, evidence, decisions):
        lowest, highest = (  # asked for both at once, SQLite goes through all
            conn.execute(select(end(table.c.seq)).where(table.c.portal == portal)).scalar()
            for end in (func.min, func.max)
        )
        if lowest is None or highest is None:
            continue
        if lowest <= after or highest > last:
            stray = lowest if lowest <= after else highest
            return BadEntry(stray, f"{table.name} stand outside the chain")
    return None


def _newest_marker(database: Readable, portal: str) -> Record[tuple[object, ...]] | None:
    """Return the newest `prune` entry, searched backwards from the head in short reads."""
    # a chain that is pruned has its marker near the head, for it is pruned every day
    before: int | None = database.read(partial(head_of, portal=portal)).seq + 1
    while before is not None:
        marker, before = database.read(partial(_marker_before, portal=portal, before=before))
        if marker is not None:
            return marker
    return None


def _marker_before(
    conn: Connection, portal: str, before: int
) -> tuple[Record[tuple[object, ...]] | None, int | None]:
    window = conn.execute(
        select(entries.c.seq, entries.c.kind)
        .where(entries.c.portal == portal, entries.c.seq < before)
        .order_by(entries.c.seq.desc())
        .limit(_PAGE)
    ).all()
    found = next((row.seq for row in window if row.kind == "prune"), None)
    if found is None:
        return None, window[-1].seq if window else None
    one_before = entries.alias()
    previous = select(one_before.c.hash).where(
        one_before.c.portal == portal, one_before.c.seq == found - 1
    )
    marker = conn.execute(
        select(entries, previous.scalar_subquery().label("previous")).where(
            entries.c.portal == portal, entries.c.seq == found
        )
    ).one()
    return marker, None


def _is_whole(marker: Record[tuple[object, ...]]) -> bool:
    """Return whether a marker's hash follows from the entry before it."""
    digest = entry_hash(
        marker.previous, marker.portal, marker.seq, marker.kind, marker.at, marker.body
    )
    return bool(digest == marker.hash)
