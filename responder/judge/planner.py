"""Plans what is written and called, from a job and the facts that were read: no I/O, no clock.

Each round plans anew, so the facts that a plan rests on are seconds old when its intents are
committed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from responder.bitrix24.client.answers import stopping_method
from responder.bitrix24.events.registration import OFFLINE_EVENTS_WAIT
from responder.bitrix24.fetch.document_facts import Reading
from responder.journal.entries import NewDecision, Spared
from responder.judge.jobs import Job
from responder.judge.plans import Known, Plan, Planned
from responder.judge.run_scope import Condemned
from responder.judge.stop_lifecycle import Seen, Step, StopProgress, not_before, step
from responder.model import (
    ACTING_MODES,
    KILLING,
    WOULD,
    Action,
    Judgement,
    Mode,
    Outcome,
    Reason,
    Traced,
    Unknown,
    Verdict,
    Workflow,
)
from responder.rules.decide import judge
from responder.rules.keep import group_mark
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.store.inbox.inbox import newest_last
from responder.store.limits import RUNS

LOOK_AFTER = timedelta(seconds=10)


def nothing_condemned(reason: Reason, detail: str | None = None) -> Planned:
    """Plan the one decision of an evaluation in which nothing is condemned."""
    return Planned(decision=_without_action(reason, (), detail))


def without_rules(portal: str, unmatched: Sequence[Job]) -> list[Plan]:
    """Plan one evaluation for all jobs that no rule names, and one for each without a document.

    All announcements of offline events have one: the portal sends many, and they say the same.
    A second look that no rule names any more gets a plan without decisions, which ends it.
    """
    plans = [
        Plan(job=job, facts={}, planned=(nothing_condemned(Reason.NO_DOCUMENT),))
        for job in unmatched
        if job.document is None and job.newest != OFFLINE_EVENTS_WAIT
    ]
    announced = [job for job in unmatched if job.newest == OFFLINE_EVENTS_WAIT]
    if announced:
        nothing = nothing_condemned(Reason.NO_DOCUMENT, "it says that the portal keeps events")
        plans.append(Plan(job=_merged(portal, announced), facts={}, planned=(nothing,)))
    plans += [
        Plan(job=job, facts={}, planned=())
        for job in unmatched
        if job.document is not None and job.look is not None
    ]
    named_by_none = [s for s in unmatched if s.document is not None and s.deliveries]
    if named_by_none:
        plans.append(unnamed(_merged(portal, named_by_none)))
    return plans


def unnamed(job: Job) -> Plan:
    """Plan the evaluation of a job that no rule names."""
    return Plan(job=job, facts={}, planned=(nothing_condemned(Reason.NO_RULE),))


def _merged(portal: str, unnamed: Sequence[Job]) -> Job:
    in_order = sorted(unnamed, key=lambda job: max(job.deliveries))
    events = newest_last(name for job in in_order for name in job.events)
    received = [s.received_at for s in unnamed if s.received_at is not None]
    return Job(
        portal=portal,
        document=None,
        trigger="event" if events else "robot",
        events=events,
        deliveries=tuple(d for job in unnamed for d in job.deliveries),
        received_at=min(received, default=None),
    )


def plan(
    job: Job,
    reading: Reading,
    ruleset: Ruleset,
    *,
    enforcing: bool,
    known: Known,
    now: datetime,
) -> Plan:
    """Judge a job by the rules and return what follows."""
    situation = job.situation(reading)
    judgement = judge(
        ruleset,
        situation,
        enforcing=enforcing,
        now=now,
        only=job.only,
        rules=job.rules(ruleset),
        choices=job.choices(ruleset, reading.workflows),
    )
    planned: list[Planned] = []
    repeated: list[str] = []
    looks: list[tuple[str, datetime]] = []
    for verdict in judgement.verdicts:
        why = _why_repeated(verdict, known) or _why_out_of_turn(verdict, job, ruleset, known)
        if why is None:
            planned.append(_decision(verdict, ruleset, known, now))
        else:
            repeated.append(why)
            look_after = _look_after_stop(verdict, job, ruleset, known, now)
            looks += [] if look_after is None else [(verdict.workflow.id, look_after)]
    look_at = None
    if judgement.look_again and job.deliveries and job.look is None:
        look_at = now + LOOK_AFTER
    if judgement.reason is not None:
        planned.append(Planned(decision=_undecided(judgement, reading, look_at)))
    elif not planned:
        planned.append(nothing_condemned(Reason.UNCHANGED, "; ".join(repeated)))
    return Plan(
        job=job,
        facts=situation.facts,
        planned=tuple(planned),
        look_at=look_at,
        looks=tuple(looks),
        running=reading.workflows,
    )


def of_run(found: Condemned, ruleset: Ruleset, *, known: Known, now: datetime) -> Plan:
    """Plan what a run condemned on one document; left and repeated verdicts are not written.

    Such a plan makes no call: its stops are due at once, and are judged afresh before a call.
    """
    planned = (
        _decision(verdict, ruleset, known, now)
        for verdict in found.judgement.verdicts
        if verdict.action in KILLING and _why_repeated(verdict, known) is None
    )
    return Plan(
        job=found.job,
        facts=found.facts,
        planned=tuple(_due_at_once(one, now) for one in planned),
        running=found.workflows,
        set_name=found.set_name,
        running_in_all=found.running_in_all,
    )


def _due_at_once(planned: Planned, now: datetime) -> Planned:
    if planned.step is None or not planned.step.call:
        return planned
    waits = replace(
        planned.step, outcome=Outcome.WAITING, call=False, due_at=now, detail="judged afresh first"
    )
    decision = replace(planned.decision, outcome=Outcome.WAITING, due_at=now, detail=waits.detail)
    return replace(planned, decision=decision, step=waits)


def _why_repeated(verdict: Verdict, known: Known) -> str | None:
    """Return why a verdict needs no decision of its own, because the journal has one like it."""
    workflow = verdict.workflow.id
    if verdict.action not in KILLING:
        return None
    if verdict.mode in ACTING_MODES and workflow in known.under_way:
        if _overtakes(verdict, known):
            return None
        return f"the stop of {workflow} is already under way"
    if verdict.mode is Mode.OBSERVE and (workflow, verdict.rule) in known.shadows:
        return f"what {verdict.rule} would do to {workflow} is already waited for"
    if verdict.mode is Mode.OBSERVE and (
        (workflow, verdict.rule, verdict.action) in known.unchanged
    ):
        return f"{WOULD[verdict.action]} of {workflow} by {verdict.rule} stands unchanged"
    return None


def _look_after_stop(
    verdict: Verdict, job: Job, ruleset: Ruleset, known: Known, now: datetime
) -> datetime | None:
    """Return when to look whether the stop for which a verdict is put off was cleared, or None.

    The event, or the robot's call, that led to the verdict does not come again; and when that stop
    is judged, only the rules are asked that its own trigger sets off.
    """
    awaited = known.waits.get(verdict.workflow.id)
    if awaited is None or job.trigger in RUNS or verdict.mode not in ACTING_MODES:
        return None
    asked = None if awaited.asked is None else tuple(awaited.asked)
    theirs = replace(job, trigger=awaited.trigger, events=awaited.events, asked=asked)
    if verdict.rule in {rule.id for rule in theirs.rules(ruleset)}:
        return None
    return max(now, awaited.due_at) + LOOK_AFTER


def _why_out_of_turn(verdict: Verdict, job: Job, ruleset: Ruleset, known: Known) -> str | None:
    """Return why a rule may not act on a workflow that came back after a stop; None if it may.

    A second look after a stop is no run. A rule that only runs set off acts in its next run.
    """
    if job.look is None or job.trigger not in RUNS:
        return None
    workflow = verdict.workflow.id
    if workflow not in known.stopped or verdict.action not in KILLING:
        return None
    if job.trigger == "sweep" and _rule(ruleset, verdict.rule).is_swept:
        return None
    return f"{workflow} came back; {verdict.rule} acts on it in its next run"


def _rule(ruleset: Ruleset, name: str) -> Rule:
    return next(rule for rule in ruleset.rules if rule.id == name)


def _overtakes(verdict: Verdict, known: Known) -> bool:
    return verdict.mode is Mode.ENFORCE and verdict.workflow.id in known.asked


def _decision(verdict: Verdict, ruleset: Ruleset, known: Known, now: datetime) -> Planned:
    """Plan one decision, with the first step of its stop unless it leaves or only observes."""
    if verdict.action is Action.LEAVE:
        return Planned(decision=_new_decision(verdict, Outcome.LEFT, None, None))
    progress = StopProgress(action=verdict.action, tries=0, condemned_at=now)
    first = next_step(verdict, ruleset, progress, known, now)
    decision = _new_decision(verdict, first.outcome, first.detail, first.due_at)
    keep = _rule(ruleset, verdict.rule).keep
    if keep is not None and verdict.spared is not None:
        mark = group_mark(verdict.group, verdict.workflow.id)
        decision = replace(decision, spared=Spared(keep.english, verdict.spared, mark))
    if verdict.mode is Mode.OBSERVE:
        would_act = _rule(ruleset, verdict.rule).mode in ACTING_MODES
        if would_act and decision.detail is None:
            decision = replace(decision, detail=known.observed)
        return Planned(decision=decision)
    return Planned(decision=decision, step=first, overtakes=_overtakes(verdict, known))


def next_step(
    verdict: Verdict, ruleset: Ruleset, progress: StopProgress, known: Known, now: datetime
) -> Step:
    """Return the next step of a condemned workflow's stop: wait, be held, or be called."""
    rule = _rule(ruleset, verdict.rule)
    if rule.wait is not None and now < progress.waits_from(now) + rule.wait:
        at = progress.waits_from(now) + rule.wait
        return not_before(progress, at, "acts only if all of it still holds then")
    if rule.during is not None and not rule.during.is_open(now):
        at = rule.during.opens_at(now)
        return not_before(progress, at, f"waits for the calendar {rule.during.name} to open")
    if verdict.mode is Mode.OBSERVE:
        return step(Outcome.WAITING, Seen.OBSERVED, progress, now)
    if verdict.mode is Mode.APPROVE and progress.approval is None:
        return step(Outcome.WAITING, Seen.UNAPPROVED, progress, now)
    name = stopping_method(verdict.action)
    if name in known.shut:
        return step(Outcome.WAITING, Seen.PORTAL_SHUT, progress, now, f"{name}: {known.shut[name]}")
    executing = may_be_executing(verdict.workflow, now)
    return step(Outcome.WAITING, Seen.EXECUTING if executing else Seen.CONDEMNED, progress, now)


