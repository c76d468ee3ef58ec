"""Stores which processes are alive beside each other, their rules, and which portals each drives.

A replica writes every second that it is alive, in the transaction that renews its leases, so all of
it expires at the same instant when the process dies. Rows of `replicas` decide nothing: they say
how many replicas share the portals. The right to write for a portal is its lease alone (`leases`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, tuple_, update

from responder.rules.revision import same
from responder.store.database.clock import micros_of, now_of
from responder.store.database.columns import instant
from responder.store.database.tables import insert, leases, replicas
from responder.store.leases import Lease

_KEPT_SECONDS = 3_600


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


NO_REPLICAS = Replicas(instant(0), {}, {})


def read(conn: Connection) -> Replicas:
    """Read the living replicas, and who drives what."""
    now = now_of(conn)
    driven = select(leases.c.portal, leases.c.holder).where(leases.c.expires_at > now)
    living = select(replicas.c.holder, replicas.c.ruleset).where(replicas.c.expires_at > now)
    drivers = {row.portal: row.holder for row in conn.execute(driven)}
    alive = {row.holder: row.ruleset for row in conn.execute(living)}
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


def remove(tx: Connection, holder: str) -> None:
    """Delete this replica's row, and the rows of those that died an hour ago or more."""
    gone = (replicas.c.holder == holder) | (
        replicas.c.expires_at < now_of(tx) - micros_of(_KEPT_SECONDS)
    )
    tx.execute(delete(replicas).where(gone))
