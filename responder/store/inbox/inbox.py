"""Stores what was received and acknowledged: adding, reading what waits, concluding.

A delivery waits until an evaluation concludes it; nothing else marks it, so a driver that dies
leaves nothing to clean up. Deliveries of one document are judged in one evaluation, so `waiting`
groups them by document, the longest-waiting first.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from itertools import chain
from typing import NamedTuple, cast

from sqlalchemy import (
    Connection,
    Select,
    func,
    select,
    tuple_,
)
from sqlalchemy import Row as Record

from responder.model import Trigger
from responder.store.database.columns import LAST, clean, instant, micros
from responder.store.database.database import Database
from responder.store.database.tables import UNCONCLUDED, deliveries

Row = tuple[str, int, str, str | None, str | None, str | None, bytes]

MOST_IDS = 10_000
_WINDOW = 1_000
_MOST_READ = 15_000
_PAGE = 500
_ROWS_A_STATEMENT = 64
_by_time = tuple_(deliveries.c.received_at, deliveries.c.id)
_Query = Select[tuple[object, ...]]

_ADD_SQLITE = """
INSERT INTO deliveries (portal, received_at, "trigger", event, document, workflow_id, form)
VALUES """
_ADD_POSTGRES = """
INSERT INTO deliveries (portal, received_at, "trigger", event, document, workflow_id, form)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::bytea[])
"""

# An empty list skips nothing, and a delivery without a document is never skipped. SQLite's driver
# releases the GIL at every row and must acquire it again, so all rows come as one JSON text.
_WAITING_SQLITE = """
SELECT json_group_array(json_array(id, document, "trigger", workflow_id, event, received_at))
FROM (
  SELECT id, document, "trigger", workflow_id, event, received_at
  FROM deliveries
  WHERE portal = ? AND evaluation IS NULL AND id > ?
    AND (document IS NULL OR document NOT IN (SELECT value FROM json_each(?)))
  ORDER BY id LIMIT ?
)
"""
_WAITING_POSTGRES = """
SELECT id, document, "trigger", workflow_id, event, received_at
FROM deliveries
WHERE portal = %s AND evaluation IS NULL AND id > %s
  AND (document IS NULL OR document NOT IN (SELECT unnest(%s::text[])))
ORDER BY id LIMIT %s
"""

_FRONT_SQLITE = """
SELECT "trigger", event, kind, min(received_at), json_group_array(id)
FROM (
  SELECT id, "trigger", event, substr(document, 1, instr(document, ':') - 1) AS kind, received_at
  FROM deliveries
  WHERE portal = ? AND evaluation IS NULL
  ORDER BY id LIMIT ?
)
GROUP BY 1, 2, 3 ORDER BY max(id)
"""
_FRONT_POSTGRES = """
SELECT "trigger", event, kind, min(received_at), array_agg(id)
FROM (
  SELECT id, "trigger", event, split_part(document, ':', 1) AS kind, received_at
  FROM deliveries
  WHERE portal = %s AND evaluation IS NULL
  ORDER BY id LIMIT %s
) AS front
GROUP BY 1, 2, 3 ORDER BY max(id)
"""
_CONCLUDE_SQLITE = """
UPDATE deliveries SET evaluation = ?
WHERE evaluation IS NULL AND id IN (SELECT value FROM json_each(?))
"""
_CONCLUDE_POSTGRES = """
UPDATE deliveries SET evaluation = given.name
FROM unnest(%s::bigint[], %s::text[]) AS given (delivery, name)
WHERE evaluation IS NULL AND id = given.delivery
"""


class AlreadyConcluded(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: a delivery was to be concluded, and so counted, a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Waiting deliveries of one document, trigger and workflow, to be judged in one evaluation.

    `events` are distinct names, the newest last; `newest` is the name in the newest delivery;
    `received_at` the time of the oldest.
    """

    document_ref: str | None
    trigger: Trigger
    workflow_id: str | None
    ids: tuple[int, ...]
    events: tuple[str, ...]
    newest: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Waiting deliveries that differ in nothing that selects rules.

    `kind` is that of their documents, None where they have none; `received_at` the time of the
    oldest.
    """

    trigger: Trigger
    event: str | None
    kind: str | None
    received_at: datetime
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as it was stored, with the evaluation that concluded it, if any."""

    id: int
    portal: str
    received_at: datetime
    trigger: Trigger
    event: str | None
    document: str | None
    workflow_id: str | None
    form: bytes
    evaluation: str | None


