"""Writes down the steps that stops take; what a step is, and what follows which, is in `stops`."""

from datetime import datetime

from responder.model import OPEN_OUTCOMES
from responder.runtime.stops import Step
from responder.store import approvals, journal, limits
from responder.store.database import Connection


def ask_first(tx: Connection, decision_id: str, taken: Step, together: str | None = None) -> None:
    """Write that a new decision asks first, and hold it where its time has come already."""
    approvals.note(tx, decision_id, together)
    if taken.hold == limits.APPROVAL and taken.due_at is not None:
        approvals.ask(tx, decision_id, taken.due_at)


def take(tx: Connection, decision_id: str, taken: Step, now: datetime) -> None:
    """Write down the step a stop takes: its working state while it lasts, else its outcome."""
    if taken.hold == limits.APPROVAL and taken.due_at is not None:
        approvals.ask(tx, decision_id, taken.due_at)
    elif taken.outcome in OPEN_OUTCOMES:
        journal.postpone(
            tx,
            decision_id,
            taken.outcome,
            due_at=taken.due_at,
            tries=taken.tries,
            detail=taken.detail,
            unknown_id=taken.unknown_id,
            hold=taken.hold,
            ready_at=taken.ready_at,
        )
    else:
        journal.conclude(
            tx,
            decision_id,
            taken.outcome,
            at=now,
            receipt=taken.receipt,
            detail=taken.detail,
            verify_at=taken.verify_at,
        )
