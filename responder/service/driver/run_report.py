"""Builds the report of a run: the body of its log entry, and the answer to a request for it."""

import json
from collections import Counter
from collections.abc import Sequence

import structlog

from responder.judge.context import Context
from responder.judge.plans import Hold, Holds, Plan, Planned
from responder.judge.run_scope import Run
from responder.model import Unknown

log = structlog.get_logger()


def totals(run: Run, plans: Sequence[Plan], holds: Holds) -> dict[str, object]:
    """Return the totals of a run, as its log entry has them."""
    request = run.due.request
    return {
        "trigger": run.due.trigger,
        "rules": [rule.id for rule in run.due.rules],
        "ruleset": run.ruleset.revision,
        "started_at": run.started_at,
        "running": run.survey.running,
        "read": run.survey.read,
        "judged": run.judged,
        "condemned": _condemned(plans),
        "held": {
            rule: hold.why if isinstance(hold, Hold) else hold for rule, hold in holds.items()
        },
        "asked_by": request.by if request is not None else None,
        "unread": run.unread,
        "why_unread": run.why_unread,
    }


def found(plans: Sequence[Plan]) -> list[dict[str, object]]:
    """Return each decision of a run, as the answer to its request has it."""
    return [_decision(plan, planned) for plan in plans for planned in plan.planned]


def _decision(plan: Plan, planned: Planned) -> dict[str, object]:
    decision = planned.decision
    workflow = decision.workflow
    return {
        "document": plan.job.ref,
        "workflow": None if workflow is None else workflow.id,
        "template_id": None
        if workflow is None
        else _plain(workflow.facts.get("workflow.template_id")),
        "rule": decision.rule,
        "action": decision.action.value,
        "outcome": None if decision.outcome is None else decision.outcome.value,
        "detail": decision.detail,
    }


def _plain(value: object) -> object:
    return None if isinstance(value, Unknown) else json.loads(json.dumps(value, default=str))


def _condemned(plans: Sequence[Plan]) -> dict[str, int]:
    return dict(Counter(one.decision.rule or "" for plan in plans for one in plan.planned))


def count(context: Context, run: Run, plans: Sequence[Plan]) -> None:
    """Count and log a run that was made."""
    metrics, condemned = context.metrics, _condemned(plans)
    metrics.runs.labels(run.due.trigger, "incomplete" if run.unread else "complete").inc()
    took = (context.now() - run.started_at).total_seconds()
    metrics.run_seconds.labels(run.due.trigger).observe(max(0.0, took))
    if run.due.trigger == "sweep":
        metrics.found_by_sweep.inc(sum(condemned.values()))
    facts = {"portal": context.portal, "trigger": run.due.trigger, "condemned": condemned}
    if run.unread:
        log.warning(
            "a run is incomplete: it is made again after a minute",
            unread=run.unread,
            why=run.why_unread,
            **facts,
        )
    else:
        log.info("a run is complete", running=run.survey.running, **facts)
