"""When a portal's sweep and schedules ran last, and the sweeps that people asked for.

A run is noted when it is complete, in the transaction that writes what it found: one that a crash
broke off is caught up with, and one that was missed many times is caught up with once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, delete, select, update
from sqlalchemy import Row as Record

from responder.store.canonical_json import canonical
from responder.store.database.tables import insert, runs, sweeps

MOST = 100
ASKED_FOR = timedelta(days=1)  # a request is tried again, until all of it was read
_UNREAD = "unread "  # no rule's key begins so: its schedule's text does not end after one word


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A sweep that somebody asked for. `observe`: it lists what it would do and does nothing."""

    id: int
    portal: str
    rule: str | None
    observe: bool
    by: str
    at: datetime
    state: str
    read: int
    total: int | None
    result: Mapping[str, object] | None


def last(conn: Connection, portal: str) -> dict[str, datetime]:
    """Return when each of a portal's runs was due last, by its key."""
    found = conn.execute(select(runs.c.key, runs.c.at).where(runs.c.portal == portal))
    return {row.key: row.at for row in found}


def last_of_all(conn: Connection, key: str) -> dict[str, datetime]:
    """Return when a run of this key was due last, by portal."""
    found = conn.execute(select(runs.c.portal, runs.c.at).where(runs.c.key == key))
    return {row.portal: row.at for row in found}


def ran(tx: Connection, portal: str, key: str, at: datetime) -> None:
    """Note that a run is done that was due then."""
    tx.execute(
        insert(tx, runs)
        .values(portal=portal, key=key, at=at)
        .on_conflict_do_update(index_elements=["portal", "key"], set_={"at": at})
    )


def unread(tx: Connection, portal: str, trigger: str, since: datetime | None) -> None:
    """Note since when runs of a trigger cannot read everything; None where the last one could."""
    key = f"{_UNREAD}{trigger}"
    if since is None:
        tx.execute(delete(runs).where(runs.c.portal == portal, runs.c.key == key))
        return
    first = insert(tx, runs).values(portal=portal, key=key, at=since)
    tx.execute(first.on_conflict_do_nothing())


def incomplete(conn: Connection, portal: str) -> dict[str, datetime]:
    """Return by trigger since when a portal's runs cannot read everything."""
    return {
        key.removeprefix(_UNREAD): at
        for key, at in last(conn, portal).items()
        if key.startswith(_UNREAD)
    }


def ask(
    tx: Connection, portal: str, *, rule: str | None, observe: bool, by: str, at: datetime
) -> int:
    """Ask for a sweep; return the request's id."""
    made = tx.execute(
        sweeps.insert().values(
            portal=portal, rule=rule, observe=observe, by=by, at=at, state="waiting", read=0
        )
    )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def asked(conn: Connection, portal: str, since: datetime) -> list[Request]:
    """Return the requests that are not done, the oldest first; those from before then are over."""
    query = (
        select(sweeps)
        .where(
            sweeps.c.portal == portal,
            sweeps.c.state.in_(("waiting", "running")),
            sweeps.c.at >= since,
        )
        .order_by(sweeps.c.id)
        .limit(MOST)
    )
    return [_request_of(row) for row in conn.execute(query)]


def request(conn: Connection, request_id: int) -> Request | None:
    """Return a request, to see how far it has come."""
    return _request(conn, select(sweeps).where(sweeps.c.id == request_id))


def progress(tx: Connection, request_id: int, read: int, total: int | None) -> None:
    """Note how many workflows were read."""
    tx.execute(
        update(sweeps)
        .where(sweeps.c.id == request_id)
        .values(state="running", read=read, total=total)
    )


def tried(tx: Connection, request_id: int, result: Mapping[str, object]) -> None:
    """Note what came of a request so far: it could not read everything, and is made again."""
    tx.execute(update(sweeps).where(sweeps.c.id == request_id).values(result=canonical(result)))


def finish(tx: Connection, request_id: int, result: Mapping[str, object]) -> None:
    """Note what came of a request."""
    tx.execute(
        update(sweeps)
        .where(sweeps.c.id == request_id)
        .values(state="done", result=canonical(result))
    )


def _request(conn: Connection, query: Select[tuple[object, ...]]) -> Request | None:
    row = conn.execute(query).one_or_none()
    return None if row is None else _request_of(row)


def _request_of(row: Record[tuple[object, ...]]) -> Request:
    return Request(
        id=row.id,
        portal=row.portal,
        rule=row.rule,
        observe=row.observe,
        by=row.by,
        at=row.at,
        state=row.state,
        read=row.read,
        total=row.total,
        result=None if row.result is None else json.loads(row.result),
    )
