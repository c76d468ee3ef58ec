"""Finds what is still to be done about condemned workflows, in the index of decisions."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, and_, func, select
from sqlalchemy import Row as Record

from responder.journal.approval_proof import Approval, approval_of
from responder.journal.entries import Spared, document_in, spared_in
from responder.model import KILLING, OPEN_OUTCOMES, Action, Document, Outcome, Trigger
from responder.store.database.tables import (
    ACTING,
    IN_A_SET,
    OPEN,
    TO_VERIFY,
    approvals,
    decisions,
    entries,
)
from responder.store.decision_ids import Place, decision_name, is_decision, place_of
from responder.store.inbox.second_looks import asked_in
from responder.store.limits import APPROVAL

MOST = 1_000
_CHUNK = 500

OF_DECISION = and_(
    approvals.c.portal == decisions.c.portal,
    approvals.c.seq == decisions.c.seq,
    approvals.c.n == decisions.c.n,
)
_APPROVAL_COLUMNS = (
    approvals.c.together,
    approvals.c.lapses_at,
    approvals.c.approved_at,
    approvals.c.approved_by,
    approvals.c.entry,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A condemned workflow, and how far stopping it has come.

    `asks`: it is called only once somebody has approved it; `lapses_at` is until when it waits for
    that. `asked` are the rules that were asked when it was condemned, where trigger and events do
    not select them; `alone` means that only this workflow was judged, because a call named it.
    `spared` are the workflows that its rule's `keep` left. It belongs to the set of its rule that
    `set_name` names, which has `begun` or not; `running` is how many workflows its run counted.
    """

    decision_id: str
    portal: str
    document: Document
    workflow_id: str
    rule: str
    action: Action
    trigger: Trigger
    event_names: tuple[str, ...]
    outcome: Outcome
    tries: int
    calls: int
    called_at: datetime | None
    unknown_id: bool
    shadow: bool
    ready_at: datetime | None
    due_at: datetime | None
    condemned_at: datetime
    asks: bool = False
    approval: Approval | None = None
    lapses_at: datetime | None = None
    asked: frozenset[str] | None = None
    alone: bool = False
    spared: Spared | None = None
    set_name: str | None = None
    begun: bool = False
    running: int | None = None
    postponed_at: datetime | None = None


def due(conn: Connection, portal: str, now: datetime, outcome: Outcome | None = None) -> list[Stop]:
    """Return the open stops that are due, the longest due first, a thousand at most."""
    chosen = [] if outcome is None else [decisions.c.outcome == outcome]
    return _stops(conn, portal, OPEN, decisions.c.due_at <= now, *chosen, order=decisions.c.due_at)


def unanswered(conn: Connection, portal: str, now: datetime) -> list[Stop]:
    """Return the stops that are held for approval and have expired unanswered."""
    held = (decisions.c.outcome == Outcome.HELD, decisions.c.hold == APPROVAL)
    return _stops(conn, portal, OPEN, decisions.c.due_at <= now, *held, order=decisions.c.due_at)


def in_doubt(conn: Connection, portal: str) -> list[Stop]:
    """Return the stops whose call may be under way."""
    doubted = decisions.c.outcome == Outcome.IN_DOUBT
    return _stops(conn, portal, OPEN, doubted, order=decisions.c.seq)


def open_stops(conn: Connection, portal: str) -> list[Stop]:
    """Return the open stops, due or not, the oldest first, a thousand at most."""
    return _stops(conn, portal, OPEN, order=decisions.c.seq)


def to_verify(conn: Connection, portal: str, now: datetime) -> list[Stop]:
    """Return the concluded stops whose workflow is to be looked for again, a thousand at most."""
    return _stops(
        conn, portal, TO_VERIFY, decisions.c.verify_at <= now, order=decisions.c.verify_at
    )


def next_to_verify(conn: Connection, portal: str, after: datetime) -> datetime | None:
    """Return when, after this instant, a stop is first to be looked for again; None for never."""
    query = select(func.min(decisions.c.verify_at)).where(
        decisions.c.portal == portal, TO_VERIFY, decisions.c.verify_at > after
    )
    return conn.execute(query).scalar()


