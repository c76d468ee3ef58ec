"""Puts right what was put off by a clock that was ahead, so that nothing waits longer than it must.

A clock that was a day ahead for a minute leaves instants a day in the future. What was put off then
waits as long from now as it was to wait then: an open stop keeps when its time began
(`postponed_at`), and everything else here waits for seconds.
"""

from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, Connection, and_, select, true, update

from responder.store.database.tables import (
    OPEN,
    TO_VERIFY,
    WATCHING,
    approvals,
    decisions,
    looks,
    notices,
    watched,
)
from responder.store.limits import APPROVAL

AHEAD = timedelta(minutes=1)  # so far in the future nothing begins; clocks differ by less
LONGEST_LOOK = timedelta(minutes=1)
LONGEST_NOTICE = timedelta(days=1)
LONGEST_WATCH = timedelta(days=1)


def is_due(conn: Connection, portal: str, now: datetime) -> bool:
    """Tell whether something waits since a moment in the future, or for longer than it can."""
    stops = select(decisions.c.seq).where(_ahead(portal, now)).limit(1)
    if conn.execute(stops).first() is not None:
        return True
    return any(
        conn.execute(select(column).where(late).limit(1)).first() is not None
        for column, late in _late(portal, now)
    )


def rewind(tx: Connection, portal: str, now: datetime) -> int:
    """Move what was put off from a moment in the future; return how many stops that are."""
    moved = _stops(tx, portal, now)
    for column, late in _late(portal, now):
        tx.execute(update(column.table).where(late).values({column: now}))
    return moved


def _late(portal: str, now: datetime) -> list[tuple[Column[datetime], ColumnElement[bool]]]:
    """Return what else waits until an instant, and in SQL which of it waits for too long."""
    waits = (
        (looks.c.due_at, LONGEST_LOOK, true()),
        (decisions.c.verify_at, LONGEST_LOOK, TO_VERIFY),
        (notices.c.due_at, LONGEST_NOTICE, true()),
        (watched.c.look_at, LONGEST_WATCH, WATCHING),
    )
    return [
        (column, and_(column.table.c.portal == portal, waiting, column > now + longest))
        for column, longest, waiting in waits
    ]


def _ahead(portal: str, now: datetime) -> ColumnElement[bool]:
    return and_(decisions.c.portal == portal, OPEN, decisions.c.postponed_at > now + AHEAD)


def _stops(tx: Connection, portal: str, now: datetime) -> int:
    found = tx.execute(
        select(
            decisions.c.seq,
            decisions.c.n,
            decisions.c.due_at,
            decisions.c.postponed_at,
            decisions.c.hold,
        ).where(_ahead(portal, now))
    ).all()
    for seq, n, due_at, postponed_at, hold in found:
        place = and_(decisions.c.portal == portal, decisions.c.seq == seq, decisions.c.n == n)
        due = None if due_at is None else now + (due_at - postponed_at)
        tx.execute(
            update(decisions).where(place).values(due_at=due, postponed_at=now, ready_at=None)
        )
        if hold == APPROVAL:
            asked = and_(approvals.c.portal == portal, approvals.c.seq == seq, approvals.c.n == n)
            tx.execute(update(approvals).where(asked).values(lapses_at=due))
    return len(found)
