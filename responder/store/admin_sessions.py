"""Who is logged in to the pages: rows, so that any replica knows them and any may end them.

A session is named by the hash of what stands in the cookie: who reads the database cannot use it.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select, update

from responder.store.database.tables import sessions

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
NOTED_EVERY = timedelta(minutes=5)  # a page that is looked at need not write each time


def begin(tx: Connection, token: str, name: str, mark: str, at: datetime) -> None:
    """Begin a session, and remove those that are over."""
    over = or_(sessions.c.seen_at < at - IDLE, sessions.c.begun_at < at - LONGEST)
    tx.execute(delete(sessions).where(over))
    tx.execute(
        sessions.insert().values(id=_id(token), name=name, mark=mark, begun_at=at, seen_at=at)
    )


def find(conn: Connection, token: str, at: datetime) -> tuple[str, str, bool] | None:
    """Return name and mark of a session that is not over, and whether to note that it was seen."""
    found = conn.execute(
        select(sessions).where(
            sessions.c.id == _id(token),
            sessions.c.seen_at >= at - IDLE,
            sessions.c.begun_at >= at - LONGEST,
        )
    ).one_or_none()
    if found is None:
        return None
    return found.name, found.mark, at - found.seen_at >= NOTED_EVERY


def seen(tx: Connection, token: str, at: datetime) -> None:
    """Note that a session was used."""
    tx.execute(update(sessions).where(sessions.c.id == _id(token)).values(seen_at=at))


def end(tx: Connection, token: str) -> None:
    """End a session."""
    tx.execute(delete(sessions).where(sessions.c.id == _id(token)))


def _id(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
