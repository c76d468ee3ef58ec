"""Stores when a portal's sweep and schedules ran last, and the sweeps that people asked for.

A run is recorded when it is complete, in the transaction that writes what it found: a run that a
crash broke off is run again, and one that was missed many times is run once.
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
ASKED_FOR = timedelta(days=1)  # so long a request is tried again, until all of it was read
_UNREAD = "unread "  # followed by one word, the trigger; a schedule's key has more words


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A sweep that somebody asked for. With `observe` it lists what it would do and does nothing.

    `state` is waiting, running or done; `read` of `total` workflows have been read.
    """

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
    """Return when each run of the portal was last due, by the run's key."""
    found = conn.execute(select(runs.c.key, runs.c.at).where(runs.c.portal == portal))
    return {row.key: row.at for row in found}


def last_of_all(conn: Connection, key: str) -> dict[str, datetime]:
    """Return when the run with this key was last due, by portal."""
    found = conn.execute(select(runs.c.portal, runs.c.at).where(runs.c.key == key))
    return {row.portal: row.at for row in found}


def record_run(tx: Connection, portal: str, key: str, at: datetime) -> None:
    """Record that the run with this key, due at `at`, is complete."""
    tx.execute(
        insert(tx, runs)
        .values(portal=portal, key=key, at=at)
        .on_conflict_do_update(index_elements=["portal", "key"], set_={"at": at})
    )


def record_unread(tx: Connection, portal: str, trigger: str, since: datetime | None) -> None:
    """Record since when runs of a trigger cannot read everything; None clears it."""
    key = f"{_UNREAD}{trigger}"
    if since is None:
        tx.execute(delete(runs).where(runs.c.portal == portal, runs.c.key == key))
        return
    first = insert(tx, runs).values(portal=portal, key=key, at=since)
    tx.execute(first.on_conflict_do_nothing())


def incomplete(conn: Connection, portal: str) -> dict[str, datetime]:
    """Return, by trigger, since when the portal's runs cannot read everything."""
    return {
        key.removeprefix(_UNREAD): at
        for key, at in last(conn, portal).items()
        if key.startswith(_UNREAD)
    }


def incomplete_of_all(conn: Connection) -> dict[tuple[str, str], datetime]:
    """Return, by (portal, trigger), since when runs cannot read everything."""
    found = conn.execute(select(runs).where(runs.c.key.startswith(_UNREAD)))
    return {(row.portal, row.key.removeprefix(_UNREAD)): row.at for row in found}


def add_request(
    tx: Connection, portal: str, *, rule: str | None, observe: bool, by: str, at: datetime
) -> int:
    """Insert a request for a sweep; return its id."""
    made = tx.execute(
        sweeps.insert().values(
            portal=portal, rule=rule, observe=observe, by=by, at=at, state="waiting", read=0
        )
    )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def open_requests(conn: Connection, portal: str, since: datetime) -> list[Request]:
    """Return a portal's requests that are not done and not older than `since`, oldest first."""
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
    """Return one request, with its progress, or None."""
    return _request(conn, select(sweeps).where(sweeps.c.id == request_id))


def record_progress(tx: Connection, request_id: int, read: int, total: int | None) -> None:
    """Record how many workflows of a requested sweep have been read."""
    tx.execute(
        update(sweeps)
        .where(sweeps.c.id == request_id)
        .values(state="running", read=read, total=total)
    )


def record_attempt(tx: Connection, request_id: int, result: Mapping[str, object]) -> None:
    """Record the result of an attempt that could not read everything; there will be another."""
    tx.execute(update(sweeps).where(sweeps.c.id == request_id).values(result=canonical(result)))


def finish(tx: Connection, request_id: int, result: Mapping[str, object]) -> None:
    """Record the final result of a request."""
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
