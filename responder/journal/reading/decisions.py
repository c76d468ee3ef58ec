"""Reads the decision log as it is printed: one JSON object a decision.

Reads are short: each page of the index, with the entries and the evidence it needs, is one read
transaction, and is rendered outside of it. So a reader never holds up a checkpoint of the
write-ahead log, and needs no more memory for a long log than for a short one.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, select, tuple_
from sqlalchemy import Row as Record

from responder.journal.chain import heads
from responder.store.canonical_json import instant_text
from responder.store.database.database import Database
from responder.store.database.tables import decisions as table
from responder.store.database.tables import entries, evidence
from responder.store.decision_ids import decision_name, is_decision, place_of

_PAGE = 100
_WINDOW = 100
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_Json = dict[str, Any]  # parsed text: what is in it was written by `record`
_by_time = tuple_(table.c.at, table.c.portal, table.c.seq, table.c.n)


def decisions(
    database: Database,
    *,
    since: datetime | None = None,
    workflow: str | None = None,
    rule: str | None = None,
    outcome: str | None = None,
) -> Iterator[dict[str, object]]:
    """Yield decisions as the decision log prints them, the oldest first."""
    first = query = _filtered(since, workflow, rule, outcome).limit(_PAGE)
    while (page := database.read(partial(_page, query=query))).records:
        yield from _rendered(page)
        last = page.records[-1]
        query = first.where(_by_time > (last.at, last.portal, last.seq, last.n))


def one(conn: Connection, decision_id: str) -> dict[str, object] | None:
    """Return one decision, as `decisions` yields it, or None."""
    place = place_of(decision_id)
    if place is None:
        return None
    query = select(table).where(is_decision(place))
    return next(_rendered(_page(conn, query)), None)


def changed_since(
    conn: Connection, cursor: Mapping[str, int]
) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Return decisions that were made, concluded or verified after the cursor, and the new cursor.

    A cursor is a number for each portal; `{}` is the beginning of the log, and `heads` its present
    end. Call again until the cursor stays the same: one call goes no further than a hundred entries
    of each portal.
    """
    changed: list[dict[str, object]] = []
    new = dict(cursor)
    for portal, last in sorted(heads(conn).items()):
        start = cursor.get(portal, 0)
        new[portal] = end = min(last, start + _WINDOW)
        if end > start:
            query = (
                select(table)
                .where(table.c.portal == portal, table.c.changed > start, table.c.changed <= end)
                .order_by(table.c.changed, table.c.seq, table.c.n)
            )
            changed += _rendered(_page(conn, query))
    return changed, new


def _filtered(
    since: datetime | None, workflow: str | None, rule: str | None, outcome: str | None
) -> Select[tuple[object, ...]]:
    query = select(table).order_by(table.c.at, table.c.portal, table.c.seq, table.c.n)
    if since is not None:
        query = query.where(table.c.at >= since)
    wanted = {"workflow_id": workflow, "rule": rule, "outcome": outcome}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(table.c[column] == value)
    return query


class _Page(NamedTuple):
    """Rows of the index, with the bodies and the evidence of their evaluations by (portal, seq)."""

    records: Sequence["Record[tuple[object, ...]]"]
    bodies: Mapping[tuple[str, int], str]
    contents: Mapping[tuple[str, int], str]


def _page(conn: Connection, query: Select[tuple[object, ...]]) -> _Page:
    records = conn.execute(query).all()
    wanted: dict[str, set[int]] = {}
    for record in records:
        wanted.setdefault(record.portal, set()).add(record.seq)
    bodies: dict[tuple[str, int], str] = {}
    contents: dict[tuple[str, int], str] = {}
    for portal, numbers in wanted.items():
        bodies |= _texts(conn, entries.c.body, portal, numbers)
        contents |= _texts(conn, evidence.c.content, portal, numbers)
    return _Page(records, bodies, contents)


def _texts(
    conn: Connection, column: Column[str], portal: str, numbers: Collection[int]
) -> dict[tuple[str, int], str]:
    table_of = column.table
    found = conn.execute(
        select(table_of.c.seq, column).where(
            table_of.c.portal == portal, table_of.c.seq.in_(sorted(numbers))
        )
    )
    return {(portal, seq): words for seq, words in found}


