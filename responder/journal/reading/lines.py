"""Builds the lines of a list of decisions from rows of the index, with what stands beside them.

For a page of them, two things are looked up: the reason of what condemned nothing, in its entry,
and whether the facts of a decision were erased.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy import Row as Record

from responder.journal.naming import names
from responder.model import Names
from responder.store.database.tables import entries, evidence
from responder.store.decision_ids import decision_name, place_of

_LARGEST_BODY = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A decision as a list shows it."""

    id: str
    at: datetime
    portal: str
    document: str | None
    workflow_id: str | None
    template_id: str | None
    rule: str | None
    outcome: str | None
    detail: str | None
    hold: str | None
    action: str
    due_at: datetime | None
    names: Names | None = None
    reason: str | None = None
    erased: bool = False


_OF_OTHERS = ("id", "names", "reason", "erased")  # not from the row alone
_SHOWN = tuple(one.name for one in fields(Line) if one.name not in _OF_OTHERS)


def lines_of(conn: Connection, records: Iterable["Record[tuple[object, ...]]"]) -> tuple[Line, ...]:
    """Return the lines of a page."""
    made = [_line(record) for record in records]
    return _with_erased(conn, _with_reasons(conn, made))


def _line(record: "Record[tuple[object, ...]]") -> Line:
    return Line(
        id=decision_name(record.portal, record.seq, record.n),
        **{name: getattr(record, name) for name in _SHOWN},
        names=names.from_text(record.names),
    )


def _with_reasons(conn: Connection, lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines, with the reason of what condemned nothing."""
    quiet = {place: line for line in lines if line.outcome is None and (place := place_of(line.id))}
    reasons: dict[str, str | None] = {}
    for (portal, seq, n), line in quiet.items():
        # without one, where its entry is too long to be read for a list
        body = conn.execute(
            select(entries.c.body).where(
                entries.c.portal == portal,
                entries.c.seq == seq,
                func.length(entries.c.body) < _LARGEST_BODY,
            )
        ).scalar()
        if body is not None:
            reasons[line.id] = json.loads(body)["decisions"][n - 1]["reason"]
    return tuple(replace(line, reason=reasons.get(line.id)) for line in lines)


def _with_erased(conn: Connection, lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines, those marked whose facts, and so their names, were erased."""
    places = {line.id: place for line in lines if (place := place_of(line.id))}
    by_portal: dict[str, set[int]] = {}
    for portal, seq, _ in places.values():
        by_portal.setdefault(portal, set()).add(seq)
    erased: set[tuple[str, int]] = set()
    for portal, numbers in by_portal.items():
        found = conn.execute(
            select(evidence.c.seq).where(
                evidence.c.portal == portal,
                evidence.c.seq.in_(sorted(numbers)),
                evidence.c.salt == "",
            )
        )
        erased |= {(portal, seq) for seq in found.scalars()}
    return tuple(replace(line, erased=places[line.id][:2] in erased) for line in lines)
