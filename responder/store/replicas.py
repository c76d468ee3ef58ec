"""Which processes are alive beside each other, by which rules, and what each of them drives.

A replica says every second that it is alive, in the transaction that renews its leases: so all of
it ends at the same instant when it dies. Rows of `replicas` decide nothing: they tell how many
there are to share the portals. Who may write for a portal is its lease alone (`leases`).
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
class Standing:
    """Who is alive, with the revision of its rules, and who drives which portal.

    Who drives a portal and does not say that it is alive has no revision: it is leaving. `at` is
    the instant on the database's clock.
    """

    at: datetime
    alive: Mapping[str, str]
    drivers: Mapping[str, str]


def alike(one: str, other: str) -> bool:
    """Tell whether two replicas go by the same rules, in the same mode."""
    (rules, _, mode), (other_rules, _, other_mode) = one.partition(" "), other.partition(" ")
    return mode == other_mode and same(rules, other_rules)


NOBODY = Standing(instant(0), {}, {})


def look(conn: Connection) -> Standing:
    """Read who is alive and who drives what."""
    now = now_of(conn)
    driven = select(leases.c.portal, leases.c.holder).where(leases.c.expires_at > now)
    said = select(replicas.c.holder, replicas.c.ruleset).where(replicas.c.expires_at > now)
    drivers = {row.portal: row.holder for row in conn.execute(driven)}
    alive = {row.holder: row.ruleset for row in conn.execute(said)}
    return Standing(instant(now), dict.fromkeys(drivers.values(), "") | alive, drivers)


def say(tx: Connection, holder: str, ruleset: str, ttl_seconds: float) -> None:
    """Say that this replica is alive, for so long at least."""
    now = now_of(tx)
    values = {"ruleset": ruleset, "expires_at": now + micros_of(ttl_seconds)}
    tx.execute(
        insert(tx, replicas)
        .values(holder=holder, **values)
        .on_conflict_do_update(index_elements=["holder"], set_=values)
    )


def renew(tx: Connection, held: Collection[Lease], holder: str, ttl_seconds: float) -> set[str]:
    """Hold all these leases for longer; return the portals of those that nobody has taken."""
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


def leave(tx: Connection, holder: str) -> None:
    """Say that this replica ends, and forget with it those that died without saying so."""
    gone = (replicas.c.holder == holder) | (
        replicas.c.expires_at < now_of(tx) - micros_of(_KEPT_SECONDS)
    )
    tx.execute(delete(replicas).where(gone))
