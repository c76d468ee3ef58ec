"""What a plan says of itself: its sets, its calls, what begins with it, and how it is held."""

from dataclasses import replace

import pytest

from responder.judge.plans import Hold, Known, Plan, Planned
from responder.judge.stop_lifecycle import Step
from responder.model import Action, Mode, Outcome, Reason
from tests.judge.make import (
    DEAL,
    JOB,
    NOW,
    UPDATED,
    a_condemning_rule,
    a_rule,
    a_ruleset,
    a_workflow,
    planned,
)

GUARD = a_rule("workflow.id: l", name="guard", when=None, then="leave")
WAITS = a_rule("workflow.id: w", name="waits", more="wait: 10m")
ASKS = a_rule("workflow.id: p", name="asks", mode="approve")
OBSERVES = a_rule("workflow.id: o", name="observes", mode="observe")
OF_ALL_KINDS = GUARD + WAITS + ASKS + OBSERVES + a_condemning_rule(name="kills")


def of_all_kinds() -> Plan:
    """Plan for six workflows: left, waiting, asked about, observed, condemned, and one at peace."""
    ids = ("l", "w", "p", "o", "k")
    return planned(OF_ALL_KINDS, *map(a_workflow, ids), a_workflow("n", template_id="7"))


def test_the_sets_of_a_plan_are_what_each_rule_condemns_in_a_mode() -> None:
    plan = of_all_kinds()
    assert plan.sets(Mode.ENFORCE) == {"kills": {"k", "o"}, "waits": {"w"}}
    assert plan.sets(Mode.APPROVE) == {"asks": {"p"}}
    assert plan.sets(Mode.OBSERVE) == {"observes": {"o"}}


def test_a_plan_counts_its_calls_and_says_whose_they_are() -> None:
    plan = of_all_kinds()
    assert plan.calls == 2
    rules = ("kills", "waits", "asks", "observes", "guard")
    assert [rule for rule in rules if plan.begins(rule)] == ["kills"]


def test_stops_begin_with_what_is_condemned_and_not_only_observed() -> None:
    assert of_all_kinds().begun == {"w", "p", "k", "o"}


def test_evidence_is_wanted_of_what_is_called_or_would_be() -> None:
    assert sorted(one.id for one in of_all_kinds().condemned) == ["k", "o", "o"]


def test_nothing_begins_with_a_plan_that_condemns_nothing() -> None:
    plan = planned(GUARD + a_condemning_rule(), a_workflow("l"), a_workflow("n", template_id="7"))
    assert (plan.sets(Mode.ENFORCE), plan.calls) == ({}, 0)
    assert (plan.begun, plan.condemned) == (set(), [])


PAUSED = Hold("pause", "everything is paused by anna")
HELD = {
    "its rule is held": ("enforce", {"the-rule": PAUSED}, Outcome.HELD, PAUSED.why),
    "asking, its rule is held": ("approve", {"the-rule": PAUSED}, Outcome.HELD, PAUSED.why),
    "observing, its rule would be": ("observe", {"the-rule": "so"}, Outcome.WOULD_KILL, "so"),
    "another rule is held": ("enforce", {"other": PAUSED}, Outcome.IN_DOUBT, None),
    "another rule would be": ("observe", {"other": "so"}, Outcome.WOULD_KILL, None),
    "observing, nothing is held": ("observe", {"the-rule": PAUSED}, Outcome.WOULD_KILL, None),
    "enforced, words hold nothing": ("enforce", {"the-rule": "so"}, Outcome.IN_DOUBT, None),
}


@pytest.mark.parametrize(("mode", "holds", "outcome", "detail"), HELD.values(), ids=HELD)
def test_what_is_written_where_a_rule_is_held(
    mode: str, holds: dict[str, Hold | str], outcome: Outcome, detail: str | None
) -> None:
    plan = planned(a_condemning_rule(mode=mode))
    (one,) = plan.held(holds).planned
    assert (one.decision.outcome, one.decision.detail) == (outcome, detail)
    assert one.step == plan.planned[0].step  # what it would do first is asked once it is freed
    assert one.decision.due_at is None


def test_a_decision_on_all_the_rest_is_held_by_nothing() -> None:
    plan = planned(a_rule("workflow.id: z"))
    assert plan.held({"the-rule": PAUSED, "": PAUSED}) == plan


LATER = Step(outcome=Outcome.WAITING, due_at=NOW, detail="later", tries=1)
PUT_OFF = {
    "it was to be called": ("", "enforce", True),
    "it waits": ("wait: 10m", "enforce", False),
    "somebody is asked": ("", "approve", False),
    "it is observed": ("", "observe", False),
}


@pytest.mark.parametrize(("more", "mode", "put_off"), PUT_OFF.values(), ids=PUT_OFF)
def test_only_a_call_is_put_off(more: str, mode: str, put_off: bool) -> None:
    (one,) = planned(a_condemning_rule(mode=mode, more=more)).planned
    later = one.put_off(LATER)
    assert (later.step is LATER) == put_off
    if put_off:
        decision = later.decision
        assert (decision.outcome, decision.due_at, decision.detail) == (
            Outcome.WAITING,
            NOW,
            "later",
        )
    else:
        assert later is one


def test_the_journal_records_what_the_plan_rests_on() -> None:
    rules = a_ruleset(a_condemning_rule())
    job = replace(JOB, only="a", asked=("the-rule",))
    plan = replace(planned(rules, job=job), set_name="run 7", running_in_all=40)
    written = plan.evaluation(rules, NOW)
    assert (written.portal, written.at, written.trigger) == ("main", NOW, "event")
    assert (written.event, written.event_names, written.document) == (UPDATED[-1], UPDATED, DEAL)
    assert (written.ruleset, written.facts) == (rules.revision, plan.facts)
    assert (written.deliveries, written.received_at) == ((1,), NOW)
    assert (written.running, written.only, written.asked) == (plan.running, "a", ("the-rule",))
    assert (written.set_name, written.running_in_all) == ("run 7", 40)
    assert written.decisions == (plan.planned[0].decision,)


def test_what_is_known_of_some_workflows_is_joined_with_what_is_known_of_others() -> None:
    shut = {"bizproc.workflow.kill": "ACCESS_DENIED"}
    one = Known(under_way={"a"}, asked={"a"}, stopped={"s"}, shut=shut, away=True)
    other = Known(
        under_way={"b"},
        unchanged={("u", "rule", Action.KILL)},
        shadows={("w", "rule")},
        stopped={"t"},
    )
    both = one.also(other)
    assert both == Known(
        under_way={"a", "b"},
        asked={"a"},
        unchanged={("u", "rule", Action.KILL)},
        shadows={("w", "rule")},
        stopped={"s", "t"},
        shut=shut,
        away=True,
    )
    assert one.under_way == {"a"}


def test_what_a_plan_begins_is_under_way_for_the_next_and_no_longer_asked_for() -> None:
    known = Known(under_way={"x", "a"}, asked={"x", "a"})
    known.begin(planned(a_condemning_rule(), known=known))
    assert (known.under_way, known.asked) == ({"x", "a"}, {"x"})
    again = planned(a_condemning_rule(), known=known)
    assert again.planned[0].decision.reason is Reason.UNCHANGED


def test_a_decision_without_a_stop_has_nothing_to_put_off() -> None:
    (one,) = planned(a_rule("workflow.id: z")).planned
    assert isinstance(one, Planned)
    assert one.put_off(LATER) is one
