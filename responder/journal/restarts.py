"""Stores which stopped workflows people start anew, and writes each step into the log.

A restart has a row, by the decision that stopped the workflow: so there is one at most. It is
`waiting` from the request on, `called` once its intent is committed, and `done` at the end, with
one of three outcomes:

    started    the portal gave the id of a new workflow
    refused    nothing was started; somebody may ask again
    in_doubt   it may have been started; nobody may ask again, here

Each of the three steps writes an entry of the kind `control` (`restart`, `restart_call`,
`restart_end`), which names the decision and the person who asked. The row alone starts nothing:
before the call the entry of its request is searched for. The call is sent once, after the commit of
its entry, and never again: a row that is `called` when a driver begins is settled by looking at the
document.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, select, update
from sqlalchemy import Row as Record

from responder.journal import chain, entries
from responder.journal import record as journal
from responder.model import STOPPED, Action, Document
from responder.store.canonical_json import canonical, instant_text
from responder.store.database.columns import clean
from responder.store.database.portal_tables import UNFINISHED
from responder.store.database.portal_tables import restarts as table
from responder.store.database.tables import decisions, evidence, insert
from responder.store.database.tables import entries as log
from responder.store.decision_ids import Place, decision_name, is_decision, place_of

Outcome = Literal["started", "refused", "in_doubt"]

MOST = 20  # read at once
_OF_DECISION = and_(
    table.c.portal == decisions.c.portal,
    table.c.seq == decisions.c.seq,
    table.c.n == decisions.c.n,
)


OBJECTION = "would condemn"  # in the detail of a restart that the rules refused, and of no other


class NotRestartable(Exception):  # noqa: N818 - it says what is wrong with the question
    """A decision whose workflow cannot be started anew; the text says why."""


class NotAsked(Exception):  # noqa: N818 - it says a state, not a mistake
    """A state: the log has no entry that says what the row says of who asked for it, and for what.

    So the row was written, or changed, by somebody else than this program.
    """


class NotWaiting(Exception):  # noqa: N818 - it says a state, not a mistake
    """A state: the restart was withdrawn, ended or pruned meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A restart as its row has it, with what its decision says of the workflow.

    `running` are the workflows that ran on the document before the call. `numbers` are those of its
    entries in the chain.
    """

    decision_id: str
    portal: str
    document: Document
    workflow_id: str
    template_id: str
    rule: str
    action: Action
    state: Literal["waiting", "called", "done"]
    anyway: bool
    by: str
    at: datetime
    entry: int
    called_at: datetime | None
    running: tuple[str, ...]
    ended_at: datetime | None
    outcome: Outcome | None
    started_id: str | None
    detail: str | None
    numbers: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """Return in words who asked for it, when, and what came of it."""
        asked = f"asked for by {self.by} at {instant_text(self.at)}"
        match self.outcome:
            case None:
                return f"{asked}; under way"
            case "started":
                return f"{asked}; started as workflow {self.started_id}"
            case "refused":
                return f"{asked}; nothing was started: {self.detail}"
            case "in_doubt":
                return f"{asked}; in doubt: {self.detail}"

    @property
    def needs_anyway(self) -> bool:
        """Return whether it was refused only because the rules object to the new workflow."""
        return self.outcome == "refused" and not self.anyway and OBJECTION in (self.detail or "")

    def as_json(self) -> dict[str, object]:
        """Return it as one JSON object, without what its decision says."""
        return {
            "state": self.state,
            "outcome": self.outcome,
            "workflow": self.started_id,
            "detail": self.detail,
            "anyway": self.anyway,
            "by": self.by,
            "at": instant_text(self.at),
        }

    @property
    def may_be_asked_again(self) -> bool:
        """Return whether it is certain that nothing was started."""
        return self.outcome == "refused"


def ask(tx: Connection, decision_id: str, *, anyway: bool, by: str, at: datetime) -> None:
    """Write that somebody wants a decision's workflow started anew; raise NotRestartable.

    With `anyway`, it is started even if the rules would condemn it at once.
    """
    place = place_of(decision_id)
    if place is None:
        raise NotRestartable(f"there is no decision {decision_id}")
    chain.lock(tx, place[0])
    why = _why_not(tx, place, find(tx, decision_id))
    if why is not None:
        raise NotRestartable(why)
    body = {"control": "restart", "decision": decision_id, "by": by, "anyway": anyway}
    entry = journal.control(tx, place[0], at, body)
    asked: dict[str, object] = {"state": "waiting", "anyway": anyway, "by": by, "at": at}
    asked["entry"] = entry
    blank = dict.fromkeys(_OF_LATER_STEPS)  # of an earlier request that was refused
    portal, seq, n = place
    tx.execute(
        insert(tx, table)
        .values(portal=portal, seq=seq, n=n, **asked)
        .on_conflict_do_update(index_elements=["portal", "seq", "n"], set_=asked | blank)
    )


_OF_LATER_STEPS = (
    "called_at",
    "call_entry",
    "running",
    "ended_at",
    "end_entry",
    "outcome",
    "workflow_id",
    "detail",
)


def why_not(conn: Connection, decision_id: str) -> str | None:
    """Return why a decision's workflow cannot be started anew, in words; None where it can."""
    place = place_of(decision_id)
    if place is None:
        return f"there is no decision {decision_id}"
    return _why_not(conn, place, find(conn, decision_id))


