"""Stores which documents' offline events are being taken from the portal at this moment.

A portal that cannot reserve rows deletes them when they are taken. Their events are stored before
that, and judged only after it: a change that happens between the two is merged into the row, and
goes with it. So while the taking is not confirmed, the documents are not judged.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from responder.store.canonical_json import canonical
from responder.store.database.portal_tables import offline_takings
from responder.store.database.tables import insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Documents (`deal:759`) whose events were sent for at `sent_at`, without an answer yet."""

    documents: frozenset[str]
    sent_at: datetime


def begin(tx: Connection, portal: str, documents: Collection[str], sent_at: datetime) -> None:
    """Write a taking that is sent next, in the place of an earlier one."""
    values = {"documents": canonical(sorted(documents)), "sent_at": sent_at}
    tx.execute(
        insert(tx, offline_takings)
        .values(portal=portal, **values)
        .on_conflict_do_update(index_elements=["portal"], set_=values)
    )


def end(tx: Connection, portal: str) -> None:
    """Delete the taking of a portal: it was confirmed, or can no longer be under way."""
    tx.execute(delete(offline_takings).where(offline_takings.c.portal == portal))


def under_way(conn: Connection, portal: str) -> Taking | None:
    """Return the taking of a portal that was not confirmed, if any."""
    query = select(offline_takings).where(offline_takings.c.portal == portal)
    found = conn.execute(query).one_or_none()
    if found is None:
        return None
    return Taking(documents=frozenset(json.loads(found.documents)), sent_at=found.sent_at)
