"""Stores which process drives a portal, and which processes are alive beside each other.

A lease is a row with a holder, an expiry on the database's clock, and a fencing number that grows
with every claim. Whoever writes for the portal checks it in the same transaction: number and holder
must still be the row's, and the lease not expired. The check locks the row until the transaction
ends, so nobody can claim the lease between the check and the commit, and a process that was stopped
for a minute can commit nothing.

A claim never waits: a locked row belongs to somebody who is writing at this moment.

A replica writes every second that it is alive, in the transaction that renews its leases, so all of
it expires at the same instant when the process dies. Rows of `replicas` decide nothing: they say
how many replicas share the portals. The right to write for a portal is its lease alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select, tuple_, update

from responder.rules.revision import same
from responder.store.database.clock import micros_of, now_of
from responder.store.database.columns import instant
from responder.store.database.portal_tables import leases, replicas
from responder.store.database.tables import insert

_KEPT_SECONDS = 3_600


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


def driver(conn: Connection, portal: str) -> str | None:
    """Return the holder of the portal's lease, or None where nobody drives it now."""
    found = conn.execute(select(leases).where(leases.c.portal == portal)).one_or_none()
    if found is None or found.expires_at <= now_of(conn):
        return None
    return str(found.holder)


def renew(tx: Connection, held: Collection[Lease], holder: str, ttl_seconds: float) -> set[str]:
    """Extend the leases that are still the holder's; return their portals."""
    if not held:
        return set()
    ends = now_of(tx) + micros_of(ttl_seconds)
    known = tuple_(leases.c.portal, leases.c.fence).in_([(one.portal, one.fence) for one in held])
    return set(
        tx.execute(
            update(leases)
            .where(known, leases.c.holder == holder)
            .values(expires_at=ends)
            .returning(leases.c.portal)
        ).scalars()
    )


@dataclass(frozen=True, slots=True)
class Replicas:
    """The living replicas with the revision of their rules, and the driver of each portal.

    `alive` maps a replica to its revision, `drivers` a portal to its replica; `at` is the
    database's time.
    """

    at: datetime
    alive: Mapping[str, str]
    drivers: Mapping[str, str]

    def driven_by(self, holder: str) -> int:
        """Count the portals that a replica drives."""
        return sum(driver == holder for driver in self.drivers.values())


def have_same_rules(one: str, other: str) -> bool:
    """Return whether two replicas have the same rules and mode.

    Each text is a revision, followed by a space and the mode unless it is `enforce`.
    """
    (rules, _, mode), (other_rules, _, other_mode) = one.partition(" "), other.partition(" ")
    return mode == other_mode and same(rules, other_rules)


def mode_of(rules_and_mode: str) -> str:
    """Return the mode in the text of a replica, which `have_same_rules` describes."""
    return rules_and_mode.partition(" ")[2] or "enforce"


NO_REPLICAS = Replicas(instant(0), {}, {})


def living(conn: Connection) -> Replicas:
    """Read the living replicas, and who drives what."""
    now = now_of(conn)
    driven = select(leases.c.portal, leases.c.holder).where(leases.c.expires_at > now)
    alive_now = select(replicas.c.holder, replicas.c.ruleset).where(replicas.c.expires_at > now)
    drivers = {row.portal: row.holder for row in conn.execute(driven)}
    alive = {row.holder: row.ruleset for row in conn.execute(alive_now)}
    # a driver that has removed its row is leaving: it has no revision, and owns nothing
    return Replicas(instant(now), dict.fromkeys(drivers.values(), "") | alive, drivers)


def record_alive(tx: Connection, holder: str, ruleset: str, ttl_seconds: float) -> None:
    """Write that this replica is alive, and stays so for `ttl_seconds` at least."""
    now = now_of(tx)
    values = {"ruleset": ruleset, "expires_at": now + micros_of(ttl_seconds)}
    tx.execute(
        insert(tx, replicas)
        .values(holder=holder, **values)
        .on_conflict_do_update(index_elements=["holder"], set_=values)
    )


def remove_replica(tx: Connection, holder: str) -> None:
    """Delete this replica's row, and the rows of those that died an hour ago or more."""
    gone = (replicas.c.holder == holder) | (
        replicas.c.expires_at < now_of(tx) - micros_of(_KEPT_SECONDS)
    )
    tx.execute(delete(replicas).where(gone))
