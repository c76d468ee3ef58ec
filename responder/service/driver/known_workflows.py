"""Reads what the journal holds on workflows that were just read from the portal."""

from collections.abc import Sequence
from functools import partial

from responder.journal import open_stops
from responder.judge.plans import Known
from responder.model import OPEN_OUTCOMES, STOPPED, WOULD_OUTCOMES
from responder.rules.revision import same
from responder.store.database.database import Connection, Database
from responder.store.limits import APPROVAL

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
    known = open_stops.known(conn, portal, ids)
    acting = [one for one in known if one.outcome in OPEN_OUTCOMES and not one.shadow]
    return Known(
        under_way={one.workflow_id for one in acting},
        asked={one.workflow_id for one in acting if one.hold == APPROVAL},
        unchanged={
            (one.workflow_id, one.rule, one.action)
            for one in known
            if one.outcome in WOULD_OUTCOMES and same(one.ruleset, revision)
        },
        shadows={
            (one.workflow_id, one.rule)
            for one in known
            if one.outcome in OPEN_OUTCOMES and one.shadow
        },
        stopped={one.workflow_id for one in known if one.outcome in STOPPED},
    )