def row(
    portal: str,
    received_at: datetime,
    trigger: Trigger,
    event: str | None,
    document_ref: str | None,
    workflow_id: str | None,
    form: bytes,
) -> Row:
    """Build the tuple that `SharedCommit.add` accepts."""
    return (
        portal,
        micros(received_at),
        trigger,
        event and clean(event),
        document_ref and clean(document_ref),
        workflow_id and clean(workflow_id),
        form,
    )


def add(tx: Connection, rows: Sequence[Row]) -> None:
    """Insert deliveries, many in one statement."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(_ADD_POSTGRES, tuple(list(column) for column in zip(*rows, strict=True)))
        return
    # SQLite's driver releases the GIL at every step of a statement and must acquire it again: one
    # step for many rows costs a busy process a fifth less than one for each.
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        tx.exec_driver_sql(_add_sqlite(len(some)), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=_ROWS_A_STATEMENT)
def _add_sqlite(count: int) -> str:
    return _ADD_SQLITE + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * count)


def waiting(
    conn: Connection, portal: str, *, documents: int, skip: Collection[str] = ()
) -> list[Waiting]:
    """Return what has waited longest, for at most so many documents, without those to `skip`.

    A delivery without a document is a group of its own. The inbox is read in order of arrival until
    there are enough documents, but no further than some thousands of deliveries, so a long backlog
    costs no more than a short one. What a document has beyond them is judged when it comes to the
    front.
    """
    groups: dict[tuple[object, ...], list[_Member]] = {}
    window = max(_WINDOW, 2 * documents)
    after = read = 0
    while read < _MOST_READ and len(groups) < documents:
        page = _in_order(conn, portal, after, skip, window)
        for member in page:
            key = _key(member)
            if key in groups:
                groups[key].append(member)
            elif len(groups) < documents:
                groups[key] = [member]
        if len(page) < window:
            break
        after, read = page[-1].id, read + len(page)
    return [_waiting(members[:MOST_IDS]) for members in groups.values()]


def newest_last(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return each event name once, in the order of their last occurrence."""
    found: dict[str, None] = {}
    for name in names:
        if name is not None:
            found.pop(name, None)
            found[name] = None
    return tuple(found)


def front(conn: Connection, portal: str, most: int) -> list[Alike]:
    """Return so many of the longest-waiting deliveries, grouped by what selects rules.

    The group with the newest delivery comes last. One statement, a fraction of the cost of
    `waiting`, since documents are not told apart.
    """
    postgres = conn.dialect.name == "postgresql"
    statement = _FRONT_POSTGRES if postgres else _FRONT_SQLITE
    return [
        Alike(
            trigger=trigger,
            event=event,
            kind=kind,
            received_at=instant(received_at),
            ids=tuple(ids if postgres else json.loads(ids)),
        )
        for trigger, event, kind, received_at, ids in conn.exec_driver_sql(
            statement, (portal, most)
        )
    ]


def conclude(tx: Connection, ids: Sequence[int], evaluation_id: str) -> None:
    """Mark deliveries as concluded; raise AlreadyConcluded where one of them was already."""
    conclude_all(tx, [(evaluation_id, ids)])


def conclude_all(tx: Connection, concluded: Iterable[tuple[str, Sequence[int]]]) -> None:
    """Mark the deliveries of each of these evaluations as concluded, as `conclude` does."""
    some = [(name, ids) for name, ids in concluded if ids]
    if not some:
        return
    if tx.dialect.name == "postgresql":
        pairs = [(delivery, name) for name, ids in some for delivery in ids]
        done = tx.exec_driver_sql(_CONCLUDE_POSTGRES, tuple(map(list, zip(*pairs, strict=True))))
    else:
        done = tx.exec_driver_sql(_CONCLUDE_SQLITE, [(one, json.dumps(ids)) for one, ids in some])
    of = sum(len(ids) for _, ids in some)
    if done.rowcount != of:
        raise AlreadyConcluded(f"{of - done.rowcount} of {of} deliveries do not wait any more")


def depth(conn: Connection) -> dict[str, tuple[int, datetime]]:
    """Return, for each portal with waiting deliveries, their number and the time of the oldest."""
    waiting_now = (
        select(
            deliveries.c.portal,
            func.count().label("count"),
            func.min(deliveries.c.id).label("oldest"),
        )
        .where(UNCONCLUDED)
        .group_by(deliveries.c.portal)
        .subquery()
    )
    found = conn.execute(
        select(waiting_now.c.portal, waiting_now.c.count, deliveries.c.received_at).join(
            deliveries, deliveries.c.id == waiting_now.c.oldest
        )
    )
    return {portal: (count, oldest) for portal, count, oldest in found}


