"""Rules that ask first: which decisions wait for a person's approval, and who gave it.

A decision of a rule in mode `approve` has a row here from the moment it is written. It says what it
was condemned *together* with (by one rule, in one evaluation or one run), for that list is what
people approve. Once it is held, `lapses_at` says until when an answer is awaited; the same instant
is when the decision is due. An approval is for the decisions that it names, and for nothing that
came later. It makes them due at once: they are judged afresh, and called only if they still stand.

Approving writes one entry of the kind `control` for each portal, which names the decisions. The row
alone approves nothing: before a call, its entry is looked for (`is_in_log`), and the call's intent
names it.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    select,
    update,
)
from sqlalchemy import Row as Record

from responder.journal import chain
from responder.journal import record as journal
from responder.journal.approval_proof import Approval
from responder.journal.open_stops import OF_DECISION
from responder.model import Action, Outcome
from responder.store.canonical_json import instant_text
from responder.store.database.tables import ACTING, OPEN, approvals, decisions, entries, insert
from responder.store.decision_ids import Place, decision_name, is_decision, place_of
from responder.store.limits import APPROVAL

GOOD_FOR = timedelta(hours=24)
_HELD = and_(decisions.c.outcome == Outcome.HELD, decisions.c.hold == APPROVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A decision that is held until somebody approves it."""

    decision_id: str
    portal: str
    document: str
    workflow_id: str
    rule: str
    action: Action
    together: str
    condemned_at: datetime
    lapses_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How a decision stands that somebody wants to approve."""

    outcome: str | None
    detail: str | None
    hold: str | None
    lapses_at: datetime | None
    approved_at: datetime | None
    approved_by: str | None

    @property
    def asks(self) -> bool:
        """Tell whether it is held until somebody approves it."""
        return self.outcome == Outcome.HELD and self.hold == APPROVAL


def note(tx: Connection, decision_id: str, together: str | None = None) -> None:
    """Write that a decision is one that asks first, and what it was condemned together with.

    That is its evaluation, unless it was found by a run, which makes an evaluation a document.
    """
    portal, seq, n = journal.place_or_raise(decision_id)
    together = together or f"{portal}-{seq}"
    tx.execute(
        insert(tx, approvals)
        .values(portal=portal, seq=seq, n=n, together=together)
        .on_conflict_do_nothing()
    )


def ask(tx: Connection, decision_id: str, lapses_at: datetime, at: datetime) -> None:
    """Hold an open decision until somebody approves it, or it lapses. Raise NotOpen as `postpone`.

    What was asked before goes on: it keeps the list that it is of, and lapses when it would have.
    """
    note(tx, decision_id)
    asked = _at(journal.place_or_raise(decision_id))
    lapses_at = tx.execute(select(approvals.c.lapses_at).where(asked)).scalar() or lapses_at
    tx.execute(update(approvals).where(asked).values(lapses_at=lapses_at))
    journal.postpone(
        tx,
        decision_id,
        Outcome.HELD,
        at=at,
        due_at=lapses_at,
        tries=0,
        detail=f"held until somebody approves it: `responder approve {decision_id}`; "
        f"lapses at {instant_text(lapses_at)}",
        hold=APPROVAL,
    )


def asking(conn: Connection, portals: Collection[str], *, like: str | None = None) -> list[Asking]:
    """Return what is held until somebody approves it, the oldest first.

    With `like`, the name of a decision, only what one rule condemned together with it.
    """
    query = (
        _asking()
        .where(decisions.c.portal.in_(portals))
        .order_by(decisions.c.at, decisions.c.portal, decisions.c.seq, decisions.c.n)
    )
    if like is not None:
        place = place_of(like)
        found = None if place is None else conn.execute(_list_of(place)).one_or_none()
        if found is None:
            return []
        query = query.where(
            decisions.c.portal == found.portal,
            approvals.c.together == found.together,
            decisions.c.rule == found.rule,
        )
    return [_one(record) for record in conn.execute(query)]


def waiting(conn: Connection) -> dict[str, int]:
    """Count what is held until somebody approves it, in each portal that has any."""
    query = (
        select(decisions.c.portal, func.count().label("waiting"))
        .where(OPEN, _HELD)
        .group_by(decisions.c.portal)
    )
    return {record.portal: record.waiting for record in conn.execute(query)}


def overtake(tx: Connection, portal: str, workflow_id: str, rule: str, at: datetime) -> bool:
    """Clear a stop that is held until it is approved, as a rule that asks nobody condemns it now.

    Return False where there is none: it was approved or settled meanwhile.
    """
    chain.lock(tx, portal)
    found = tx.execute(
        select(decisions.c.portal, decisions.c.seq, decisions.c.n).where(
            decisions.c.portal == portal, decisions.c.workflow_id == workflow_id, ACTING, _HELD
        )
    ).one_or_none()
    if found is None:
        return False
    detail = f"rule {rule} condemns it now, and asks nobody"
    journal.conclude(tx, decision_name(*found), Outcome.CLEARED, at=at, detail=detail)
    return True


def find(tx: Connection, decision_id: str) -> Found | None:
    """Return how a decision stands, locked until the transaction ends; None if there is none."""
    place = place_of(decision_id)
    if place is None:
        return None
    locked = select(decisions).where(is_decision(place)).with_for_update()
    row = tx.execute(locked).one_or_none()
    if row is None:
        return None
    asked = tx.execute(select(approvals).where(_at(place))).one_or_none()
    return Found(
        outcome=row.outcome,
        detail=row.detail,
        hold=row.hold,
        lapses_at=None if asked is None else asked.lapses_at,
        approved_at=None if asked is None else asked.approved_at,
        approved_by=None if asked is None else asked.approved_by,
    )


def approve(tx: Connection, portal: str, decision_ids: Sequence[str], by: str, at: datetime) -> int:
    """Approve decisions of one portal that are held for it; return the number of the entry.

    They are due at once, and what is of one rule is a set. The caller has locked them by `find` and
    seen that they ask.
    """
    body = {"control": "approve", "decisions": list(decision_ids), "by": by}
    entry = journal.control(tx, portal, at, body)
    for name in decision_ids:
        place = journal.place_or_raise(name)
        tx.execute(
            update(approvals).where(_at(place)).values(approved_at=at, approved_by=by, entry=entry)
        )
        tx.execute(
            update(decisions)
            .where(is_decision(place), OPEN, _HELD)
            .values(
                outcome=Outcome.WAITING.value,
                hold=None,
                due_at=at,
                postponed_at=at,
                set_name=f"approval {entry}",
                begun=False,
                begun_by=None,
                detail=f"{approved_text(by, at)}; judged afresh first",
            )
        )
    return entry


def is_in_log(tx: Connection, decision_id: str, approval: Approval) -> bool:
    """Tell whether the entry that an approval names is there, and says what the approval says."""
    query = select(entries.c.at, entries.c.body).where(
        entries.c.portal == journal.place_or_raise(decision_id)[0],
        entries.c.seq == approval.entry,
        entries.c.kind == "control",
    )
    entry = tx.execute(query).one_or_none()
    return entry is not None and approval.is_told(decision_id, entry.at, json.loads(entry.body))


def approved_text(by: str, at: datetime) -> str:
    """Say who approved a decision and when."""
    return f"approved by {by} at {instant_text(at)}"


def _asking() -> Select[tuple[object, ...]]:
    return (
        select(decisions, approvals.c.together, approvals.c.lapses_at)
        .join(approvals, OF_DECISION)
        .where(OPEN, _HELD)
    )


def _one(record: Record[tuple[object, ...]]) -> Asking:
    return Asking(
        decision_id=decision_name(record.portal, record.seq, record.n),
        portal=record.portal,
        document=record.document,
        workflow_id=record.workflow_id,
        rule=record.rule,
        action=Action(record.action),
        together=record.together,
        condemned_at=record.at,
        lapses_at=record.lapses_at,
    )


def _list_of(place: Place) -> Select[tuple[str, str | None, str]]:
    return (
        select(decisions.c.portal, decisions.c.rule, approvals.c.together)
        .join(approvals, OF_DECISION)
        .where(is_decision(place))
    )


def _at(place: Place) -> ColumnElement[bool]:
    portal, seq, n = place
    return and_(approvals.c.portal == portal, approvals.c.seq == seq, approvals.c.n == n)
