"""What runs condemn, what came back after a stop, and what no rule names."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from responder.judge.planner import of_run, unnamed, without_rules
from responder.judge.plans import Known, Planned
from responder.judge.run_scope import Condemned
from responder.model import Action, Outcome, Reason, Trigger, Verdict, Workflow
from responder.rules.decide import judge
from tests.judge.make import (
    JOB,
    NOW,
    a_condemning_rule,
    a_look,
    a_rule,
    a_ruleset,
    a_run,
    a_workflow,
    planned,
    the_only,
)
from tests.rules.make import a_situation

LOST = {"deal.stage_semantic_id": "F"}
BEFORE = NOW - timedelta(minutes=1)
IN_TEN_MINUTES = NOW + timedelta(minutes=10)

OUT_OF_TURN = {
    "a schedule acts in its own runs alone": ("schedule", "[{every: 1h}]", ""),
    "a rule that no sweep reads was asked by name": ("sweep", "[deal.added]", ""),
    "a rule that says so itself": ("sweep", "[deal.updated]", "sweep: false"),
}


@pytest.mark.parametrize(("trigger", "when", "more"), OUT_OF_TURN.values(), ids=OUT_OF_TURN)
def test_what_came_back_is_left_to_the_next_run_of_a_rule_that_acts_in_runs(
    trigger: Trigger, when: str, more: str
) -> None:
    rules = a_rule("workflow.template_id: 61", when=when, more=more)
    job = a_run(trigger, is_look=True)
    plan = planned(rules, job=job, known=Known(stopped={"a"}))
    assert the_only(plan) == (Action.NONE, None, None, Reason.UNCHANGED)
    assert plan.planned[0].decision.detail == "a came back; the-rule acts on it in its next run"


IN_TURN = {
    "it never was stopped": ("schedule", "[{every: 1h}]", Known(), True),
    "it is such a run itself": ("schedule", "[{every: 1h}]", Known(stopped={"a"}), False),
    "events may set the rule off": ("sweep", "[deal.updated]", Known(stopped={"a"}), True),
    "an event did set it off": ("event", "[deal.updated]", Known(stopped={"a"}), True),
}


@pytest.mark.parametrize(("trigger", "when", "known", "is_look"), IN_TURN.values(), ids=IN_TURN)
def test_all_else_that_runs_again_is_condemned_again(
    trigger: Trigger, when: str, known: Known, is_look: bool
) -> None:
    job = a_run(trigger, is_look=is_look)
    plan = planned(a_rule("workflow.template_id: 61", when=when), job=job, known=known)
    assert the_only(plan) == (Action.KILL, "a", Outcome.IN_DOUBT, None)


def test_a_guard_is_asked_in_the_look_at_what_came_back_too() -> None:
    looked = a_run("schedule", is_look=True)
    guard = a_rule("workflow.template_id: 61", name="guard", when=None, then="leave")
    rules = guard + a_rule("workflow.template_id: 61", when="[{every: 1h}]")
    plan = planned(rules, job=looked, known=Known(stopped={"a"}))
    assert the_only(plan) == (Action.LEAVE, "a", Outcome.LEFT, None)


def verdicts(rules: str, *workflows: Workflow, enforcing: bool = True) -> tuple[Verdict, ...]:
    situation = a_situation(LOST, workflows or None)
    return judge(a_ruleset(rules), situation, enforcing=enforcing, now=NOW).verdicts


def in_a_run(
    rules: str, *workflows: Workflow, known: Known | None = None, enforcing: bool = True
) -> tuple[Planned, ...]:
    """Plan what a run condemned on one document."""
    situation = a_situation(LOST, workflows or None)
    found = Condemned(
        job=JOB,
        facts=situation.facts,
        workflows=situation.workflows,
        judgement=judge(a_ruleset(rules), situation, enforcing=enforcing, now=NOW),
    )
    return of_run(found, a_ruleset(rules), known=known or Known(), now=NOW).planned


def test_what_a_run_condemns_is_judged_afresh_before_it_is_called() -> None:
    (one,) = in_a_run(a_condemning_rule())
    assert one.step is not None
    assert one.step.call is False
    expected = (Outcome.WAITING, NOW, "judged afresh first")
    assert (one.step.outcome, one.step.due_at, one.step.detail) == expected
    assert (one.decision.outcome, one.decision.due_at, one.decision.detail) == expected


NOT_AT_ONCE = {
    "its rule looks on": ("enforce", "wait: 10m", Outcome.WAITING, IN_TEN_MINUTES),
    "somebody is asked": ("approve", "", Outcome.HELD, NOW + timedelta(hours=24)),
}


@pytest.mark.parametrize(
    ("mode", "more", "outcome", "due_at"), NOT_AT_ONCE.values(), ids=NOT_AT_ONCE
)
def test_what_a_run_condemns_and_may_not_act_yet_waits_as_ever(
    mode: str, more: str, outcome: Outcome, due_at: datetime
) -> None:
    (one,) = in_a_run(a_condemning_rule(mode=mode, more=more))
    assert one.step is not None
    assert (one.step.outcome, one.step.due_at) == (outcome, due_at)
    assert (one.decision.outcome, one.decision.due_at) == (outcome, due_at)


def test_what_a_run_would_stop_is_settled_with_its_decision() -> None:
    (one,) = in_a_run(a_condemning_rule(), enforcing=False)
    assert (one.step, one.decision.outcome) == (None, Outcome.WOULD_KILL)


GUARD = a_rule("workflow.id: a", name="guard", when=None, then="leave")
UNWRITTEN = {
    "it is left": (GUARD + a_condemning_rule(), Known(), ["b"]),
    "it is being stopped": (a_condemning_rule(), Known(under_way={"a"}), ["b"]),
    "it would be stopped, as before": (
        a_condemning_rule(mode="observe"),
        Known(unchanged={("a", "the-rule", Action.KILL)}),
        ["b"],
    ),
    "neither": (a_condemning_rule(), Known(), ["a", "b"]),
}


@pytest.mark.parametrize(("rules", "known", "written"), UNWRITTEN.values(), ids=UNWRITTEN)
def test_a_run_writes_what_it_condemns_anew(rules: str, known: Known, written: list[str]) -> None:
    found = in_a_run(rules, a_workflow("a"), a_workflow("b"), known=known)
    assert [one.decision.workflow.id for one in found if one.decision.workflow] == written


def test_what_no_rule_names_is_concluded_by_one_evaluation() -> None:
    older = replace(JOB, events=("ONCRMDEALADD",), deliveries=(1,), received_at=BEFORE)
    newer = replace(JOB, events=("ONCRMDEALUPDATE",), deliveries=(2, 5), received_at=NOW)
    (plan,) = without_rules("main", [newer, older])
    assert the_only(plan) == (Action.NONE, None, None, Reason.NO_RULE)
    assert sorted(plan.job.deliveries) == [1, 2, 5]
    assert plan.job.events == ("ONCRMDEALADD", "ONCRMDEALUPDATE")
    assert (plan.job.trigger, plan.job.received_at) == ("event", BEFORE)
    assert (plan.job.document, plan.facts) == (None, {})


def test_robot_calls_that_no_rule_names_are_concluded_as_such() -> None:
    call = replace(JOB, trigger="robot", events=(), received_at=None)
    (plan,) = without_rules("main", [call])
    assert (plan.job.trigger, plan.job.received_at) == ("robot", None)


def test_each_event_without_a_document_is_concluded_by_itself() -> None:
    lost = [replace(JOB, document=None, deliveries=(number,)) for number in (1, 2)]
    plans = without_rules("main", [*lost, JOB])
    reasons = [(the_only(plan)[3], plan.job.deliveries) for plan in plans]
    assert reasons == [
        (Reason.NO_DOCUMENT, (1,)),
        (Reason.NO_DOCUMENT, (2,)),
        (Reason.NO_RULE, (1,)),
    ]


def test_a_second_look_that_no_rule_asks_for_any_more_ends_without_a_decision() -> None:
    looked = replace(JOB, deliveries=(), look=a_look("event"))
    (plan,) = without_rules("main", [looked])
    assert plan.planned == ()
    assert without_rules("main", []) == []


def test_what_no_rule_names_reads_nothing() -> None:
    plan = unnamed(JOB)
    assert the_only(plan) == (Action.NONE, None, None, Reason.NO_RULE)
    assert (plan.facts, plan.running, plan.calls) == ({}, None, 0)
