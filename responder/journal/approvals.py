"""Stores which decisions need a person's approval, and who gave it.

A decision of a rule in mode `approve` has a row here from the moment it is written. Its column
`together` is the same for all that one rule condemned in one evaluation or one run, since people
approve that list. Once the decision is held, `lapses_at` is when it expires unanswered; it is also
when the decision is due. An approval covers the decisions that it names and nothing that came
later. It makes them due at once: they are judged afresh, and called only if they are condemned
again.

Approving writes one entry of the kind `control` for each portal, which names the decisions. The row
alone approves nothing: before a call its entry is searched for (`is_in_log`), and the call's intent
names it.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

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
from responder.journal.naming import names
from responder.journal.open_stops import OF_DECISION
from responder.model import Action, Names, Outcome
from responder.store.canonical_json import instant_text
from responder.store.database.tables import ACTING, OPEN, approvals, decisions, entries, insert
from responder.store.decision_ids import Place, decision_name, is_decision, place_of
from responder.store.limits import APPROVAL

GOOD_FOR = timedelta(hours=24)
_HELD = and_(decisions.c.outcome == Outcome.HELD, decisions.c.hold == APPROVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingApproval:
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
    names: Names | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalState:
    """The state of a decision that somebody wants to approve."""

    outcome: str | None
    detail: str | None
    hold: str | None
    lapses_at: datetime | None
    approved_at: datetime | None
    approved_by: str | None

    @property
    def is_pending(self) -> bool:
        """Return whether the decision is held until somebody approves it."""
        return self.outcome == Outcome.HELD and self.hold == APPROVAL


class Asking(NamedTuple):
    """The number of decisions that wait for approval, the oldest, and when the first lapses."""

    waiting: int
    since: datetime
    lapses_at: datetime | None


def add(tx: Connection, decision_id: str, together: str | None = None) -> None:
    """Write that a decision needs approval, and in which list it is approved.

    That list is its evaluation's, unless a run found it: a run makes an evaluation for each
    document.
    """
    portal, seq, n = journal.place_or_raise(decision_id)
    together = together or f"{portal}-{seq}"
    tx.execute(
        insert(tx, approvals)
        .values(portal=portal, seq=seq, n=n, together=together)
        .on_conflict_do_nothing()
    )


def ask(tx: Connection, decision_id: str, lapses_at: datetime, at: datetime) -> None:
    """Write that an open decision is held until approved or expired; raise NotOpen as `postpone`.

    A decision that waited for approval before keeps its list and its expiry.
    """
    add(tx, decision_id)
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


def pending(
    conn: Connection,
    portals: Collection[str],
    *,
    like: str | None = None,
    rule: str | None = None,
    most: int | None = None,
) -> list[PendingApproval]:
    """Return the decisions that are held until somebody approves them, the oldest first.

    With `like`, the id of a decision, only those of the same rule and the same list; with `rule`,
    those of that rule; with `most`, so many at most.
    """
    query = (
        _pending_query()
        .where(decisions.c.portal.in_(portals))
        .order_by(decisions.c.at, decisions.c.portal, decisions.c.seq, decisions.c.n)
        .limit(most)
    )
    if rule is not None:
        query = query.where(decisions.c.rule == rule)
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
    return [_pending_of(record) for record in conn.execute(query)]


def pending_among(conn: Connection, decision_ids: Collection[str]) -> list[PendingApproval]:
    """Return those of these decisions that are held until somebody approves them, in this order."""
    found = []
    for name in dict.fromkeys(decision_ids):
        place = place_of(name)
        query = None if place is None else _pending_query().where(is_decision(place))
        row = None if query is None else conn.execute(query).one_or_none()
        if row is not None:
            found.append(_pending_of(row))
    return found


def first_to_lapse(conn: Connection, portals: Collection[str], most: int) -> list[PendingApproval]:
    """Return a few of the decisions that wait for approval, the first to lapse first."""
    query = (
        _pending_query()
        .where(decisions.c.portal.in_(portals))
        .order_by(approvals.c.lapses_at, decisions.c.portal, decisions.c.seq, decisions.c.n)
        .limit(most)
    )
    return [_pending_of(record) for record in conn.execute(query)]


def count_pending(conn: Connection, rule: str | None = None) -> dict[str, int]:
    """Count the decisions that wait for approval (of a rule), in each portal that has any."""
    query = (
        select(decisions.c.portal, func.count().label("waiting"))
        .where(OPEN, _HELD)
        .group_by(decisions.c.portal)
    )
    if rule is not None:
        query = query.where(decisions.c.rule == rule)
    return {record.portal: record.waiting for record in conn.execute(query)}


def asking(conn: Connection) -> dict[str, Asking]:
    """Return what waits for approval, in each portal that has any."""
    query = (
        select(
            decisions.c.portal,
            func.count().label("waiting"),
            func.min(decisions.c.at).label("since"),
            func.min(approvals.c.lapses_at).label("lapses_at"),
        )
        .join(approvals, OF_DECISION)
        .where(OPEN, _HELD)
        .group_by(decisions.c.portal)
    )
    return {
        row.portal: Asking(row.waiting, row.since, row.lapses_at) for row in conn.execute(query)
    }


def lapsed(conn: Connection, since: datetime) -> dict[str, int]:
    """Count, by portal, the decisions that lapsed since then because nobody approved them."""
    query = (
        select(decisions.c.portal, func.count().label("lapsed"))
        .join(approvals, OF_DECISION)
        .where(
            decisions.c.outcome == Outcome.CANCELLED,
            decisions.c.at >= since - 2 * GOOD_FOR,
            decisions.c.concluded_at >= since,
            approvals.c.approved_at.is_(None),
            approvals.c.lapses_at <= decisions.c.concluded_at,
        )
        .group_by(decisions.c.portal)
    )
    return {row.portal: row.lapsed for row in conn.execute(query)}


def clear_unapproved(
    tx: Connection, portal: str, workflow_id: str, rule: str, at: datetime
) -> bool:
    """Conclude (`cleared`) a stop that waits for approval, as an enforce rule now condemns it.

    Return False where there is none: it was approved or concluded meanwhile.
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


