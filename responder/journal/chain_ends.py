"""Where a portal's chain begins and where it ends, and what stands outside of it.

A chain begins with entry 1, or, once it was pruned, behind the entry that its newest marker names.
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

ALONE = "responder_alone"  # what a connection is told that keeps all others from writing

_PAGE = 1_000
_MILLISECOND = timedelta(milliseconds=1)
_MISSING = "the entry is missing"


class Readable(Protocol):
    """A database, or a transaction of one that is not committed yet."""

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a connection that reads."""


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first number of a chain at which something is not as it was written."""

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class Pruning:
    """What the newest marker says: its number, when it pruned, and what was written before when.

    `days` were kept; None where a version wrote it that did not say.
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
    """Have all statements of this transaction see one state. It must be the first of them.

    Where nobody else can write, as the connection's option says, they do so anyway.
    """
    if conn.dialect.name == "postgresql" and not conn.get_execution_options().get(ALONE):
        conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def portals(conn: Connection) -> list[str]:
    """Return the portals of which there is anything in the log, by name."""
    named: set[str] = set()
    for table in (chains, entries, evidence, decisions):
        query = select(func.min(table.c.portal))
        while (name := conn.execute(query).scalar()) is not None:
            named.add(name)
            query = select(func.min(table.c.portal)).where(table.c.portal > name)
    return sorted(named)


def head_of(conn: Connection, portal: str) -> End:
    """Return the last entry as the chain's head names it; number 0 where there is none."""
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
    """Return when an entry was written, None where there is none of this number."""
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
    """Say what shows that a prune removed more than it may (`checkpoint_marks` has the rules)."""
    assert pruning.days is not None
    if pruning.days < 1 or pruning.before > pruning.at - timedelta(days=pruning.days):
        return "it prunes what is younger than the days that it says were kept"
    if oldest is not None and oldest - pruning.before >= _MILLISECOND:  # it is cut to those
        return "it prunes the log, and does not leave the last entry that was old enough"
    return None


def outside(conn: Connection, portal: str, after: int, last: int) -> BadEntry | None:
    """Find what stands under a number that the chain has not, before it or behind it."""
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
    """Go back from the head in short reads: a chain that is pruned has its marker near it."""
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
    """Tell whether a marker has the hash that it must have behind the entry before it."""
    digest = entry_hash(
        marker.previous, marker.portal, marker.seq, marker.kind, marker.at, marker.body
    )
    return bool(digest == marker.hash)