def _why_not(conn: Connection, place: Place, before: Restart | None) -> str | None:
    name = decision_name(*place)
    row = conn.execute(select(decisions).where(is_decision(place))).one_or_none()
    if row is None:
        return f"there is no decision {name}"
    if row.outcome not in STOPPED:
        return f"{name} stopped nothing: it is {row.outcome or 'none, which condemned nothing'}"
    if row.template_id is None:
        return f"it is not known from which template workflow {row.workflow_id} was started"
    if row.triple is None or _is_erased(conn, place):
        return f"the facts behind {name} were erased"
    if before is None or before.may_be_asked_again:
        return None
    return f"it was asked for by {before.by} at {instant_text(before.at)}, and {_state(before)}"


def _state(before: Restart) -> str:
    """Return in words what became of an earlier request."""
    if before.outcome == "started":
        return f"workflow {before.started_id} was started"
    if before.outcome == "in_doubt":
        return (
            "whether a workflow was started is not known: look at the document in the portal, and "
            "start it there if it is missing"
        )
    return "it is under way"


def _is_erased(conn: Connection, place: Place) -> bool:
    portal, seq, _ = place
    query = select(evidence.c.salt).where(evidence.c.portal == portal, evidence.c.seq == seq)
    return conn.execute(query).scalar() == ""


def call(tx: Connection, one: Restart, running: Sequence[str], at: datetime) -> None:
    """Write the intent of the call; once this is committed, it may be sent.

    Raise NotWaiting, or NotAsked: the row alone starts nothing.
    """
    chain.lock(tx, one.portal)
    _require(tx, one, "waiting")
    body = _body("restart_call", one) | {
        "document": one.document.ref,
        "template_id": one.template_id,
        "running": list(running),
    }
    entry = journal.control(tx, one.portal, at, body)
    tx.execute(
        update(table)
        .where(_at(one.decision_id))
        .values(state="called", called_at=at, call_entry=entry, running=canonical(list(running)))
    )


def end(
    tx: Connection,
    one: Restart,
    outcome: Outcome,
    at: datetime,
    *,
    detail: str | None = None,
    started_id: str | None = None,
    began: Sequence[str] | None = None,
) -> None:
    """Write what came of a restart; raise NotWaiting where that is written already, or NotAsked.

    `began` are the workflows that began on the document since the call, where that was looked for.
    """
    chain.lock(tx, one.portal)
    _require(tx, one, one.state)
    body = _body("restart_end", one) | {
        "outcome": outcome,
        "workflow_id": started_id,
        "detail": detail,
        "began": None if began is None else list(began),
    }
    entry = journal.control(tx, one.portal, at, body)
    tx.execute(
        update(table)
        .where(_at(one.decision_id))
        .values(
            state="done",
            ended_at=at,
            end_entry=entry,
            outcome=outcome,
            workflow_id=started_id,
            detail=detail,
        )
    )


