"""Writes the decision log: evaluations, intents, outcomes.

Every step appends an immutable entry to the portal's chain (`chain`) and updates the table
`decisions` in the same transaction. That table is only an index of the entries, with the working
state of what is still open. `reading.decisions` reads it, `open_stops` finds what is to be done,
`audit.verify` compares it with the entries.

An evaluation concludes deliveries. It writes how many (`events`), and each of its decisions shows
that number: to count what was acknowledged, add it up once for each evaluation.

An evaluation's id is `<portal>-<seq>`, that of its n-th decision `<portal>-<seq>-<n>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, update
from sqlalchemy import Row as Record

from responder.journal import chain, entries, would_kills
from responder.journal.entries import NewEvaluation
from responder.journal.naming import names
from responder.journal.open_stops import Stop, at_place
from responder.journal.telling import tellings
from responder.model import (
    OPEN_OUTCOMES,
    WOULD_OUTCOMES,
    Mode,
    Outcome,
)
from responder.store.database.tables import ACTING, OPEN
from responder.store.database.tables import decisions as table
from responder.store.decision_ids import Place, place_of
from responder.store.inbox import inbox

_CHUNK = 500
_PERHAPS_DONE = {"perhaps_done": True}

# Built once: building such a statement takes several times as long as carrying it out.
_IS_IT = and_(
    table.c.portal == bindparam("of"),
    table.c.seq == bindparam("evaluation_seq"),
    table.c.n == bindparam("place"),
)
_FIND_OPEN = select(table).where(_IS_IT, OPEN).with_for_update()
_INSERT = table.insert()
_UPDATE = update(table).where(_IS_IT)
_INTEND = _UPDATE.values(calls=table.c.calls + 1)
_ACTING_ON = select(table.c.workflow_id).where(
    table.c.portal == bindparam("of"),
    table.c.workflow_id.in_(bindparam("ids", expanding=True)),
    ACTING,
)


class NotOpen(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: a decision is concluded already or does not exist; nothing can be done about it."""


