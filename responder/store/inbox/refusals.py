"""Deliveries that were refused, counted by hour, by portal and by why: nothing of them is kept.

Which portal it was is what the delivery said of itself, so anybody can say it: it is told as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select

from responder.store.database.tables import insert, refusals

NOBODYS = ""
KEPT = timedelta(days=2)
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """How many deliveries were refused lately for one reason, and when the last one was.

    `portal` is the one whose address they named, or empty where they named none of ours.
    """

    portal: str
    why: str
    count: int
    last_at: datetime


def note(tx: Connection, counts: Mapping[tuple[str, str], int], at: datetime) -> None:
    """Add what was refused, by portal and why; forget what is old."""
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
    """Return for each portal what was refused within a day, the most frequent first."""
    count = func.sum(refusals.c.count).label("count")
    found = conn.execute(
        select(
            refusals.c.portal, refusals.c.why, count, func.max(refusals.c.last_at).label("last_at")
        )
        .where(refusals.c.hour > now - LATELY)
        .group_by(refusals.c.portal, refusals.c.why)
        .order_by(refusals.c.portal, count.desc(), refusals.c.why)
    )
    told: dict[str, list[Refused]] = {}
    for record in found:
        told.setdefault(record.portal, []).append(Refused(**record._mapping))
    return told
