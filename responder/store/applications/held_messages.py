"""Stores installation messages until they are verified: an hour, and five of a portal at most.

Anybody can send one. There are five more places for those that bring the application token that is
pinned, and five for what an administrator began by our link. The message is encrypted by the
caller, since it may hold real tokens.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from responder.store.database.portal_tables import held_installations
from responder.store.database.tables import insert

MOST = 5
KEPT_FOR = timedelta(hours=1)


class Sender(IntEnum):
    """The one who sent a message, as far as that shows before it is verified.

    `APPLICATION`: whoever knows the pinned token. `ADMINISTRATOR`: a browser that brought back the
    `state` of our link. Messages of a higher one are tried before all others.
    """

    ANYBODY = 0
    APPLICATION = 1
    ADMINISTRATOR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One message, which is tried at `try_at`; `result` is that of the last try.

    Without `try_at` it was refused for good, and is kept to show why.
    """

    portal: str
    digest: str
    message: str
    received_at: datetime
    try_at: datetime | None
    result: str | None


def sealed_for(portal: str) -> str:
    """Return the place for which a message of a portal is sealed (`adapters.encryption`)."""
    return f"{portal}: installation"


def hold(
    tx: Connection, portal: str, digest: str, message: str, now: datetime, sender: Sender
) -> bool:
    """Write a message, unless the same one is held. Return False where there is no room.

    Those that were refused make room, and then the oldest that was tried without an answer: else
    whoever names a server that we cannot reach would fill the room for an hour. Those that wait for
    their first try do not. What an administrator began is written in any case, in the place of the
    oldest if need be.
    """
    drop_old(tx, portal, now)
    of_portal = held_installations.c.portal == portal
    count = tx.execute(select(func.count()).where(of_portal)).scalar_one()
    if count >= MOST:
        refused = held_installations.c.try_at.is_(None)
        count -= tx.execute(delete(held_installations).where(of_portal, refused)).rowcount
    if count >= MOST * (1 + sender):
        was_tried = held_installations.c.result.is_not(None)
        is_any = sender is Sender.ADMINISTRATOR
        if not (_drop_oldest(tx, portal, was_tried) or (is_any and _drop_oldest(tx, portal))):
            return False
    values = {"message": message, "received_at": now, "try_at": now - sender * KEPT_FOR}
    tx.execute(
        insert(tx, held_installations)
        .values(portal=portal, digest=digest, **values)
        .on_conflict_do_nothing()
    )
    return True


def _drop_oldest(tx: Connection, portal: str, which: ColumnElement[bool] | None = None) -> bool:
    its = held_installations.c
    where = its.portal == portal if which is None else (its.portal == portal) & which
    oldest = select(its.digest).where(where).order_by(its.received_at).limit(1)
    found = tx.execute(oldest).scalar()
    tx.execute(delete(held_installations).where(its.portal == portal, its.digest == found))
    return found is not None


def held(conn: Connection, portal: str, now: datetime) -> list[Held]:
    """Return the messages of a portal of this hour, in the order in which they are tried.

    The one that waits longest is the first, so that whoever sends many keeps none from its turn.
    """
    found = conn.execute(
        select(held_installations)
        .where(held_installations.c.portal == portal, _is_of_this_hour(now))
        .order_by(held_installations.c.try_at, held_installations.c.digest)
    )
    return [Held(**one._asdict()) for one in found]


def due(conn: Connection, now: datetime) -> set[str]:
    """Return the portals that have a message to be tried now."""
    is_due = held_installations.c.try_at <= now
    found = conn.execute(select(held_installations.c.portal).where(is_due, _is_of_this_hour(now)))
    return set(found.scalars())


def full(conn: Connection, now: datetime) -> set[str]:
    """Return the portals that have no room for another message now."""
    is_untried = held_installations.c.result.is_(None)
    portal = held_installations.c.portal
    found = conn.execute(
        select(portal)
        .where(is_untried, _is_of_this_hour(now))
        .group_by(portal)
        .having(func.count() >= MOST)
    )
    return set(found.scalars())


def replace(tx: Connection, one: Held, message: str) -> None:
    """Write what a message has become: a code that was exchanged for tokens."""
    tx.execute(update(held_installations).where(*_is(one)).values(message=message))


def tried(tx: Connection, one: Held, result: str, try_at: datetime | None) -> None:
    """Write what came of a try, and when the next is due; None where it was refused for good.

    It is not of what the message has become since.
    """
    is_the_same = held_installations.c.message == one.message
    tx.execute(
        update(held_installations)
        .where(*_is(one), is_the_same)
        .values(result=result, try_at=try_at)
    )


def try_again(tx: Connection, portal: str, results: Collection[str], now: datetime) -> None:
    """Let messages of this hour that were refused for one of these reasons be tried again."""
    of_portal = held_installations.c.portal == portal
    refused = held_installations.c.try_at.is_(None) & held_installations.c.result.in_(results)
    tx.execute(
        update(held_installations)
        .where(of_portal, refused, _is_of_this_hour(now))
        .values(try_at=now)
    )


def drop_through(tx: Connection, one: Held) -> None:
    """Delete a message that was believed, and those of its portal that came before it."""
    is_old = held_installations.c.received_at <= one.received_at
    tx.execute(delete(held_installations).where(held_installations.c.portal == one.portal, is_old))


def drop_old(tx: Connection, portal: str, now: datetime) -> None:
    """Delete the messages of a portal that are older than an hour, or from the future."""
    of_portal = held_installations.c.portal == portal
    tx.execute(delete(held_installations).where(of_portal, ~_is_of_this_hour(now)))


def _is_of_this_hour(now: datetime) -> ColumnElement[bool]:
    return held_installations.c.received_at.between(now - KEPT_FOR, now + KEPT_FOR)


def _is(one: Held) -> tuple[ColumnElement[bool], ...]:
    return (held_installations.c.portal == one.portal, held_installations.c.digest == one.digest)
