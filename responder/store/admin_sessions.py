"""Stores who is logged in to the pages, as rows, so that any replica can check or end a session.

A row's key is the SHA-256 of the token in the cookie, so whoever reads the database cannot log in
with what it holds.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update

from responder.store.database.tables import sessions

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
RENEWED_EVERY = timedelta(minutes=5)  # so that not every page that is read causes a write


def begin(tx: Connection, token: str, name: str, mark: str, at: datetime) -> None:
    """Insert a session, and delete those that are over.

    `mark` is what the caller compares to see that the password is still the same one.
    """
    over = or_(sessions.c.seen_at < at - IDLE, sessions.c.begun_at < at - LONGEST)
    tx.execute(delete(sessions).where(over))
    tx.execute(
        sessions.insert().values(id=_id(token), name=name, mark=mark, begun_at=at, seen_at=at)
    )


def find(conn: Connection, token: str, at: datetime) -> tuple[str, str, bool] | None:
    """Return name and mark of a live session, and whether its `seen_at` is due to be renewed.

    Return None where there is no such session, or where it is over.
    """
    found = conn.execute(
        select(sessions).where(
            sessions.c.id == _id(token),
            sessions.c.seen_at >= at - IDLE,
            sessions.c.begun_at >= at - LONGEST,
        )
    ).one_or_none()
    if found is None:
        return None
    return found.name, found.mark, at - found.seen_at >= RENEWED_EVERY


def mark_seen(tx: Connection, token: str, at: datetime) -> None:
    """Write when a session was last used."""
    tx.execute(update(sessions).where(sessions.c.id == _id(token)).values(seen_at=at))


def end(tx: Connection, token: str) -> None:
    """Delete a session."""
    tx.execute(delete(sessions).where(sessions.c.id == _id(token)))


def _id(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