def may_be_executing(workflow: Workflow, now: datetime) -> bool:
    """Return whether the portal may run the workflow at this moment (OWNED_UNTIL in the future).

    An empty OWNED_UNTIL means that nothing runs it; one that cannot be read may be in the future.
    """
    owned_until = workflow.facts.get("workflow.owned_until", Unknown("not told"))
    if owned_until is None or owned_until == "":
        return False
    try:
        return datetime.fromisoformat(str(owned_until)) > now
    except (ValueError, TypeError):
        return True


def _new_decision(
    verdict: Verdict, outcome: Outcome, detail: str | None, due_at: datetime | None
) -> NewDecision:
    return NewDecision(
        workflow=verdict.workflow,
        rule=verdict.rule,
        because=verdict.because,
        action=verdict.action,
        reason=None,
        mode=verdict.mode,
        traced=(Traced(verdict.workflow.id, verdict.conditions),),
        outcome=outcome,
        detail=detail,
        due_at=due_at,
    )


def _undecided(judgement: Judgement, reading: Reading, look_at: datetime | None) -> NewDecision:
    details: list[str] = []
    if judgement.reason is Reason.UNREADABLE:
        details.append(_unreadable(reading))
    if look_at is not None:
        details.append("looked at again in 10 s: its workflow may not be listed yet")
    assert judgement.reason is not None
    return _without_action(judgement.reason, judgement.traced, "; ".join(details) or None)


def _unreadable(reading: Reading) -> str:
    if isinstance(reading.workflows, Unknown):
        return reading.workflows.why
    if reading.failure is not None:
        return reading.failure.text
    for value in reading.facts.values():
        if isinstance(value, Unknown):
            return value.why
    return "the document is gone"


def _without_action(reason: Reason, traced: tuple[Traced, ...], detail: str | None) -> NewDecision:
    return NewDecision(
        workflow=None,
        rule=None,
        because=None,
        action=Action.NONE,
        reason=reason,
        mode=None,
        traced=traced,
        outcome=None,
        detail=detail,
        due_at=None,
    )
