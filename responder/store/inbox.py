"""What was received and acknowledged: added, waiting, concluded by an evaluation.

A delivery waits until an evaluation concludes it; nothing else marks it, so a driver that dies
leaves nothing to clean up. Deliveries of one document are judged together, so `waiting` gives them
by document, the longest-waiting first.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from itertools import chain
from typing import NamedTuple, cast

from sqlalchemy import (
    Connection,
    Select,
    case,
    func,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import Row as Record

from responder.model import Trigger
from responder.store.database import Database
from responder.store.tables import UNCONCLUDED, clean, deliveries, micros

Row = tuple[str, int, str, str | None, str | None, str | None, bytes]

MOST_IDS = 10_000
_WINDOW = 5_000
_CHUNK = 1_000
_PAGE = 500
_TOGETHER = 64
_GROUP = (deliveries.c.document, deliveries.c.trigger, deliveries.c.workflow_id)

_ADD_SQLITE = """
INSERT INTO deliveries (portal, received_at, "trigger", event, document, workflow_id, form)
VALUES """
_ADD_POSTGRES = """
INSERT INTO deliveries (portal, received_at, "trigger", event, document, workflow_id, form)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::bytea[])
"""


class AlreadyConcluded(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A delivery was to be concluded twice: it would be counted twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Deliveries to be judged together.

    `events` are distinct names, the newest last; `newest` the name in the newest delivery;
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
class Delivery:
    """An event as it was stored, and the evaluation that concluded it."""

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
    """Make what `SharedCommit.add` takes."""
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
    """Insert deliveries, many in one statement, with nothing built for each.

    SQLite's driver lets other threads run at every step of a statement, and then has to wait for
    its turn again: one step for many rows costs a busy process a fifth less than one for each.
    """
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(_ADD_POSTGRES, tuple(list(column) for column in zip(*rows, strict=True)))
        return
    for start in range(0, len(rows), _TOGETHER):
        some = rows[start : start + _TOGETHER]
        tx.exec_driver_sql(_add_sqlite(len(some)), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=_TOGETHER)
def _add_sqlite(count: int) -> str:
    return _ADD_SQLITE + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * count)


def waiting(
    conn: Connection, portal: str, *, documents: int, skip: Collection[str] = ()
) -> list[Waiting]:
    """Return what has waited longest, for at most so many documents, those to `skip` left out.

    A delivery without a document comes by itself. It looks no further than a few thousand
    deliveries ahead, so that a long backlog costs no more than a short one.
    """
    groups: dict[tuple[object, ...], list[_Member]] = {}
    heads = _heads(conn, portal, documents, skip)
    for member in _members(conn, portal, heads):
        groups.setdefault(_key(member), []).append(member)
    return [_waiting(groups[_key(head)][:MOST_IDS]) for head in heads if _key(head) in groups]


def conclude(tx: Connection, ids: Sequence[int], evaluation_id: str) -> None:
    """Mark deliveries as concluded; raise AlreadyConcluded where one was already."""
    marked = 0
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        marked += tx.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(chunk), deliveries.c.evaluation.is_(None))
            .values(evaluation=evaluation_id)
        ).rowcount
    if marked != len(ids):
        raise AlreadyConcluded(f"{len(ids) - marked} of {len(ids)} deliveries do not wait any more")


def depth(conn: Connection) -> dict[str, tuple[int, datetime]]:
    """Return, for each portal with waiting deliveries, how many and since when."""
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
    """Return when the portal was last heard from."""
    found: datetime | None = conn.execute(
        select(deliveries.c.received_at)
        .where(deliveries.c.portal == portal)
        .order_by(deliveries.c.received_at.desc(), deliveries.c.id.desc())
        .limit(1)
    ).scalar()
    return found


def received(
    database: Database,
    *,
    since: datetime | None = None,
    document: str | None = None,
    limit: int | None = None,
) -> Iterator[Delivery]:
    """Yield what was received, the oldest first, in short reads of a page each."""
    left = limit
    after: tuple[datetime, int] | None = None
    while left is None or left > 0:
        query = _page(since, document, after).limit(_PAGE if left is None else min(_PAGE, left))
        page = database.read(partial(_fetch, query=query))
        if not page:
            return
        yield from (Delivery(**record._mapping) for record in page)
        after = (page[-1].received_at, page[-1].id)
        left = None if left is None else left - len(page)


def _fetch(
    conn: Connection, query: Select[tuple[object, ...]]
) -> Sequence[Record[tuple[object, ...]]]:
    return conn.execute(query).all()


def _page(
    since: datetime | None, document: str | None, after: tuple[datetime, int] | None
) -> Select[tuple[object, ...]]:
    query = select(deliveries).order_by(deliveries.c.received_at, deliveries.c.id)
    if since is not None:
        query = query.where(deliveries.c.received_at >= since)
    if document is not None:
        query = query.where(deliveries.c.document == document)
    if after is not None:
        place = tuple_(deliveries.c.received_at, deliveries.c.id)
        query = query.where(place > after)
    return query


class _Head(NamedTuple):
    """The oldest delivery of a group."""

    id: int
    document: str | None
    trigger: str
    workflow_id: str | None


class _Member(NamedTuple):
    """A delivery of a group, with what is needed to judge it."""

    id: int
    document: str | None
    trigger: str
    workflow_id: str | None
    event: str | None
    received_at: datetime


def _key(member: _Head | _Member) -> tuple[object, ...]:
    alone = member.id if member.document is None else None
    return (member.document, member.trigger, member.workflow_id, alone)


def _heads(conn: Connection, portal: str, documents: int, skip: Collection[str]) -> list[_Head]:
    window = (
        select(deliveries.c.id, *_GROUP)
        .where(deliveries.c.portal == portal, UNCONCLUDED)
        .order_by(deliveries.c.id)
        .limit(_WINDOW)
    )
    if skip:
        rests = deliveries.c.document.in_(sorted(skip))
        window = window.where(or_(deliveries.c.document.is_(None), not_(rests)))
    seen = window.subquery()
    alone = case((seen.c.document.is_(None), seen.c.id))
    oldest = func.min(seen.c.id)
    found = conn.execute(
        select(oldest, seen.c.document, seen.c.trigger, seen.c.workflow_id)
        .group_by(seen.c.document, seen.c.trigger, seen.c.workflow_id, alone)
        .order_by(oldest)
        .limit(documents)
    )
    return [_Head(*record) for record in found]


def _members(conn: Connection, portal: str, heads: Sequence[_Head]) -> Iterator[_Member]:
    documents = sorted({head.document for head in heads if head.document is not None})
    alone = [head.id for head in heads if head.document is None]
    for among in (deliveries.c.document.in_(documents), deliveries.c.id.in_(alone)):
        found = conn.execute(
            select(deliveries.c.id, *_GROUP, deliveries.c.event, deliveries.c.received_at)
            .where(deliveries.c.portal == portal, UNCONCLUDED, among)
            .order_by(deliveries.c.id)
            .limit(2 * MOST_IDS)
        )
        yield from (_Member(*record) for record in found)


def _waiting(members: Sequence[_Member]) -> Waiting:
    oldest, newest = members[0], members[-1]
    names: dict[str, None] = {}
    for member in members:
        if member.event is not None:
            names.pop(member.event, None)  # so that it stands where it came last
            names[member.event] = None
    return Waiting(
        document_ref=oldest.document,
        trigger=cast("Trigger", oldest.trigger),
        workflow_id=oldest.workflow_id,
        ids=tuple(member.id for member in members),
        events=tuple(names),
        newest=newest.event,
        received_at=oldest.received_at,
    )