def last_received(conn: Connection, portal: str) -> datetime | None:
    """Return when the portal's newest delivery was received, or None."""
    # Compared and ordered by both columns, which only their index serves. Ordered by time alone,
    # PostgreSQL may go back through the deliveries of all other portals, and if this one has been
    # silent for long, that is slow.
    place = tuple_(deliveries.c.portal, deliveries.c.received_at)
    found = conn.execute(
        select(deliveries.c.portal, deliveries.c.received_at)
        .where(place <= (portal, LAST))
        .order_by(deliveries.c.portal.desc(), deliveries.c.received_at.desc())
        .limit(1)
    ).one_or_none()
    return found.received_at if found is not None and found.portal == portal else None


def received(
    database: Database,
    *,
    since: datetime | None = None,
    portal: str | None = None,
    document: str | None = None,
    newest: int | None = None,
) -> Iterator[Delivery]:
    """Yield deliveries, the oldest first, read in short transactions of one page each.

    With `newest`, only so many: the newest of those that are wanted.
    """
    wanted: _Query = select(deliveries)
    if since is not None:
        wanted = wanted.where(deliveries.c.received_at >= since)
    for name, value in (("portal", portal), ("document", document)):
        if value is not None:
            wanted = wanted.where(deliveries.c[name] == value)
    if newest is not None:
        wanted = database.read(partial(_from_newest, query=wanted, count=newest))
    query = wanted
    while page := database.read(partial(_fetch, query=query)):
        yield from (Delivery(**record._mapping) for record in page)
        query = wanted.where(_by_time > (page[-1].received_at, page[-1].id))


def portals(conn: Connection) -> list[str]:
    """Return the portals from which anything was received, by name."""
    named: list[str] = []
    query = select(func.min(deliveries.c.portal))
    while (name := conn.execute(query).scalar()) is not None:
        named.append(name)
        query = select(func.min(deliveries.c.portal)).where(deliveries.c.portal > name)
    return named


def _from_newest(conn: Connection, query: _Query, count: int) -> _Query:
    """Return the query for the newest so many of what a query finds; for all, if it is fewer."""
    oldest = query.order_by(deliveries.c.received_at.desc(), deliveries.c.id.desc())
    first = conn.execute(oldest.offset(count - 1).limit(1)).one_or_none()
    return query if first is None else query.where(_by_time >= (first.received_at, first.id))


def _fetch(conn: Connection, query: _Query) -> Sequence[Record[tuple[object, ...]]]:
    page = query.order_by(deliveries.c.received_at, deliveries.c.id).limit(_PAGE)
    return conn.execute(page).all()


class _Member(NamedTuple):
    """A waiting delivery: what is needed to group and judge it. `received_at` in microseconds."""

    id: int
    document: str | None
    trigger: str
    workflow_id: str | None
    event: str | None
    received_at: int


def _key(member: _Member) -> tuple[object, ...]:
    alone = member.id if member.document is None else None
    return (member.document, member.trigger, member.workflow_id, alone)


def _in_order(
    conn: Connection, portal: str, after: int, skip: Collection[str], window: int
) -> list[_Member]:
    """Read a page of waiting deliveries after an id, building nothing but a tuple for each."""
    # one parameter: a list of a thousand takes longer to send than to search
    rests = sorted(map(clean, skip))
    if conn.dialect.name == "postgresql":
        found = conn.exec_driver_sql(_WAITING_POSTGRES, (portal, after, rests, window)).all()
    else:
        given = (portal, after, json.dumps(rests), window)
        found = json.loads(conn.exec_driver_sql(_WAITING_SQLITE, given).scalar_one())
    return [_Member._make(record) for record in found]


def _waiting(members: Sequence[_Member]) -> Waiting:
    oldest, newest = members[0], members[-1]
    return Waiting(
        document_ref=oldest.document,
        trigger=cast("Trigger", oldest.trigger),
        workflow_id=oldest.workflow_id,
        ids=tuple(member.id for member in members),
        events=newest_last(member.event for member in members),
        newest=newest.event,
        received_at=instant(oldest.received_at),
    )