class AlreadyOpen(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: a workflow has an open stop already, and cannot have another."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ids that an evaluation and its decisions were given."""

    evaluation: str
    decisions: tuple[str, ...]


def record(tx: Connection, evaluation: NewEvaluation) -> Recorded:
    """Write an evaluation with all its decisions, and conclude its deliveries.

    Raise AlreadyOpen where it would open a second stop of one workflow, and AlreadyConcluded where
    a delivery does not wait any more.
    """
    _refuse_second_stops(tx, evaluation)
    seq = chain.append(
        tx,
        evaluation.portal,
        "evaluation",
        evaluation.at,
        entries.body(evaluation),
        entries.evidence(evaluation),
    )
    rows = [
        entries.index_row(evaluation, decision, seq, n)
        for n, decision in enumerate(evaluation.decisions, start=1)
    ]
    if rows:
        tx.execute(_INSERT, rows)
        named = [decision.names for decision in evaluation.decisions]
        names.write_words(tx, evaluation.portal, seq, evaluation.at, named)
        _watch(tx, evaluation, seq)
    name = f"{evaluation.portal}-{seq}"
    inbox.conclude(tx, evaluation.deliveries, name)
    return Recorded(name, tuple(f"{name}-{n}" for n in range(1, len(rows) + 1)))


def intend(
    tx: Connection,
    portal: str,
    decision_id: str,
    at: datetime,
    evidence: Mapping[str, object],
    approval: int | None = None,
) -> None:
    """Write the intent of a call. Once this is committed, the call may be sent.

    `approval` is the number of the entry in which somebody approved it, where that was needed.
    Raise NotOpen where the decision is settled, or belongs to another portal.
    """
    place = place_of(decision_id)
    if place is None or place[0] != portal:
        raise NotOpen(decision_id)
    found = _open_decision(tx, decision_id)
    body = {
        "decision": decision_id,
        "workflow_id": found.workflow_id,
        "rule": found.rule,
        "action": found.action,
        "call": found.calls + 1,
        "approval": approval,
    }
    seq = chain.append(tx, portal, "intent", at, body, evidence)
    tx.execute(
        _INTEND,
        {
            **_at(place),
            "outcome": Outcome.IN_DOUBT.value,
            "called_at": at,
            "due_at": at,  # a driver that dies here leaves it to the next one's first look
            "postponed_at": at,
            "unknown_id": False,
            "changed": seq,
        },
    )


def conclude(
    tx: Connection,
    decision_id: str,
    outcome: Outcome,
    *,
    at: datetime,
    receipt: bool | None = None,
    detail: str | None = None,
    verify_at: datetime | None = None,
    perhaps_done: bool = False,
) -> None:
    """Write the final outcome of an open decision; raise NotOpen where it has one already.

    What is to be told of it in the portal becomes due, or is dropped.
    """
    found = _open_decision(tx, decision_id)
    body = {
        "decision": decision_id,
        "outcome": outcome.value,
        "receipt": receipt,
        "detail": detail,
    }
    seq = chain.append(tx, found.portal, "outcome", at, body)
    if outcome in WOULD_OUTCOMES:
        would_kills.watch(
            tx, found.portal, found.seq, found.document, [(found.rule, found.workflow_id)], at
        )
    place = (found.portal, found.seq, found.n)
    tellings.concluded(tx, place, outcome, at)
    tx.execute(
        _UPDATE,
        {
            **_at(place),
            "outcome": outcome.value,
            "receipt": receipt,
            "detail": detail,
            "concluded_at": at,
            "verify_at": verify_at,
            "due_at": None,
            "changed": seq,
            "concluded": seq,
            **(_PERHAPS_DONE if perhaps_done else {}),  # no later step takes it back
        },
    )


def verified(tx: Connection, decision_id: str, at: datetime, *, absent: bool = True) -> None:
    """Write that a stopped workflow was looked for again, and was absent or had come back."""
    place = place_or_raise(decision_id)
    body = {"decision": decision_id, "absent": absent}
    seq = chain.append(tx, place[0], "verified", at, body)
    seen = {"verify_at": None, "verified_at": at if absent else None, "changed": seq}
    tx.execute(_UPDATE, {**_at(place), **seen})


def verify_later(tx: Connection, decision_id: str, verify_at: datetime | None) -> None:
    """Write when to look again for a stopped workflow, as it could not be done now. No entry."""
    tx.execute(_UPDATE, {**_at(place_or_raise(decision_id)), "verify_at": verify_at})


def postpone(
    tx: Connection,
    decision_id: str,
    outcome: Outcome,
    *,
    at: datetime,
    due_at: datetime | None,
    tries: int,
    detail: str | None,
    unknown_id: bool = False,
    hold: str | None = None,
    ready_at: datetime | None = None,
    perhaps_done: bool = False,
) -> None:
    """Write that an open decision stays open until later. Working state, no entry.

    `postponed_at` is when its present wait began: a step that does not change `due_at` does not
    change it either. Raise NotOpen where the decision is settled, ValueError where the outcome is
    not an open one.
    """
    if outcome not in OPEN_OUTCOMES:
        raise ValueError(f"{outcome} is final: conclude it")
    found = _open_decision(tx, decision_id)
    tx.execute(
        _UPDATE,
        {
            **_at((found.portal, found.seq, found.n)),
            "outcome": outcome.value,
            "due_at": due_at,
            "postponed_at": found.postponed_at if found.due_at == due_at else at,
            "tries": tries,
            "detail": detail,
            "unknown_id": unknown_id,
            "hold": hold,
            "ready_at": ready_at,
            **(_PERHAPS_DONE if perhaps_done else {}),  # no later step takes it back
        },
    )


def open_stop(tx: Connection, decision_id: str) -> Stop:
    """Return an open decision, locked until the transaction ends; raise NotOpen if not open."""
    _open_decision(tx, decision_id)
    place = place_or_raise(decision_id)
    return at_place(tx, place)[0]


def place_or_raise(decision_id: str) -> Place:
    """Return the key of a decision's row; raise NotOpen for a text that is no decision's id."""
    place = place_of(decision_id)
    if place is None:
        raise NotOpen(decision_id)
    return place


def control(tx: Connection, portal: str, at: datetime, body: Mapping[str, object]) -> int:
    """Write that a person, or the program itself, changed how the portal is driven."""
    return chain.append(tx, portal, "control", at, body)


def _at(place: Place) -> dict[str, object]:
    portal, seq, n = place
    return {"of": portal, "evaluation_seq": seq, "place": n}


def _open_decision(tx: Connection, decision_id: str) -> Record[tuple[object, ...]]:
    found = tx.execute(_FIND_OPEN, _at(place_or_raise(decision_id))).one_or_none()
    if found is None:
        raise NotOpen(decision_id)
    return found


def _watch(tx: Connection, evaluation: NewEvaluation, seq: int) -> None:
    """Add the evaluation's would-kills to the watch list, to see whether they end by themselves."""
    would = [
        (decision.rule, decision.workflow.id)
        for decision in evaluation.decisions
        if decision.outcome in WOULD_OUTCOMES
        and decision.rule is not None
        and decision.workflow is not None
    ]
    if would and evaluation.document is not None:
        would_kills.watch(tx, evaluation.portal, seq, evaluation.document.ref, would, evaluation.at)


def _refuse_second_stops(tx: Connection, evaluation: NewEvaluation) -> None:
    ids = [
        decision.workflow.id
        for decision in evaluation.decisions
        if decision.workflow is not None
        and decision.outcome in OPEN_OUTCOMES
        and decision.mode is not Mode.OBSERVE
    ]
    for start in range(0, len(ids), _CHUNK):
        some = {"of": evaluation.portal, "ids": ids[start : start + _CHUNK]}
        found = tx.execute(_ACTING_ON, some).scalar()
        if found is not None:
            raise AlreadyOpen(found)
    if len(set(ids)) < len(ids):
        raise AlreadyOpen("one evaluation condemns a workflow twice")