def reject(tx: Connection, one: Restart, at: datetime) -> None:
    """Write that nothing comes of a row that no entry bears out; raise NotWaiting.

    That is no entry either, so `audit verify` still finds the row. Somebody may ask properly.
    """
    _require_state(tx, one, one.state)
    why = f"no entry of the log says that {one.by} asked for it"
    ended = {"state": "done", "ended_at": at, "outcome": "refused", "detail": why}
    tx.execute(update(table).where(_at(one.decision_id)).values(**ended))


def _is_asked_in_log(tx: Connection, one: Restart) -> bool:
    """Return whether the entry that a row names exists, and records this very request."""
    query = select(log.c.at, log.c.body).where(
        log.c.portal == one.portal, log.c.seq == one.entry, log.c.kind == "control"
    )
    found = tx.execute(query).one_or_none()
    return found is not None and found.at == one.at and _is_request(one, json.loads(found.body))


def _is_request(one: Restart, body: Mapping[str, Any]) -> bool:
    if body.get("control") != "restart" or body.get("decision") != one.decision_id:
        return False
    return (clean(body["by"]), body["anyway"]) == (one.by, one.anyway)


def _body(control: str, one: Restart) -> dict[str, object]:
    return {"control": control, "decision": one.decision_id, "by": one.by, "request": one.entry}


def _require(tx: Connection, one: Restart, state: str) -> None:
    """Raise NotWaiting unless it is in this state still, NotAsked unless somebody asked for it."""
    _require_state(tx, one, state)
    if not _is_asked_in_log(tx, one):
        raise NotAsked(one.decision_id)


def _require_state(tx: Connection, one: Restart, state: str) -> None:
    query = select(table.c.state, table.c.entry).where(_at(one.decision_id)).with_for_update()
    found = tx.execute(query).one_or_none()
    if found is None or tuple(found) != (state, one.entry):
        raise NotWaiting(one.decision_id)


def find(conn: Connection, decision_id: str) -> Restart | None:
    """Return the restart of a decision's workflow, or None."""
    place = place_of(decision_id)
    if place is None:
        return None
    found = conn.execute(_QUERY.where(is_decision(place))).one_or_none()
    return None if found is None else _restart(found)


def unfinished(conn: Connection, portal: str) -> list[Restart]:
    """Return the restarts of a portal that are not done, the oldest first."""
    found = conn.execute(
        _QUERY.where(table.c.portal == portal, UNFINISHED).order_by(table.c.entry).limit(MOST)
    )
    return [_restart(row) for row in found]


_QUERY = select(
    table,
    decisions.c.triple,
    decisions.c.workflow_id.label("stopped_id"),
    decisions.c.template_id,
    decisions.c.rule,
    decisions.c.action,
).join(decisions, _OF_DECISION)


def _restart(row: Record[tuple[object, ...]]) -> Restart:
    return Restart(
        decision_id=decision_name(row.portal, row.seq, row.n),
        portal=row.portal,
        document=entries.document_in(row.triple),
        workflow_id=row.stopped_id,
        template_id=row.template_id,
        rule=row.rule,
        action=Action(row.action),
        state=row.state,
        anyway=row.anyway,
        by=row.by,
        at=row.at,
        entry=row.entry,
        called_at=row.called_at,
        running=tuple(json.loads(row.running)) if row.running else (),
        ended_at=row.ended_at,
        outcome=row.outcome,
        started_id=row.workflow_id,
        detail=row.detail,
        numbers=tuple(n for n in (row.entry, row.call_entry, row.end_entry) if n is not None),
    )


def _at(decision_id: str) -> ColumnElement[bool]:
    portal, seq, n = journal.place_or_raise(decision_id)
    return and_(table.c.portal == portal, table.c.seq == seq, table.c.n == n)
