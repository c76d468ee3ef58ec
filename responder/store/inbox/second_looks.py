"""Stores second looks: documents to be judged again after some seconds.

An event may be sent before the workflow that it concerns is in Bitrix24's list of instances.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import cast

from sqlalchemy import Connection, Insert, Row, bindparam, delete, select

from responder.model import Trigger
from responder.store.canonical_json import canonical
from responder.store.database.columns import clean
from responder.store.database.tables import insert_of, looks

MOST = 1_000

_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A document to be judged once more, as if these events had come again.

    `asked` are the names of the rules to ask; None means those that trigger and events select.
    """

    portal: str
    document_ref: str
    trigger: Trigger
    workflow_id: str | None
    event_names: tuple[str, ...]
    due_at: datetime
    asked: frozenset[str] | None = None


def schedule(
    tx: Connection,
    portal: str,
    document_ref: str,
    trigger: Trigger,
    workflow_id: str | None,
    event_names: tuple[str, ...],
    due_at: datetime,
    asked: frozenset[str] | None = None,
) -> None:
    """Write one second look, as `schedule_all` does."""
    new = Look(
        portal=portal,
        document_ref=document_ref,
        trigger=trigger,
        workflow_id=workflow_id,
        event_names=event_names,
        due_at=due_at,
        asked=asked,
    )
    schedule_all(tx, portal, [new])


def schedule_all(tx: Connection, portal: str, new: Sequence[Look]) -> None:
    """Write second looks of a portal, or merge each into the one that is scheduled for its place.

    The merged look is due at the later of the two times, has the events of both, and asks the rules
    of both.
    """
    documents = sorted({clean(one.document_ref) for one in new})
    found = tx.execute(_ON, {"of": portal, "documents": documents})
    known = {_place(one): one for one in map(_look, found)}
    merged: dict[_Place, Look] = {}
    for one in new:
        before = merged.get(_place(one), known.get(_place(one)))
        merged[_place(one)] = one if before is None else _merged(before, one)
    tx.execute(_upsert(tx.dialect.name), [_row(one) for one in merged.values()])


def _merged(before: Look, new: Look) -> Look:
    return replace(
        new,
        event_names=tuple(dict.fromkeys((*before.event_names, *new.event_names))),
        # The later time: that look sees all that an earlier one would. And a look that is being
        # carried out now does not delete it (`done_all`), for it knows nothing of these events.
        due_at=max(before.due_at, new.due_at),
        asked=None if before.asked is None or new.asked is None else before.asked | new.asked,
    )


def due(conn: Connection, portal: str, now: datetime) -> list[Look]:
    """Return the looks that are due, the longest due first, a thousand at most."""
    found = conn.execute(
        select(looks)
        .where(looks.c.portal == portal, looks.c.due_at <= now)
        .order_by(looks.c.due_at)
        .limit(MOST)
    )
    return [_look(record) for record in found]


def done_all(tx: Connection, carried_out: Sequence[Look]) -> None:
    """Delete looks that were carried out, but none that was scheduled for later meanwhile."""
    tx.execute(_DONE, [_key(one) | {"until": one.due_at} for one in carried_out])


def _look(record: Row[tuple[object, ...]]) -> Look:
    return Look(
        portal=record.portal,
        document_ref=record.document,
        trigger=cast("Trigger", record.trigger),
        workflow_id=record.workflow_id or None,
        event_names=tuple(json.loads(record.event_names)),
        due_at=record.due_at,
        asked=asked_in(record.asked),
    )


def _place(one: Look) -> _Place:
    """Return what two looks that are merged have in common, besides the portal."""
    return clean(one.document_ref), one.trigger, clean(one.workflow_id or "")


def _key(one: Look) -> dict[str, object]:
    document, trigger, workflow_id = _place(one)
    return {"of": one.portal, "on": document, "by": trigger, "alone": workflow_id}


def _row(one: Look) -> dict[str, object]:
    document, trigger, workflow_id = _place(one)
    return {
        "portal": one.portal,
        "document": document,
        "trigger": trigger,
        "workflow_id": workflow_id,
        "event_names": canonical(one.event_names),
        "due_at": one.due_at,
        "asked": asked_text(one.asked),
    }


def asked_text(asked: Iterable[str] | None) -> str | None:
    """Return the column's text for the names of the rules to ask."""
    return None if asked is None else canonical(sorted(asked))


def asked_in(text: str | None) -> frozenset[str] | None:
    """Parse what `asked_text` wrote."""
    return None if text is None else frozenset(json.loads(text))


# Built once: building such a statement takes several times as long as carrying it out.
_ON = select(looks).where(
    looks.c.portal == bindparam("of"),
    looks.c.document.in_(bindparam("documents", expanding=True)),
)
_DONE = delete(looks).where(
    looks.c.portal == bindparam("of"),
    looks.c.document == bindparam("on"),
    looks.c.trigger == bindparam("by"),
    looks.c.workflow_id == bindparam("alone"),
    looks.c.due_at <= bindparam("until"),
)


@lru_cache
def _upsert(dialect: str) -> Insert:
    """Return the statement that writes a look, or replaces the one at its place."""
    statement = insert_of(dialect, looks)
    return statement.on_conflict_do_update(
        index_elements=["portal", "document", "trigger", "workflow_id"],
        set_={name: statement.excluded[name] for name in ("event_names", "due_at", "asked")},
    )
