"""Finds the portals that have something to do, in one short read for all of them.

The read only names portals; each driver then reads its own work.
"""

from datetime import datetime

from sqlalchemy import Connection, exists, or_, select

from responder.store.database.portal_tables import UNFINISHED, leases, restarts
from responder.store.database.tables import (
    OPEN,
    TO_VERIFY,
    UNCONCLUDED,
    decisions,
    deliveries,
    looks,
    sweeps,
)
from responder.store.sweep_runs import ASKED_FOR


def portals(conn: Connection, now: datetime) -> set[str]:
    """Return the portals with deliveries, looks, stops, sweeps or restarts that are due."""
    portal = leases.c.portal
    asked = select(sweeps.c.portal).where(
        sweeps.c.state.in_(("waiting", "running")), sweeps.c.at >= now - ASKED_FOR
    )
    found = conn.execute(
        select(portal).where(
            or_(
                exists().where(deliveries.c.portal == portal, UNCONCLUDED),
                exists().where(looks.c.portal == portal, looks.c.due_at <= now),
                exists().where(decisions.c.portal == portal, OPEN, decisions.c.due_at <= now),
                exists().where(
                    decisions.c.portal == portal, TO_VERIFY, decisions.c.verify_at <= now
                ),
                portal.in_(asked),
                exists().where(restarts.c.portal == portal, UNFINISHED),
            )
        )
    )
    return set(found.scalars())
