"""Stores installation messages until they are verified: an hour, and five of a portal at most.

Anybody can send one. The message is encrypted by the caller, since it may hold real tokens.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from responder.store.database.application_tables import held_installations
from responder.store.database.tables import insert

MOST = 5
KEPT_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One message that waits to be verified at `try_at`; `result` is that of the last try."""

    portal: str
    digest: str
    message: str
    received_at: datetime
    try_at: datetime
    result: str | None


def hold(tx: Connection, portal: str, digest: str, message: str, now: datetime) -> None:
    """Write a message, unless the same one is held, or there are five already."""
    drop_old(tx, portal, now)
    of_portal = held_installations.c.portal == portal
    count = tx.execute(select(func.count()).where(of_portal)).scalar_one()
    if count >= MOST:
        return
    values = {"message": message, "received_at": now, "try_at": now}
    tx.execute(
        insert(tx, held_installations)
        .values(portal=portal, digest=digest, **values)
        .on_conflict_do_nothing()
    )


def held(conn: Connection, portal: str) -> list[Held]:
    """Return the messages of a portal, the newest first: it has the tokens that live longest."""
    found = conn.execute(
        select(held_installations)
        .where(held_installations.c.portal == portal)
        .order_by(held_installations.c.received_at.desc(), held_installations.c.digest)
    )
    return [Held(**one._asdict()) for one in found]


def tried(tx: Connection, one: Held, result: str, try_at: datetime) -> None:
    """Write what came of a try, and when the next is due."""
    tx.execute(update(held_installations).where(*_is(one)).values(result=result, try_at=try_at))


def drop(tx: Connection, one: Held) -> None:
    """Delete a message that was believed, or never will be."""
    tx.execute(delete(held_installations).where(*_is(one)))


def drop_old(tx: Connection, portal: str, now: datetime) -> None:
    """Delete the messages of a portal that are older than an hour, or from the future."""
    at = held_installations.c.received_at
    tx.execute(
        delete(held_installations).where(
            held_installations.c.portal == portal,
            ~at.between(now - KEPT_FOR, now + KEPT_FOR),
        )
    )


def _is(one: Held) -> tuple[ColumnElement[bool], ...]:
    return (held_installations.c.portal == one.portal, held_installations.c.digest == one.digest)
