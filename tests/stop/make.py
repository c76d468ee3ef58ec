"""Builders for the tests of limits: what was done before, what waits, what is condemned now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from responder.adapters.metrics import Metrics
from responder.bitrix24 import documents
from responder.journal import record as journal
from responder.journal.entries import NewDecision, NewEvaluation
from responder.journal.open_stops import Stop
from responder.judge.plans import Plan
from responder.judge.recheck.recheck import Recheck, after_lookup
from responder.model import OPEN_OUTCOMES, Action, Document, Mode, Outcome, Trigger
from responder.rules.ruleset import Ruleset
from responder.stop.intents import record_step
from responder.stop.limiter import Limiter
from responder.store import limits
from responder.store.database.database import Connection
from tests.judge.make import (
    DEAL,
    JOB,
    NOW,
    a_recheck,
    a_rule,
    a_ruleset,
    a_workflow,
    planned,
)

PORTAL = "main"
LATER = NOW + timedelta(minutes=2)  # the portal has cut off what was under way
Before = Callable[[Connection], None]
STANDS = a_recheck()
_numbers = count(1)


def a_document(name: str) -> Document:
    """Name a deal by its number, or any other document by its reference."""
    other = documents.parse_ref(name)
    return replace(DEAL, item_id=name, id=f"DEAL_{name}") if other is None else other


def rules(limit: str = "", *, mode: str = "enforce", more: str = "") -> Ruleset:
    """Load two rules, on events and in runs, of which the first has this limit."""
    when = "[deal.updated, {every: 1h}]"
    keys = f"limit: {{{limit}}}\n{more}" if limit else more
    first = a_rule("workflow.template_id: 61", when=when, mode=mode, more=keys)
    return a_ruleset(first + a_rule("workflow.template_id: 62", name="other", when=when))


RULES = rules()


def a_budget(tx: Connection, ruleset: Ruleset = RULES, metrics: Metrics | None = None) -> Limiter:
    """Ask what may be begun now."""
    return Limiter(tx, PORTAL, ruleset, metrics or Metrics(), NOW)


def a_plan(
    number: int, on: str = "1", ruleset: Ruleset = RULES, trigger: Trigger = "event"
) -> Plan:
    """Condemn so many workflows on a deal by the first rule."""
    job = replace(JOB, document=a_document(on), trigger=trigger)
    if trigger == "schedule":
        job = replace(job, events=(), asked=("the-rule",))
    return planned(ruleset, *(a_workflow(_name()) for _ in range(number)), job=job)


def condemned(
    tx: Connection,
    number: int,
    on: str = "1",
    *,
    rule: str = "the-rule",
    ruleset: Ruleset = RULES,
    ago: timedelta = timedelta(minutes=1),
    outcome: Outcome = Outcome.WAITING,
    mode: Mode = Mode.ENFORCE,
    trigger: Trigger = "event",
    set_name: str | None = None,
    running: int | None = None,
) -> list[Stop]:
    """Write an evaluation that condemns so many workflows; return the stops that it opens."""
    at = NOW - ago
    decisions = tuple(
        NewDecision(
            workflow=a_workflow(_name()),
            rule=rule,
            action=Action.KILL,
            mode=mode,
            outcome=outcome,
            due_at=at if outcome in OPEN_OUTCOMES else None,
        )
        for _ in range(number)
    )
    evaluation = NewEvaluation(
        portal=PORTAL,
        at=at,
        trigger=trigger,
        ruleset=ruleset.revision,
        document=a_document(on),
        facts={},
        decisions=decisions,
        set_name=set_name,
        running_in_all=running,
    )
    recorded = journal.record(tx, evaluation)
    if outcome not in OPEN_OUTCOMES:
        return []
    return [journal.open_stop(tx, one) for one in recorded.decisions]


def called(tx: Connection, stop: Stop, at: datetime, outcome: Outcome = Outcome.KILLED) -> None:
    """Write that a stop was called, and what came of it."""
    journal.intend(tx, PORTAL, stop.decision_id, at, {})
    if outcome is Outcome.WAITING:
        journal.postpone(
            tx, stop.decision_id, outcome, at=at, due_at=at, tries=1, detail="not carried out"
        )
    elif outcome not in OPEN_OUTCOMES:
        journal.conclude(tx, stop.decision_id, outcome, at=at)


def stopped(
    number: int,
    on: str = "1",
    *,
    rule: str = "the-rule",
    ago: timedelta = timedelta(minutes=1),
    outcome: Outcome = Outcome.KILLED,
) -> Before:
    """Have a rule stop so many workflows on a deal, so long ago."""

    def write(tx: Connection) -> None:
        for stop in condemned(tx, number, on, rule=rule, ago=ago):
            called(tx, stop, NOW - ago, outcome)

    return write


def called_in_vain(tx: Connection, stop: Stop) -> None:
    """Write that a call got lost, and that its workflow was found running afterwards."""
    journal.intend(tx, PORTAL, stop.decision_id, NOW, {})
    in_doubt = journal.open_stop(tx, stop.decision_id)
    record_step(tx, PORTAL, stop.decision_id, after_lookup(in_doubt, {}, LATER), LATER)


def found_running(becomes: Outcome) -> Before:
    """Have a call of a rule get lost whose workflow runs afterwards; then that becomes of it."""

    def write(tx: Connection) -> None:
        (stop,) = condemned(tx, 1)
        called_in_vain(tx, stop)
        if becomes is Outcome.KILLED:
            called(tx, stop, LATER)
        elif becomes in OPEN_OUTCOMES:
            journal.postpone(
                tx, stop.decision_id, becomes, at=LATER, due_at=None, tries=1, detail="it waits"
            )
        else:
            journal.conclude(tx, stop.decision_id, becomes, at=LATER)

    return write


def would_stop(number: int, on: str = "1", *, rule: str = "the-rule", ago: timedelta) -> Before:
    """Have an observing rule say of so many workflows that it would stop them."""

    def write(tx: Connection) -> None:
        condemned(tx, number, on, rule=rule, ago=ago, outcome=Outcome.WOULD_KILL, mode=Mode.OBSERVE)

    return write


def pause(tx: Connection) -> None:
    """Pause everything."""
    limits.pause(tx, NOW, "anna")


def trip(tx: Connection) -> None:
    """Trip the first rule."""
    limits.trip(tx, PORTAL, "the-rule", NOW, "it did too much")


def rearm(tx: Connection) -> None:
    """Rearm the first rule."""
    limits.rearm(tx, PORTAL, "the-rule", NOW)


def tripped(tx: Connection) -> dict[str, str]:
    """Return which rules are tripped, and why."""
    return {one.rule: one.why for one in limits.tripped(tx, PORTAL)}


def still(stop: Stop) -> Recheck:
    """Have a stop stand still, judged afresh: it would be called now."""
    return replace(STANDS, stop=stop)


def _name() -> str:
    return f"w{next(_numbers)}"