class Decided(NamedTuple):
    """A decision of one rule on one workflow, as far as the next judgement needs it."""

    workflow_id: str
    rule: str
    action: Action
    outcome: Outcome
    hold: str | None
    shadow: bool
    ruleset: str
    due_at: datetime | None
    trigger: Trigger
    event_names: tuple[str, ...]
    asked: frozenset[str] | None


def known(conn: Connection, portal: str, workflow_ids: Sequence[str]) -> list[Decided]:
    """Return all decisions of killing rules on these workflows, the oldest first."""
    found: list[Decided] = []
    for start in range(0, len(workflow_ids), _CHUNK):
        query = (
            select(
                decisions.c.workflow_id,
                decisions.c.rule,
                decisions.c.action,
                decisions.c.outcome,
                decisions.c.hold,
                decisions.c.shadow,
                decisions.c.ruleset,
                decisions.c.due_at,
                decisions.c.trigger,
                decisions.c.event_names,
                decisions.c.asked,
            )
            .where(
                decisions.c.portal == portal,
                decisions.c.workflow_id.in_(workflow_ids[start : start + _CHUNK]),
                decisions.c.action.in_(KILLING),
                decisions.c.outcome.is_not(None),
            )
            .order_by(decisions.c.seq, decisions.c.n)
        )
        found += [
            Decided(
                workflow_id=one.workflow_id,
                rule=one.rule,
                action=Action(one.action),
                outcome=Outcome(one.outcome),
                hold=one.hold,
                shadow=one.shadow,
                ruleset=one.ruleset,
                due_at=one.due_at,
                trigger=one.trigger,
                event_names=tuple(json.loads(one.event_names)),
                asked=asked_in(one.asked),
            )
            for one in conn.execute(query)
        ]
    return found


def under_way(conn: Connection, portal: str, workflow_ids: Sequence[str]) -> set[str]:
    """Return those of these workflows that have an open stop."""
    return {
        one.workflow_id
        for one in known(conn, portal, workflow_ids)
        if one.outcome in OPEN_OUTCOMES and not one.shadow
    }


def tests_of(
    conn: Connection, portal: str, stops: Sequence[Stop]
) -> dict[str, dict[tuple[str, str], bool | None]]:
    """Return, by decision, how the tests of each stop's rule came out when it was condemned."""
    places = {place: stop for stop in stops if (place := place_of(stop.decision_id)) is not None}
    numbers = sorted({seq for _, seq, _ in places})
    bodies: dict[int, list[dict[str, Any]]] = {}
    for start in range(0, len(numbers), _CHUNK):
        query = select(entries.c.seq, entries.c.body).where(
            entries.c.portal == portal, entries.c.seq.in_(numbers[start : start + _CHUNK])
        )
        bodies |= {seq: json.loads(body)["decisions"] for seq, body in conn.execute(query)}
    return {
        stop.decision_id: {
            (test["path"], test["test"]): test["holds"]
            for test in bodies[seq][n - 1]["conditions"]
            if test["rule"] == stop.rule
        }
        for (_, seq, n), stop in places.items()
        if seq in bodies
    }


def busy(conn: Connection, portal: str, documents: Sequence[str], now: datetime) -> set[str]:
    """Return those of these documents on which more stops are due, or calls under way."""
    found: set[str] = set()
    for start in range(0, len(documents), _CHUNK):
        query = select(decisions.c.document).where(
            decisions.c.portal == portal,
            ACTING,
            decisions.c.outcome.in_((Outcome.WAITING, Outcome.IN_DOUBT)),
            decisions.c.due_at <= now,
            decisions.c.document.in_(documents[start : start + _CHUNK]),
        )
        found |= {one for one in conn.execute(query).scalars() if one is not None}
    return found


def due_among(
    conn: Connection, portal: str, workflow_ids: Sequence[str], before: datetime
) -> set[str]:
    """Return those of these workflows whose open stop is due before an instant."""
    found: set[str] = set()
    for start in range(0, len(workflow_ids), _CHUNK):
        query = select(decisions.c.workflow_id).where(
            decisions.c.portal == portal,
            decisions.c.workflow_id.in_(workflow_ids[start : start + _CHUNK]),
            ACTING,
            decisions.c.due_at < before,
        )
        found |= set(conn.execute(query).scalars())
    return found


