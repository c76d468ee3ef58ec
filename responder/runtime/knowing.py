"""Reads what the journal holds on workflows that were just read from the portal."""

from collections.abc import Sequence
from functools import partial

from responder.runtime.planning import Known
from responder.store import approvals, journal
from responder.store.database import Connection, Database

IDS_AT_ONCE = 2_000  # asked about in one read of the store, which must be short


async def known_of(database: Database, portal: str, ids: Sequence[str], revision: str) -> Known:
    """Say what a judgement by this revision of the rules must know of these workflows."""
    known = Known()
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        read = partial(_read, portal=portal, ids=some, revision=revision)
        known = known.also(await database.reading(read))
    return known


def _read(conn: Connection, portal: str, ids: Sequence[str], revision: str) -> Known:
    under_way = journal.under_way(conn, portal, ids)
    return Known(
        under_way=under_way,
        asked=approvals.held(conn, portal, under_way),
        unchanged=journal.would(conn, portal, ids, revision),
        shadows=journal.shadows(conn, portal, ids),
    )
