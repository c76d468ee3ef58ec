"""Corrects due times that were written while our clock was ahead, so that nothing waits for days.

A clock that was a day ahead for a minute leaves due times a day in the future. An open stop records
when its time began (`postponed_at`), so its wait starts anew from now with its full length. Second
looks, verifications and notices wait for seconds, so they become due at once.
"""

from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, Connection, and_, select, true, update

from responder.store.database.portal_tables import TO_TELL, tellings
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

AHEAD = timedelta(minutes=1)  # no wait began so far in the future; sound clocks differ by less
LONGEST_LOOK = timedelta(minutes=1)
LONGEST_NOTICE = timedelta(days=1)
LONGEST_WATCH = timedelta(days=1)
LONGEST_TELLING = timedelta(days=1)


def is_due(conn: Connection, portal: str, now: datetime) -> bool:
    """Return whether some due time of the portal lies further in the future than any can."""
    stops = select(decisions.c.seq).where(_ahead(portal, now)).limit(1)
    if conn.execute(stops).first() is not None:
        return True
    return any(
        conn.execute(select(column).where(late).limit(1)).first() is not None
        for column, late in _late(portal, now)
    )


def rewind(tx: Connection, portal: str, now: datetime) -> int:
    """Correct the portal's due times too far in the future; return how many stops had one."""
    moved = _stops(tx, portal, now)
    for column, late in _late(portal, now):
        tx.execute(update(column.table).where(late).values({column: now}))
    return moved


def _late(portal: str, now: datetime) -> list[tuple[Column[datetime], ColumnElement[bool]]]:
    """Return each column of due times, with the SQL condition for those too far in the future."""
    waits = (
        (looks.c.due_at, LONGEST_LOOK, true()),
        (decisions.c.verify_at, LONGEST_LOOK, TO_VERIFY),
        (notices.c.due_at, LONGEST_NOTICE, true()),
        (watched.c.look_at, LONGEST_WATCH, WATCHING),
        (tellings.c.due_at, LONGEST_TELLING, TO_TELL),
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
