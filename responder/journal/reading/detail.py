"""Reads all that the log has about one decision, for a page: its entries, evidence and siblings.

No index leads from a decision to the entries that name it; they are between its evaluation and its
last change. Where those are far apart (the decision waited for days), only the places where such
entries must be are searched: after the evaluation, before the last change, and around the call,
which is found by its time. So no decision costs more than some thousand short rows.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as Record

from responder.journal import restarts
from responder.journal.naming import names
from responder.journal.reading import decisions as log
from responder.journal.telling.shown import Told, told
from responder.model import OPEN_OUTCOMES, Names
from responder.store.canonical_json import canonical
from responder.store.database.tables import decisions, entries, evidence
from responder.store.decision_ids import Place, decision_name, is_decision, place_of

NEAR = 500
MOST_SIBLINGS = 100
_KINDS = ("intent", "outcome", "verified", "control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An entry of the chain that names the decision; `body` as it was written."""

    seq: int
    kind: str
    at: datetime
    hash: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another decision of the same evaluation."""

    id: str
    workflow_id: str | None
    rule: str | None
    outcome: str | None
    names: Names | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One decision, as the log prints it, with its steps, its evidence and its siblings.

    `proof` is the evidence of the newest call. `erased` is the entry that erased the facts. `whole`
    is false where evaluation and last change were too far apart to find every step. `told` is what
    was told of it in the portal.
    """

    decision: Mapping[str, Any]
    received_at: datetime | None
    hold: str | None
    due_at: datetime | None
    names: Names | None
    steps: tuple[Step, ...]
    whole: bool
    proof: Mapping[str, Any] | None
    erased: Step | None
    siblings: tuple[Sibling, ...]
    told: tuple[Told, ...] = ()


def detail(conn: Connection, decision_id: str, near: int = NEAR) -> Detail | None:
    """Return what the log has about a decision; None where there is none.

    `near` is how many entries are searched at each of the places.
    """
    decision = log.one(conn, decision_id)
    place = place_of(decision_id)
    if decision is None or place is None:
        return None
    row = conn.execute(select(decisions).where(is_decision(place))).one()
    steps, whole = _steps(conn, place, row, near)
    steps += _steps_of_restart(conn, decision_id, {step.seq for step in steps})
    intents = [step for step in steps if step.kind == "intent"]
    contents = _contents(conn, place, [place[1], *(step.seq for step in intents)])
    erasers = {seq: content["erased"] for seq, content in contents.items() if "erased" in content}
    return Detail(
        decision=decision,
        received_at=row.received_at,
        hold=row.hold,
        due_at=row.due_at if row.outcome in OPEN_OUTCOMES else None,
        names=names.from_text(row.names),
        steps=steps,
        whole=whole,
        proof=_proof(contents, intents, erasers),
        erased=next(iter(_entries(conn, place[0], list(erasers.values())[:1])), None),
        siblings=_siblings(conn, place),
        told=told(conn, decision_id),
    )


def _steps(
    conn: Connection, place: Place, row: "Record[tuple[object, ...]]", near: int
) -> tuple[tuple[Step, ...], bool]:
    """Return the entries that name a decision, beginning with its evaluation, and whether all."""
    portal, seq, _ = place
    last = max(row.changed, row.concluded or 0) + 1  # a control follows the outcome it brought
    if last - seq <= 4 * near:
        spans = [(seq, last)]
    else:
        spans = [(seq, seq + near), (last - near, last)]
        spans += [(at - near // 2, at + near // 2) for at in _around(conn, portal, row)]
    found: dict[int, Step] = {}
    for first, end in spans:
        found |= {one.seq: one for one in _speaking(conn, place, first, end)}
    evaluation = _entries(conn, portal, [seq])
    steps = (*evaluation, *(found[number] for number in sorted(found)))
    called = sum(step.kind == "intent" for step in steps)
    return steps, len(spans) == 1 or called >= row.calls


def _steps_of_restart(
    conn: Connection, decision_id: str, known: Collection[int]
) -> tuple[Step, ...]:
    """Return the entries of a restart that are not known: they may be much later than all else."""
    restart = restarts.find(conn, decision_id)
    if restart is None:
        return ()
    numbers = [number for number in restart.numbers if number not in known]
    return tuple(sorted(_entries(conn, restart.portal, numbers), key=lambda step: step.seq))


def _around(conn: Connection, portal: str, row: "Record[tuple[object, ...]]") -> Iterator[int]:
    """Yield the numbers of entries near the decision's conclusion and its last call."""
    if row.concluded is not None:
        yield row.concluded
    if row.called_at is None:
        return
    low, high = row.seq, row.changed
    while low < high:
        middle = (low + high) // 2
        at = conn.execute(
            select(entries.c.at).where(entries.c.portal == portal, entries.c.seq == middle)
        ).scalar()
        if at is not None and at < row.called_at:
            low = middle + 1
        else:
            high = middle
    yield low


def _speaking(conn: Connection, place: Place, first: int, last: int) -> Iterator[Step]:
    portal, seq, _ = place
    named = canonical(decision_name(*place))  # as one value, or in the list of an approval
    found = conn.execute(
        select(entries)
        .where(
            entries.c.portal == portal,
            entries.c.seq > max(first, seq),
            entries.c.seq <= last,
            entries.c.kind.in_(_KINDS),
            entries.c.body.contains(named, autoescape=True),
        )
        .order_by(entries.c.seq)
    )
    return map(_step, found)


def _entries(conn: Connection, portal: str, numbers: Sequence[int]) -> list[Step]:
    query = select(entries).where(entries.c.portal == portal, entries.c.seq.in_(numbers))
    return [_step(record) for record in conn.execute(query)]


def _step(record: "Record[tuple[object, ...]]") -> Step:
    return Step(
        seq=record.seq,
        kind=record.kind,
        at=record.at,
        hash=record.hash,
        body=json.loads(record.body),
    )


def _contents(
    conn: Connection, place: Place, numbers: Sequence[int]
) -> dict[int, Mapping[str, Any]]:
    found = conn.execute(
        select(evidence.c.seq, evidence.c.content)
        .where(evidence.c.portal == place[0], evidence.c.seq.in_(numbers))
        .order_by(evidence.c.seq)
    )
    return {seq: json.loads(content) for seq, content in found}


def _proof(
    contents: Mapping[int, Mapping[str, Any]],
    intents: Sequence[Step],
    erasers: Mapping[int, object],
) -> Mapping[str, Any] | None:
    kept = [contents[one.seq] for one in intents if one.seq in contents and one.seq not in erasers]
    return kept[-1] if kept else None


def _siblings(conn: Connection, place: Place) -> tuple[Sibling, ...]:
    portal, seq, n = place
    found = conn.execute(
        select(decisions)
        .where(decisions.c.portal == portal, decisions.c.seq == seq, decisions.c.n != n)
        .order_by(decisions.c.n)
        .limit(MOST_SIBLINGS + 1)  # one more shows that there are more
    )
    return tuple(
        Sibling(
            id=decision_name(portal, seq, record.n),
            workflow_id=record.workflow_id,
            rule=record.rule,
            outcome=record.outcome,
            names=names.from_text(record.names),
        )
        for record in found
    )
