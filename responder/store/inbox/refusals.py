"""Counts refused deliveries by hour, portal and reason; nothing else of them is kept.

The portal is the one that the delivery claimed to come from. Anyone can claim that, and whatever
shows these counts says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, cast, delete, func, select

from responder.store.database.tables import insert, refusals

NOBODYS = ""
KEPT = timedelta(days=2)
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The deliveries refused within a day for one reason: their count, and the time of the last.

    `portal` is the one whose address they named, or empty where they named none of ours. `since` is
    the hour of the first.
    """

    portal: str
    why: str
    count: int
    last_at: datetime
    since: datetime


def note(tx: Connection, counts: Mapping[tuple[str, str], int], at: datetime) -> None:
    """Add counts by (portal, reason), and delete those that are too old."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    for (portal, why), count in sorted(counts.items()):
        first = insert(tx, refusals).values(
            portal=portal, why=why, hour=hour, count=count, last_at=at
        )
        tx.execute(
            first.on_conflict_do_update(
                index_elements=["portal", "why", "hour"],
                set_={"count": refusals.c.count + count, "last_at": at},
            )
        )
    tx.execute(delete(refusals).where(refusals.c.hour < at - KEPT))


def lately(conn: Connection, now: datetime) -> dict[str, list[Refused]]:
    """Return, by portal, what was refused within a day, the most frequent reason first."""
    # PostgreSQL adds big integers up to a decimal
    count = cast(func.sum(refusals.c.count), BigInteger).label("count")
    found = conn.execute(
        select(
            refusals.c.portal,
            refusals.c.why,
            count,
            func.max(refusals.c.last_at).label("last_at"),
            func.min(refusals.c.hour).label("since"),
        )
        .where(refusals.c.hour > now - LATELY)
        .group_by(refusals.c.portal, refusals.c.why)
        .order_by(refusals.c.portal, count.desc(), refusals.c.why)
    )
    by_portal: dict[str, list[Refused]] = {}
    for record in found:
        by_portal.setdefault(record.portal, []).append(Refused(**record._mapping))
    return by_portal
