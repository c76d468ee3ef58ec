"""Stores which process drives a portal, and what the next driver begins with.

That is its request bucket, its open breakers, and the questions that the portal answers otherwise
than responder relies on: while there are any, it is observed, not acted upon (`withheld`). Each of
these is a switch with the name of portal and question, so that every replica and command sees it.

A lease is a row with a holder, an expiry on the database's clock, and a fencing number that grows
with every claim. Whoever writes for the portal checks it in the same transaction: number and holder
must still be the row's, and the lease not expired. The check locks the row until the transaction
ends, so nobody can claim the lease between the check and the commit, and a process that was stopped
for a minute can commit nothing.

A claim never waits: a locked row belongs to somebody who is writing at this moment.
"""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, extract, func, select, update

from responder.model import Breaker
from responder.store.database.clock import micros_of, now_of
from responder.store.database.tables import breakers as table
from responder.store.database.tables import buckets, insert, leases, switches

_WITHHELD = "withheld "


class LeaseLost(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: another process may drive the portal now, so nothing more may be written for it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of a holder to drive a portal.

    A database that lost its last seconds may give a fencing number twice, so holder and number must
    both match the row.
    """

    portal: str
    fence: int
    holder: str


def claim(
    tx: Connection, portal: str, holder: str, ttl_seconds: float, *, force: bool = False
) -> Lease | None:
    """Claim the lease if it is free, expired or the holder's own; return None while another has it.

    `force` claims it from anybody: for a SQLite file, whose lock has proved already that no other
    process serves it.
    """
    now = now_of(tx)
    found = tx.execute(
        select(leases).where(leases.c.portal == portal).with_for_update(skip_locked=True)
    ).one_or_none()
    ends = now + micros_of(ttl_seconds)
    if found is None:
        first = insert(tx, leases).values(portal=portal, holder=holder, fence=1, expires_at=ends)
        made = tx.execute(first.on_conflict_do_nothing().returning(leases.c.fence)).scalar()
        return None if made is None else Lease(portal, made, holder)
    if not force and found.holder != holder and found.expires_at > now:
        return None
    tx.execute(
        update(leases)
        .where(leases.c.portal == portal)
        .values(holder=holder, fence=found.fence + 1, expires_at=ends)
    )
    return Lease(portal, found.fence + 1, holder)


def release(tx: Connection, lease: Lease) -> None:
    """Release the lease, so that the next driver need not wait until it expires."""
    tx.execute(update(leases).where(_is(lease)).values(holder="", expires_at=0))


def check(tx: Connection, lease: Lease) -> None:
    """Raise LeaseLost unless the lease is held; lock its row until this transaction ends."""
    found = tx.execute(
        select(leases.c.expires_at).where(_is(lease)).with_for_update(read=True)
    ).scalar()
    if found is None or found <= now_of(tx):
        raise LeaseLost(lease.portal)


def _is(lease: Lease) -> ColumnElement[bool]:
    return and_(
        leases.c.portal == lease.portal,
        leases.c.fence == lease.fence,
        leases.c.holder == lease.holder,
    )


def bucket(conn: Connection, portal: str) -> tuple[float, float] | None:
    """Return the stored level of the portal's request bucket, and its age in seconds.

    The age is taken on the database's clock, on which drivers on different machines agree.
    """
    found = conn.execute(
        select(buckets.c.level, buckets.c.at).where(buckets.c.portal == portal)
    ).one_or_none()
    return None if found is None else (found.level, max(0.0, now_of(conn) / 1e6 - found.at))


def save_bucket(tx: Connection, portal: str, level: float) -> None:
    """Write the present level of the portal's request bucket, for the next driver."""
    values = {"level": level, "at": _database_time(tx)}
    tx.execute(
        insert(tx, buckets)
        .values(portal=portal, **values)
        .on_conflict_do_update(index_elements=["portal"], set_=values)
    )


def save_breakers(tx: Connection, portal: str, opened: Collection[Breaker]) -> None:
    """Write the portal's open breakers, and delete its others, for the next driver."""
    methods = {breaker.method for breaker in opened}
    for kept in breakers(tx, portal):
        if kept.method not in methods:
            close_breaker(tx, portal, kept.method)
    for breaker in opened:
        open_breaker(tx, breaker)


def open_breaker(tx: Connection, breaker: Breaker) -> None:
    """Open a breaker, or move its next probe.

    A breaker that is open already keeps its `opened_at`.
    """
    now = {"code": breaker.code, "probe_at": breaker.probe_at, "address": breaker.address}
    tx.execute(
        insert(tx, table)
        .values(portal=breaker.portal, method=breaker.method, opened_at=breaker.opened_at, **now)
        .on_conflict_do_update(index_elements=["portal", "method"], set_=now)
    )


def close_breaker(tx: Connection, portal: str, method: str) -> None:
    """Close a breaker; do nothing where it is not open."""
    tx.execute(delete(table).where(table.c.portal == portal, table.c.method == method))


def breakers(conn: Connection, portal: str | None = None) -> list[Breaker]:
    """Return the open breakers of one portal, or of all."""
    query = select(table).order_by(table.c.portal, table.c.method)
    if portal is not None:
        query = query.where(table.c.portal == portal)
    return [Breaker(**record._mapping) for record in conn.execute(query)]


def withheld(conn: Connection) -> dict[str, dict[str, str]]:
    """Return by portal the questions that it answers otherwise, each with what came."""
    found: dict[str, dict[str, str]] = {}
    query = select(switches.c.name, switches.c.by).where(switches.c.name.startswith(_WITHHELD))
    for name, content in conn.execute(query.order_by(switches.c.name)):
        portal, _, question = str(name).removeprefix(_WITHHELD).partition(" ")
        found.setdefault(portal, {})[question] = str(json.loads(content)["came"])
    return found


def withheld_of(conn: Connection, portal: str, address: str | None) -> dict[str, str]:
    """Return the questions that the portal at this address answers otherwise."""
    begin = f"{_WITHHELD}{portal} "
    query = select(switches.c.name, switches.c.by).where(switches.c.name.startswith(begin))
    found = {}
    for name, content in conn.execute(query.order_by(switches.c.name)):
        kept = json.loads(content)
        if kept["address"] == address:
            found[str(name).removeprefix(begin)] = str(kept["came"])
    return found


def save_withheld(
    tx: Connection, portal: str, found: Mapping[str, str], address: str | None, at: datetime
) -> None:
    """Write which questions a portal answers otherwise, in place of what was written before."""
    tx.execute(delete(switches).where(switches.c.name.startswith(f"{_WITHHELD}{portal} ")))
    for question, came in found.items():
        content = json.dumps({"address": address, "came": came})
        name = f"{_WITHHELD}{portal} {question}"
        tx.execute(insert(tx, switches).values(name=name, at=at, by=content))


def driver(conn: Connection, portal: str) -> str | None:
    """Return the holder of the portal's lease, or None where nobody drives it now."""
    found = conn.execute(select(leases).where(leases.c.portal == portal)).one_or_none()
    if found is None or found.expires_at <= now_of(conn):
        return None
    return str(found.holder)


def _database_time(tx: Connection) -> float | ColumnElement[int]:
    """Return the database's time in seconds, as an expression that an INSERT evaluates."""
    if tx.dialect.name == "postgresql":
        return extract("epoch", func.clock_timestamp())
    return time.time()