def _rendered(page: _Page) -> Iterator[dict[str, object]]:
    place: tuple[str, int] | None = None
    body: _Json = {}
    kept: _Json | None = None
    for record in page.records:
        if place != (record.portal, record.seq):  # decisions of one evaluation follow each other
            place = (record.portal, record.seq)
            body = json.loads(page.bodies.get(place, "{}"))
            kept = _parsed_evidence(page.contents.get(place))
        if body:  # its entry may be pruned between two statements
            yield _decision(record, body, kept)


def _parsed_evidence(content: str | None) -> _Json | None:
    """Return the evidence, `{"erased": n}` where entry n erased it; None where there is none."""
    kept: _Json | None = None if content is None else json.loads(content)
    return kept


def _decision(
    record: "Record[tuple[object, ...]]", body: _Json, kept: _Json | None
) -> dict[str, object]:
    erased = kept is not None and "erased" in kept
    content = None if erased else kept
    of = record.n - 1
    decided = body["decisions"][of]
    document = body["document"]
    shown: dict[str, object] = {
        "id": decision_name(record.portal, record.seq, record.n),
        "evaluation": f"{record.portal}-{record.seq}",
        "events": body["events"],
        "at": instant_text(record.at),
        "portal": record.portal,
        "trigger": body["trigger"],
        "event": body["event"],
        "event_names": body["event_names"] or None,
        "document": None if document is None else document["triple"],
        "workflow": _workflow(
            decided["workflow"], None if content is None else content["workflows"][of]
        ),
        "names": _names(content, of),
        "rule": decided["rule"],
        "because": decided["because"],
        "action": decided["action"],
        "reason": decided["reason"],
        "mode": decided["mode"],
        "ruleset": body["ruleset"],
        "conditions": _conditions(
            decided["conditions"], None if content is None else content["values"][of], erased=erased
        ),
        "facts": None if content is None else _facts(content),
        "outcome": record.outcome,
        "receipt": record.receipt,
        "verified_at": _text(record.verified_at),
        "detail": record.detail,
        "concluded_at": _text(record.concluded_at),
    }
    return shown | {"erased": True} if erased else shown


def _workflow(named: _Json | None, facts: _Json | None) -> _Json | None:
    """Return a workflow with its facts: `workflow.age` as `age`, `starter.id` within `starter`."""
    if named is None:
        return None
    workflow = {"id": named["id"], "template_id": named["template_id"]}
    for path, value in (facts or {}).items():
        room, _, name = path.partition(".")
        if room == "workflow":
            workflow.setdefault(name, value)
        else:
            workflow.setdefault(room, {})[name] = value
    template_id = workflow["template_id"]
    if template_id is not None and _NUMBER.fullmatch(template_id):
        workflow["template_id"] = int(template_id)
    return workflow


def _conditions(conditions: list[_Json], values: list[Any] | None, *, erased: bool) -> list[_Json]:
    """Return each test with its value, or marked as erased."""
    whole = []
    given: list[Any] = [(None, None)] * len(conditions) if values is None else values
    for condition, (value, why) in zip(conditions, given, strict=True):
        shown = {key: condition[key] for key in ("rule", "path", "test")}
        shown |= {"value": value, "holds": condition["holds"]}
        if why is not None:
            shown["why"] = why
        if "workflow" in condition:
            shown["workflow"] = condition["workflow"]
        if erased:
            shown["erased"] = True
        whole.append(shown)
    return whole


def _facts(content: _Json) -> _Json:
    """Return facts as the portal sent them; an unknown one as `{"unknown": why}`."""
    unknown = {path: {"unknown": why} for path, why in content["unknown"].items()}
    return {**content["facts"], **unknown}


def _names(content: _Json | None, of: int) -> _Json | None:
    """Return the names of a decision, where they were recorded and are not erased."""
    if content is None or "names" not in content:
        return None
    names: _Json | None = content["names"][of]
    return names


def _text(at: datetime | None) -> str | None:
    return None if at is None else instant_text(at)
