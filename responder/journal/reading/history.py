"""Reads recorded evaluations in their order, so that other rules can be tried on them.

Each page is one short read transaction, so a reader of the whole log holds nothing up, and needs no
more memory for a long log than for a short one.
"""

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Select, func, select

from responder.journal import chain_ends
from responder.model import Outcome
from responder.store.database.database import Database
from responder.store.database.tables import decisions, deliveries, entries, evidence
from responder.store.decision_ids import Place

T = TypeVar("T")

PAGE = 100
_CHUNK = 50
_CLOCKS_DIFFER = timedelta(hours=1)
_CONDEMNED = tuple(
    outcome.value for outcome in Outcome if outcome not in (Outcome.LEFT, Outcome.CLEARED)
)


class Span(NamedTuple):
    """A range of a portal's entry numbers."""

    portal: str
    first: int
    last: int


class Past(NamedTuple):
    """A recorded evaluation. `content` is its evidence, None where that was erased.

    `outcomes` has the present outcome of each of its decisions.
    """

    portal: str
    seq: int
    at: datetime
    body: dict[str, Any]
    content: dict[str, Any] | None
    outcomes: dict[int, str | None]


class Delivered(NamedTuple):
    """The number of deliveries on one document under one event name."""

    trigger: str
    event: str | None
    document: str | None
    number: int


def spans(conn: Connection, since: datetime, portal: str | None = None) -> list[Span]:
    """Return, for each portal, the range of entries from an instant on."""
    found = []
    for name in chain_ends.portals(conn) if portal is None else [portal]:
        first = conn.execute(
            select(decisions.c.seq)
            .where(decisions.c.at >= since, decisions.c.portal == name)
            .order_by(decisions.c.at, decisions.c.portal, decisions.c.seq)
            .limit(1)
        ).scalar()
        if first is not None:
            found.append(Span(name, first, chain_ends.head_of(conn, name).seq))
    return found


def evaluations(database: Database, span: Span) -> Iterator[Iterator[Past]]:
    """Yield the evaluations of a span, page by page."""
    after = span.first - 1
    while after < span.last:
        end = min(after + PAGE, span.last)
        rows = _read(database, partial(_page, portal=span.portal, after=after, end=end))
        # Parsed one by one as they are asked for: few exist at once, so the garbage collector has
        # little to traverse.
        yield (_past(span.portal, *row) for row in rows)
        after = end


def evaluation(database: Database, place: Place) -> Past | None:
    """Return the evaluation that made a decision, None where there is none."""
    portal, seq, _ = place
    rows = _read(database, partial(_page, portal=portal, after=seq - 1, end=seq))
    return _past(portal, *rows[0]) if rows else None


def concluded(conn: Connection, past: Past) -> list[Delivered]:
    """Return what an evaluation concluded, counted by event name and document."""
    received_at = past.body["received_at"]
    if received_at is None:
        return []
    of_it = (
        deliveries.c.received_at >= datetime.fromisoformat(received_at),
        deliveries.c.received_at <= past.at + _CLOCKS_DIFFER,
        deliveries.c.portal == past.portal,
        deliveries.c.evaluation == f"{past.portal}-{past.seq}",
    )
    what = (deliveries.c.trigger, deliveries.c.event, deliveries.c.document)
    found = conn.execute(select(*what, func.count()).where(*of_it).group_by(*what))
    return [Delivered._make(row) for row in found]


def condemned_before(
    database: Database, portal: str, workflow_ids: Sequence[str], instant: datetime
) -> Iterator[str]:
    """Yield those of these workflows that were condemned before an instant."""
    for start in range(0, len(workflow_ids), _CHUNK):
        query = select(decisions.c.workflow_id).where(
            decisions.c.portal == portal,
            decisions.c.workflow_id.in_(workflow_ids[start : start + _CHUNK]),
            decisions.c.at < instant,
            decisions.c.outcome.in_(_CONDEMNED),
        )
        yield from _read(database, partial(_names, query=query))


def _read(database: Database, fn: Callable[[Connection], T]) -> T:
    """Return what `fn` returns, read with the garbage collector switched off."""
    # Traversing all that the reader has found so far takes longer than the reading itself.
    collects = gc.isenabled()
    gc.disable()
    try:
        return database.read(fn)
    finally:
        if collects:
            gc.enable()


def _names(conn: Connection, query: Select[tuple[object, ...]]) -> list[str]:
    return [row.workflow_id for row in conn.execute(query)]


_Row = tuple[Any, str | None, dict[int, str | None]]


def _page(conn: Connection, portal: str, after: int, end: int) -> list[_Row]:
    """Read the evaluations between two numbers, unparsed."""

    def between(column: Any) -> tuple[Any, ...]:  # noqa: ANN401 -- the column `seq` of any table
        return (column.table.c.portal == portal, column > after, column <= end)

    made = conn.execute(
        select(entries.c.seq, entries.c.at, entries.c.body)
        .where(*between(entries.c.seq), entries.c.kind == "evaluation")
        .order_by(entries.c.seq)
    ).all()
    kept = select(evidence.c.seq, evidence.c.content).where(*between(evidence.c.seq))
    contents: dict[int, str] = {row.seq: row.content for row in conn.execute(kept)}
    became = select(decisions.c.seq, decisions.c.n, decisions.c.outcome).where(
        *between(decisions.c.seq)
    )
    outcomes: dict[int, dict[int, str | None]] = {}
    for seq, n, outcome in conn.execute(became):
        outcomes.setdefault(seq, {})[n] = outcome
    return [(row, contents.get(row.seq), outcomes.get(row.seq, {})) for row in made]


def _past(
    portal: str,
    row: Any,  # noqa: ANN401 -- a row of `entries`
    content: str | None,
    outcomes: dict[int, str | None],
) -> Past:
    kept = None if content is None else json.loads(content)
    return Past(
        portal,
        row.seq,
        row.at,
        json.loads(row.body),
        None if kept is None or "erased" in kept else kept,
        outcomes,
    )
