"""Writes the decision log: evaluations, intents, outcomes.

Every step appends an immutable entry to the portal's chain (`chain`) and updates the table
`decisions` in the same transaction. That table is only an index of the entries, with the working
state of what is still open. `reading.decisions` reads it, `open_stops` finds what is to be done,
`audit.verify` compares it with the entries.

An evaluation concludes deliveries. It writes how many (`events`), and each of its decisions shows
that number: to count what was acknowledged, add it up once for each evaluation.

An evaluation's id is `<portal>-<seq>`, that of its n-th decision `<portal>-<seq>-<n>`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, update
from sqlalchemy import Row as Record

from responder.journal import chain, entries, would_kills
from responder.journal.entries import NewEvaluation, NewIntent, NewOutcome
from responder.journal.naming import names
from responder.journal.open_stops import Stop, at_place
from responder.journal.telling import tellings
from responder.model import (
    OPEN_OUTCOMES,
    WOULD_OUTCOMES,
    Mode,
    Outcome,
)
from responder.store.database.many_rows import RowInsert, RowUpdate
from responder.store.database.tables import ACTING, OPEN
from responder.store.database.tables import decisions as table
from responder.store.decision_ids import Place, place_of
from responder.store.inbox import inbox

_CHUNK = 500
_KEY = ("portal", "seq", "n")

# Built once: building such a statement takes several times as long as carrying it out.
_IS_IT = and_(
    table.c.portal == bindparam("of"),
    table.c.seq == bindparam("evaluation_seq"),
    table.c.n == bindparam("place"),
)
_FIND_OPEN = select(table).where(_IS_IT, OPEN).with_for_update()
_FIND_ALL_OPEN = (
    select(table)
    .where(
        table.c.portal == bindparam("of"),
        table.c.seq.in_(bindparam("evaluations", expanding=True)),
        table.c.n.in_(bindparam("places", expanding=True)),
        OPEN,
    )
    .with_for_update()
)
_INSERT = RowInsert(table)
_UPDATE = update(table).where(_IS_IT)
_INTEND = RowUpdate(
    table,
    _KEY,
    ("outcome", "called_at", "due_at", "postponed_at", "unknown_id", "changed"),
    also={"calls": table.c.calls + 1},
)
_CONCLUDE = RowUpdate(
    table,
    _KEY,
    (
        "outcome",
        "receipt",
        "detail",
        "concluded_at",
        "verify_at",
        "perhaps_done",
        "changed",
        "concluded",
    ),
    also={"due_at": None},
)
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
    return record_all(tx, [evaluation])[0]


def record_all(tx: Connection, evaluations: Sequence[NewEvaluation]) -> list[Recorded]:
    """Write evaluations in their order, as `record` does; several cost few statements more."""
    _refuse_second_stops(tx, evaluations)
    rows: list[dict[str, object]] = []
    words: list[dict[str, object]] = []
    recorded: list[Recorded] = []
    for evaluation in evaluations:
        portal, at, of_it = evaluation.portal, evaluation.at, evaluation.decisions
        body, content = entries.body(evaluation), entries.evidence(evaluation)
        seq = chain.append(tx, portal, "evaluation", at, body, content)
        rows += [
            entries.index_row(evaluation, decision, seq, n)
            for n, decision in enumerate(of_it, start=1)
        ]
        words += names.word_rows(portal, seq, at, [decision.names for decision in of_it])
        _watch(tx, evaluation, seq)
        name = f"{portal}-{seq}"
        places = range(1, len(of_it) + 1)
        recorded.append(Recorded(name, tuple(f"{name}-{n}" for n in places)))
    _INSERT.run(tx, rows)
    names.write_words(tx, words)
    concluded = zip(recorded, evaluations, strict=True)
    inbox.conclude_all(tx, [(one.evaluation, of.deliveries) for one, of in concluded])
    return recorded


def intend(
    tx: Connection,
    portal: str,
    decision_id: str,
    at: datetime,
    evidence: Mapping[str, object],
    approval: int | None = None,
) -> None:
    """Write the intent of one call, as `intend_all` does."""
    new = NewIntent(decision_id=decision_id, evidence=evidence, approval=approval)
    intend_all(tx, portal, [new], at)


def intend_all(tx: Connection, portal: str, intents: Sequence[NewIntent], at: datetime) -> None:
    """Write the intents of calls. Once this is committed, the calls may be sent.

    Raise NotOpen where a decision is settled, or belongs to another portal.
    """
    found = _open_decisions(tx, portal, [one.decision_id for one in intents])
    rows: list[dict[str, object]] = []
    for new in intents:
        decision = found[new.decision_id]
        body = {
            "decision": new.decision_id,
            "workflow_id": decision.workflow_id,
            "rule": decision.rule,
            "action": decision.action,
            "call": decision.calls + 1,
            "approval": new.approval,
        }
        row = {
            "outcome": Outcome.IN_DOUBT.value,
            "called_at": at,
            "due_at": at,  # a driver that dies here leaves it to the next one's first look
            "postponed_at": at,
            "unknown_id": False,
            "changed": chain.append(tx, portal, "intent", at, body, new.evidence),
        }
        rows.append(_key(decision) | row)
    _INTEND.run(tx, rows)


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
    """Write the final outcome of one open decision, as `conclude_all` does."""
    new = NewOutcome(
        decision_id=decision_id,
        outcome=outcome,
        receipt=receipt,
        detail=detail,
        verify_at=verify_at,
        perhaps_done=perhaps_done,
    )
    conclude_all(tx, place_or_raise(decision_id)[0], [new], at)


def conclude_all(tx: Connection, portal: str, outcomes: Sequence[NewOutcome], at: datetime) -> None:
    """Write the final outcomes of open decisions; raise NotOpen where one has its outcome already.

    What is to be told of them in the portal becomes due, or is dropped.
    """
    found = _open_decisions(tx, portal, [one.decision_id for one in outcomes])
    told = tellings.told_of(tx, _among([place_or_raise(name) for name in found]))
    rows: list[dict[str, object]] = []
    for new in outcomes:
        decision = found[new.decision_id]
        body = {
            "decision": new.decision_id,
            "outcome": new.outcome.value,
            "receipt": new.receipt,
            "detail": new.detail,
        }
        seq = chain.append(tx, portal, "outcome", at, body)
        if new.outcome in WOULD_OUTCOMES:
            would = [(decision.rule, decision.workflow_id)]
            would_kills.watch(tx, portal, decision.seq, decision.document, would, at)
        place = (portal, decision.seq, decision.n)
        if place in told:
            tellings.concluded(tx, place, new.outcome, at)
        row = {
            "outcome": new.outcome.value,
            "receipt": new.receipt,
            "detail": new.detail,
            "concluded_at": at,
            "verify_at": new.verify_at,
            "perhaps_done": new.perhaps_done or decision.perhaps_done,  # no step takes it back
            "changed": seq,
            "concluded": seq,
        }
        rows.append(_key(decision) | row)
    _CONCLUDE.run(tx, rows)


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
            **({"perhaps_done": True} if perhaps_done else {}),  # no later step takes it back
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


def _key(decision: Record[tuple[object, ...]]) -> dict[str, object]:
    return {"portal": decision.portal, "seq": decision.seq, "n": decision.n}


def _at(place: Place) -> dict[str, object]:
    portal, seq, n = place
    return {"of": portal, "evaluation_seq": seq, "place": n}


def _open_decision(tx: Connection, decision_id: str) -> Record[tuple[object, ...]]:
    found = tx.execute(_FIND_OPEN, _at(place_or_raise(decision_id))).one_or_none()
    if found is None:
        raise NotOpen(decision_id)
    return found


def _open_decisions(
    tx: Connection, portal: str, decision_ids: Sequence[str]
) -> dict[str, Record[tuple[object, ...]]]:
    """Return these open decisions of a portal by their ids, locked until the transaction ends.

    The head of the chain is locked first, as by whoever approves or cancels. Raise NotOpen where
    one is settled, is another portal's, or comes twice.
    """
    places = {place_or_raise(name): name for name in decision_ids}
    if len(places) < len(decision_ids) or any(place[0] != portal for place in places):
        raise NotOpen(", ".join(decision_ids))
    chain.lock(tx, portal)
    found = tx.execute(_FIND_ALL_OPEN, _among(places))
    rows = {(row.portal, row.seq, row.n): row for row in found}
    for place, name in places.items():
        if place not in rows:
            raise NotOpen(name)
    return {name: rows[place] for place, name in places.items()}


def _among(places: Collection[Place]) -> dict[str, object]:
    """Return the parameters that select these decisions of one portal, and few others."""
    return {
        "of": next(iter(places))[0],
        "evaluations": sorted({seq for _, seq, _ in places}),
        "places": sorted({n for _, _, n in places}),
    }


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


def _refuse_second_stops(tx: Connection, evaluations: Sequence[NewEvaluation]) -> None:
    ids: dict[str, list[str]] = {}
    for evaluation in evaluations:
        ids.setdefault(evaluation.portal, []).extend(
            decision.workflow.id
            for decision in evaluation.decisions
            if decision.workflow is not None
            and decision.outcome in OPEN_OUTCOMES
            and decision.mode is not Mode.OBSERVE
        )
    for portal, of_it in ids.items():
        for start in range(0, len(of_it), _CHUNK):
            some = {"of": portal, "ids": of_it[start : start + _CHUNK]}
            found = tx.execute(_ACTING_ON, some).scalar()
            if found is not None:
                raise AlreadyOpen(found)
        if len(set(of_it)) < len(of_it):
            raise AlreadyOpen("a workflow is condemned twice at once")
