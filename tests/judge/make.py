"""Builders for the tests of judging: one job, one reading, one stop that waits; to vary."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.lists.malformed_rows import OddRows
from responder.journal.approval_proof import Approval
from responder.journal.open_stops import Stop
from responder.judge.jobs import Job
from responder.judge.planner import plan
from responder.judge.plans import Known, Plan
from responder.judge.recheck.recheck import Groups, Recheck, Running, judge_afresh
from responder.model import Action, Outcome, Reason, Trigger, Unknown, Workflow
from responder.rules.ruleset import Ruleset
from responder.store.inbox.second_looks import Look
from tests.rules.make import DEAL, NOW, UPDATED, a_rule, a_ruleset, a_workflow

__all__ = ["DEAL", "NOW", "UPDATED", "a_rule", "a_ruleset", "a_workflow"]

TESTS = "deal.stage_semantic_id: F, workflow.template_id: 61"
DENIED = Unknown("access was denied")
JOB = Job(
    portal="main", document=DEAL, trigger="event", events=UPDATED, deliveries=(1,), received_at=NOW
)
STOP = Stop(
    decision_id="main-1-1",
    portal="main",
    document=DEAL,
    workflow_id="a",
    rule="the-rule",
    action=Action.KILL,
    trigger="event",
    event_names=UPDATED,
    outcome=Outcome.WAITING,
    tries=0,
    calls=0,
    called_at=None,
    unknown_id=False,
    shadow=False,
    ready_at=None,
    due_at=NOW,
    condemned_at=NOW - timedelta(minutes=10),
)

# For the value of each fact: what it must be for the rule to condemn, and what keeps it from that.
CAREFUL_FACTS = {
    "deal.stage_semantic_id": ("F", "S"),
    "deal.category_id": ("2", "0"),
    "workflow.template_id": ("61", "7"),
    "workflow.started_by": ("7", "8"),
    "deal.assigned_by_id": ("5", "9"),
}
CAREFUL = a_rule(
    "deal.stage_semantic_id: F, deal.category_id: 2, "
    "workflow.template_id: 61, workflow.started_by: 7",
    more="unless: {deal.assigned_by_id: 9}",
)
Found = Literal["for", "against", "unknown", "absent"]


def a_careful_reading(found: Mapping[str, Found]) -> Reading:
    """Read what the rule `CAREFUL` asks for, each fact as it was found."""
    known: dict[str, object] = {
        path: DENIED if found[path] == "unknown" else values[found[path] == "against"]
        for path, values in CAREFUL_FACTS.items()
        if found[path] != "absent"
    }
    of_deal = {path: value for path, value in known.items() if path.startswith("deal.")}
    of_workflow = {path: value for path, value in known.items() if path not in of_deal}
    workflow = Workflow(id="a", facts={"workflow.owned_until": None, **of_workflow})
    return Reading(facts=of_deal, workflows=(workflow,), failure=None)


def a_condemning_rule(
    *, name: str = "the-rule", then: str = "kill", mode: str = "enforce", more: str = ""
) -> str:
    """Write a rule that condemns workflows of template 61 on lost deals."""
    return a_rule(TESTS, name=name, then=then, mode=mode, more=more)


def a_reading(
    *workflows: Workflow,
    stage: object = "F",
    exists: object = True,
    assigned_by: object = None,
    unlisted: Unknown | None = None,
    failure: Failure | None = None,
    odd: OddRows | None = None,
) -> Reading:
    """Read a lost deal on which these workflows run: one of template 61, where none is given."""
    return Reading(
        facts={
            "deal.stage_semantic_id": stage,
            "deal.assigned_by_id": assigned_by,
            "document.exists": exists,
        },
        workflows=unlisted or workflows or (a_workflow(),),
        failure=failure,
        odd=odd or OddRows(),
    )


def a_failure(kind: FailureKind = FailureKind.UNCERTAIN, code: str = "timeout") -> Failure:
    """Make a failure of a call that read something."""
    return Failure(kind, code, "in the portal's own words")


def approved(hours_ago: float) -> Approval:
    """Have somebody approve a stop."""
    return Approval("anna", NOW - timedelta(hours=hours_ago), 7)


def a_look(trigger: Trigger) -> Look:
    """Ask for a second look."""
    return Look(
        portal="main",
        document_ref=DEAL.ref,
        trigger=trigger,
        workflow_id=None,
        event_names=(),
        due_at=NOW,
    )


def a_run(trigger: Trigger, *, is_look: bool) -> Job:
    """Judge a document in a run, or look at it once more after a stop of that run."""
    return replace(
        JOB,
        trigger=trigger,
        events=UPDATED if trigger == "event" else (),
        deliveries=(),
        look=a_look(trigger) if is_look else None,
        asked=None if trigger == "event" else ("the-rule",),
    )


def planned(
    rules: str | Ruleset,
    *workflows: Workflow,
    job: Job = JOB,
    reading: Reading | None = None,
    known: Known | None = None,
    enforcing: bool = True,
) -> Plan:
    """Plan what follows from the update of a lost deal by these rules."""
    return plan(
        job,
        reading or a_reading(*workflows),
        rules if isinstance(rules, Ruleset) else a_ruleset(rules),
        enforcing=enforcing,
        known=known or Known(),
        now=NOW,
    )


def the_only(plan: Plan) -> tuple[Action, str | None, Outcome | None, Reason | None]:
    """Return what the only decision of a plan says, of which workflow, and what came of it."""
    (one,) = plan.planned
    workflow = one.decision.workflow
    return (
        one.decision.action,
        None if workflow is None else workflow.id,
        one.decision.outcome,
        one.decision.reason,
    )


HOURS = """
calendars:
  now: {timezone: UTC, days: [thu], from: "09:00", to: "10:00"}
  tonight: {timezone: UTC, days: [thu], from: "20:00", to: "21:00"}
  office: {timezone: UTC, days: [mon, tue, wed, thu], from: "08:00", to: "18:00"}
"""


def a_recheck(
    stop: Stop = STOP,
    rules: str = "",
    reading: Reading | None = None,
    *,
    known: Known | None = None,
    running: Running | None = None,
    groups: Groups | None = None,
    enforcing: bool = True,
    now: datetime = NOW,
) -> Recheck:
    """Judge a stop afresh: by default nothing has changed since it was condemned."""
    return judge_afresh(
        stop,
        reading or a_reading(),
        a_ruleset(rules or a_condemning_rule(), head=HOURS),
        enforcing=enforcing,
        known=known or Known(),
        now=now,
        running=running or {},
        groups=groups or {},
    )
