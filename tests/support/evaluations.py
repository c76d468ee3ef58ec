"""Evaluations and deliveries with everything filled in, to vary in a test."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, Table, func, select

from responder.journal import record as journal
from responder.journal.entries import NewDecision, NewEvaluation
from responder.journal.record import Recorded
from responder.model import Action, Condition, Document, Mode, Outcome, Reason, Traced, Workflow
from responder.store import rulesets
from responder.store.database.database import Database
from responder.store.database.tables import deliveries
from responder.store.inbox import inbox

AT = datetime(2026, 9, 24, 12, 0, 0, 123456, tzinfo=UTC)
LATER = AT + timedelta(seconds=10)
MUCH_LATER = AT + timedelta(hours=1)

RULES = "version: 1\n"
REVISION = sha256(RULES.encode()).hexdigest()

DEAL = Document(kind="deal", item_id="759", module="crm", entity="CCrmDocumentDeal", id="DEAL_759")


def workflow(workflow_id: str = "65e5a449e8f135.21284909") -> Workflow:
    return Workflow(
        id=workflow_id,
        facts={
            "workflow.id": workflow_id,
            "workflow.template_id": "61",
            "workflow.started": "2026-09-20T10:00:00+03:00",
            "workflow.started_by": "1",
            "template.name": "Approval",
        },
    )


def condition(
    value: object = "F", *, holds: bool | None = True, why: str | None = None
) -> Condition:
    return Condition(
        rule="lost-deal",
        path="if.deal.stage_semantic_id",
        test="is F",
        value=value,
        holds=holds,
        why=why,
    )


def traced(*conditions: Condition) -> tuple[Traced, ...]:
    return (Traced("65e5a449e8f135.21284909", conditions),)


def kill(
    workflow_id: str = "65e5a449e8f135.21284909",
    outcome: Outcome = Outcome.WAITING,
    rule: str = "lost-deal",
) -> NewDecision:
    return NewDecision(
        workflow=workflow(workflow_id),
        rule=rule,
        because="A lost deal needs no approval.",
        action=Action.KILL,
        mode=Mode.ENFORCE if outcome is Outcome.WAITING else Mode.OBSERVE,
        traced=traced(condition()),
        outcome=outcome,
        due_at=AT if outcome is Outcome.WAITING else None,
    )


NONE = NewDecision(reason=Reason.NO_MATCH, traced=traced(condition(holds=None, why="x")))


def evaluation(*decisions: NewDecision, portal: str = "main") -> NewEvaluation:
    return NewEvaluation(
        portal=portal,
        at=AT,
        trigger="event",
        event="ONCRMDEALUPDATE",
        event_names=("ONCRMDEALADD", "ONCRMDEALUPDATE"),
        document=DEAL,
        ruleset=REVISION,
        facts={"deal.stage_semantic_id": "F", "document.exists": True},
        decisions=decisions,
    )


def record(database: Database, *decisions: NewDecision, portal: str = "main") -> Recorded:
    """Record an evaluation, with the rules that it was made by."""

    def write(tx: Connection) -> Recorded:
        rulesets.keep(tx, REVISION, RULES, AT)
        return journal.record(tx, evaluation(*decisions, portal=portal))

    return database.write(write)


def deliver(
    *documents: str | None, portal: str = "main", event: str | None = "ONCRMDEALUPDATE"
) -> Callable[[Connection], list[int]]:
    """Add deliveries; return the ids of all that wait."""

    def write(tx: Connection) -> list[int]:
        inbox.add(
            tx,
            [
                inbox.row(portal, AT + timedelta(seconds=n), "event", event, document, None, b"x=1")
                for n, document in enumerate(documents)
            ],
        )
        query = select(deliveries.c.id).where(deliveries.c.evaluation.is_(None))
        return list(tx.execute(query.order_by(deliveries.c.id)).scalars())

    return write


def count(database: Database, table: Table) -> int:
    """Count the rows of a table."""
    query = select(func.count()).select_from(table)
    return int(database.read(lambda c: c.execute(query).scalar_one()))
