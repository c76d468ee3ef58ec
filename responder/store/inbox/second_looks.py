"""Stores second looks: documents to be judged again after some seconds.

An event may be sent before the workflow that it concerns is in Bitrix24's list of instances.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Connection, and_, delete, select

from responder.model import Trigger
from responder.store.canonical_json import canonical
from responder.store.database.tables import insert, looks

MOST = 1_000


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
    """Write a second look, or merge it into the one that is scheduled for the same place.

    The merged look is due at the later of the two times, has the events of both, and asks the rules
    of both.
    """
    place = {
        "portal": portal,
        "document": document_ref,
        "trigger": trigger,
        "workflow_id": workflow_id or "",
    }
    query = select(looks.c.event_names, looks.c.due_at, looks.c.asked).where(_is(place))
    known = tx.execute(query).one_or_none()
    names, at, rules = event_names, due_at, asked
    if known is not None:
        names = tuple(dict.fromkeys((*json.loads(known.event_names), *event_names)))
        # The later time: that look sees all that an earlier one would. And a look that is being
        # carried out now does not delete it (`done`), for it knows nothing of these events.
        at = max(known.due_at, due_at)
        before = asked_in(known.asked)
        rules = None if asked is None or before is None else asked | before
    values = {"event_names": canonical(names), "due_at": at, "asked": asked_text(rules)}
    tx.execute(
        insert(tx, looks)
        .values(**place, **values)
        .on_conflict_do_update(index_elements=list(place), set_=values)
    )


def due(conn: Connection, portal: str, now: datetime) -> list[Look]:
    """Return the looks that are due, the longest due first, a thousand at most."""
    found = conn.execute(
        select(looks)
        .where(looks.c.portal == portal, looks.c.due_at <= now)
        .order_by(looks.c.due_at)
        .limit(MOST)
    )
    return [
        Look(
            portal=record.portal,
            document_ref=record.document,
            trigger=cast("Trigger", record.trigger),
            workflow_id=record.workflow_id or None,
            event_names=tuple(json.loads(record.event_names)),
            due_at=record.due_at,
            asked=asked_in(record.asked),
        )
        for record in found
    ]


def done(tx: Connection, look: Look) -> None:
    """Delete a look that was carried out, unless a later one was scheduled meanwhile."""
    place = {
        "portal": look.portal,
        "document": look.document_ref,
        "trigger": look.trigger,
        "workflow_id": look.workflow_id or "",
    }
    tx.execute(delete(looks).where(_is(place), looks.c.due_at <= look.due_at))


def _is(place: dict[str, str]) -> ColumnElement[bool]:
    return and_(*(looks.c[name] == value for name, value in place.items()))


def asked_text(asked: Iterable[str] | None) -> str | None:
    """Return the column's text for the names of the rules to ask."""
    return None if asked is None else canonical(sorted(asked))


def asked_in(text: str | None) -> frozenset[str] | None:
    """Parse what `asked_text` wrote."""
    return None if text is None else frozenset(json.loads(text))