def find(tx: Connection, decision_id: str) -> ApprovalState | None:
    """Return the state of a decision, locked until the transaction ends; None if there is none."""
    place = place_of(decision_id)
    if place is None:
        return None
    locked = select(decisions).where(is_decision(place)).with_for_update()
    row = tx.execute(locked).one_or_none()
    if row is None:
        return None
    asked = tx.execute(select(approvals).where(_at(place))).one_or_none()
    return ApprovalState(
        outcome=row.outcome,
        detail=row.detail,
        hold=row.hold,
        lapses_at=None if asked is None else asked.lapses_at,
        approved_at=None if asked is None else asked.approved_at,
        approved_by=None if asked is None else asked.approved_by,
    )


def approve(tx: Connection, portal: str, decision_ids: Sequence[str], by: str, at: datetime) -> int:
    """Approve decisions of one portal that wait for it; return the number of the control entry.

    They are due at once, and those of one rule become one set. The caller has locked them with
    `find` and checked that they are pending.
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
    """Return whether the control entry that an approval names exists, and records it."""
    query = select(entries.c.at, entries.c.body).where(
        entries.c.portal == journal.place_or_raise(decision_id)[0],
        entries.c.seq == approval.entry,
        entries.c.kind == "control",
    )
    entry = tx.execute(query).one_or_none()
    return entry is not None and approval.is_recorded_in(
        decision_id, entry.at, json.loads(entry.body)
    )


def approved_text(by: str, at: datetime) -> str:
    """Return the words for who approved a decision and when."""
    return f"approved by {by} at {instant_text(at)}"


def _pending_query() -> Select[tuple[object, ...]]:
    return (
        select(decisions, approvals.c.together, approvals.c.lapses_at)
        .join(approvals, OF_DECISION)
        .where(OPEN, _HELD)
    )


def _pending_of(record: Record[tuple[object, ...]]) -> PendingApproval:
    return PendingApproval(
        decision_id=decision_name(record.portal, record.seq, record.n),
        portal=record.portal,
        document=record.document,
        workflow_id=record.workflow_id,
        rule=record.rule,
        action=Action(record.action),
        together=record.together,
        condemned_at=record.at,
        lapses_at=record.lapses_at,
        names=names.from_text(record.names),
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