def waiting_on(conn: Connection, portal: str, documents: Sequence[str]) -> list[Stop]:
    """Return the stops that wait on these documents, due or not."""
    if not documents:
        return []
    return _stops(
        conn,
        portal,
        OPEN,
        decisions.c.outcome == Outcome.WAITING,
        decisions.c.document.in_(documents),
        order=decisions.c.seq,
    )


def at_place(conn: Connection, place: Place) -> list[Stop]:
    """Return the open stop with this key, if there is one."""
    return _stops(conn, place[0], OPEN, is_decision(place), order=decisions.c.seq)


def of_set(
    conn: Connection,
    portal: str,
    rule: str,
    set_name: str,
    documents: Collection[str] | None = None,
) -> list[Stop]:
    """Return the waiting and held stops of a set on these documents, or on all, due or not."""
    chosen = [] if documents is None else [decisions.c.document.in_(sorted(documents))]
    return _stops(
        conn,
        portal,
        ACTING,
        IN_A_SET,
        decisions.c.set_name == set_name,
        decisions.c.rule == rule,
        decisions.c.outcome.in_((Outcome.WAITING, Outcome.HELD)),
        *chosen,
        order=decisions.c.seq,
        most=None,
    )


def still_waiting(tx: Connection, portal: str, waited: Sequence[Stop]) -> set[str]:
    """Return the ids of those of these stops that wait as they did when they were read.

    A stop that was held meanwhile, and released again, is not among them: it must be judged afresh,
    on facts read after its release.
    """
    wanted = {(place_of(stop.decision_id), stop.postponed_at): stop.decision_id for stop in waited}
    if not wanted:
        return set()
    of = (decisions.c.portal, decisions.c.seq, decisions.c.n)
    found = tx.execute(
        select(*of, decisions.c.postponed_at).where(
            decisions.c.portal == portal,
            decisions.c.seq.in_({place[1] for place, _ in wanted if place is not None}),
            OPEN,
            decisions.c.outcome == Outcome.WAITING,
        )
    )
    waits = (((portal, seq, n), postponed_at) for portal, seq, n, postponed_at in found)
    return {wanted[one] for one in waits if one in wanted}


def _stops(
    conn: Connection,
    portal: str,
    *conditions: object,
    order: ColumnElement[object],
    most: int | None = MOST,
) -> list[Stop]:
    found = conn.execute(
        select(decisions, *_APPROVAL_COLUMNS)
        .outerjoin(approvals, OF_DECISION)
        .where(decisions.c.portal == portal, *cast("list[ColumnElement[bool]]", conditions))
        .order_by(order, decisions.c.seq, decisions.c.n)
        .limit(most)
    )
    return [_stop(record) for record in found]


def _stop(record: Record[tuple[object, ...]]) -> Stop:
    return Stop(
        decision_id=decision_name(record.portal, record.seq, record.n),
        portal=record.portal,
        document=document_in(record.triple),
        workflow_id=record.workflow_id,
        rule=record.rule,
        action=Action(record.action),
        trigger=record.trigger,
        event_names=tuple(json.loads(record.event_names)),
        outcome=Outcome(record.outcome),
        tries=record.tries,
        calls=record.calls,
        called_at=record.called_at,
        unknown_id=record.unknown_id,
        shadow=record.shadow,
        ready_at=record.ready_at,
        due_at=record.due_at,
        condemned_at=record.at,
        asks=record.together is not None,
        approval=None if record.approved_at is None else approval_of(record),
        lapses_at=record.lapses_at,
        asked=asked_in(record.asked),
        # null in rows of an older version, where a robot's call may have named the workflow
        alone=record.trigger == "robot" if record.alone is None else record.alone,
        spared=spared_in(record.spared),
        set_name=record.set_name,
        begun=bool(record.begun),
        running=record.running,
        postponed_at=record.postponed_at,
    )
