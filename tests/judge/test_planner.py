"""From what was judged to what is written and called: each reason to call, wait or leave a row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.fetch.document_facts import Reading
from responder.journal.entries import Spared
from responder.judge.jobs import Job
from responder.judge.planner import (
    may_be_executing,
    next_step,
    without_rules,
)
from responder.judge.plans import Known
from responder.judge.stop_lifecycle import EXECUTING_AGAIN, REFUSED_AGAIN, StopProgress
from responder.model import Action, Mode, Outcome, Reason, Unknown, Workflow
from responder.rules.decide import judge
from tests.judge.make import (
    CAREFUL,
    CAREFUL_FACTS,
    DENIED,
    JOB,
    NOW,
    UPDATED,
    Found,
    a_careful_reading,
    a_condemning_rule,
    a_failure,
    a_look,
    a_reading,
    a_rule,
    a_ruleset,
    a_run,
    a_workflow,
    approved,
    planned,
    the_only,
)
from tests.rules.make import a_situation

SOON = (NOW + timedelta(seconds=1)).isoformat()
BEFORE = (NOW - timedelta(seconds=1)).isoformat()
CALENDARS = """
calendars:
  now: {timezone: UTC, days: [thu], from: "09:00", to: "10:00"}
  tonight: {timezone: UTC, days: [thu], from: "20:00", to: "21:00"}
"""
TONIGHT = datetime(2026, 9, 24, 20, tzinfo=UTC)
IN_TEN_MINUTES = NOW + timedelta(minutes=10)
LOST = {"deal.stage_semantic_id": "F"}
KILL, TERMINATE = "bizproc.workflow.kill", "bizproc.workflow.terminate"


CALLED = {
    "enforced, with nothing against it": ("", "kill", {}, Known()),
    "terminated, with nothing against it": ("", "terminate", {}, Known()),
    "within the rule's hours": ("during: now", "kill", {}, Known()),
    "it has just been executed": ("", "kill", {"owned_until": BEFORE}, Known()),
    "nobody executes it": ("", "kill", {"owned_until": ""}, Known()),
    "another method is shut": ("", "kill", {}, Known(shut={TERMINATE: "x"})),
    "another workflow's stop is under way": ("", "kill", {}, Known(under_way={"b"})),
    "it was observed before": ("", "kill", {}, Known(unchanged={("a", "the-rule", Action.KILL)})),
    "its time is waited for": ("", "kill", {}, Known(shadows={("a", "the-rule")})),
    "it came back, and an event tells of it": ("", "kill", {}, Known(stopped={"a"})),
}


@pytest.mark.parametrize(("more", "then", "facts", "known"), CALLED.values(), ids=CALLED)
def test_what_is_condemned_and_free_to_go_is_called(
    more: str, then: str, facts: dict[str, object], known: Known
) -> None:
    rules = a_ruleset(a_condemning_rule(then=then, more=more), head=CALENDARS)
    plan = planned(rules, a_workflow(**facts), known=known)
    assert the_only(plan) == (Action(then), "a", Outcome.IN_DOUBT, None)
    assert plan.calls == 1
    assert plan.planned[0].overtakes is False


LOOKS_ON = "acts only if all of it still holds then"
WAITING = {
    "its rule looks on before it acts": ("wait: 10m", {}, Known(), IN_TEN_MINUTES, LOOKS_ON),
    "outside the rule's hours": (
        "during: tonight",
        {},
        Known(),
        TONIGHT,
        "waits for the calendar tonight to open",
    ),
    "the wait comes first": (
        "wait: 10m\nduring: tonight",
        {},
        Known(),
        IN_TEN_MINUTES,
        LOOKS_ON,
    ),
    "the portal refuses all kills": (
        "",
        {},
        Known(shut={KILL: "ACCESS_DENIED"}),
        NOW + REFUSED_AGAIN,
        f"{KILL}: ACCESS_DENIED",
    ),
    "killed now, it could write itself back": (
        "",
        {"owned_until": SOON},
        Known(),
        NOW + EXECUTING_AGAIN,
        "it is executing at this moment; looked at again in 10 s",
    ),
}


@pytest.mark.parametrize(
    ("more", "facts", "known", "due_at", "detail"), WAITING.values(), ids=WAITING
)
def test_what_is_condemned_waits_for_its_time(
    more: str, facts: dict[str, object], known: Known, due_at: datetime, detail: str
) -> None:
    rules = a_ruleset(a_condemning_rule(more=more), head=CALENDARS)
    (one,) = planned(rules, a_workflow(**facts), known=known).planned
    assert one.step is not None
    assert (one.step.call, one.step.tries) == (False, 0)
    expected = (Outcome.WAITING, due_at, detail)
    assert (one.step.outcome, one.step.due_at, one.step.detail) == expected
    assert (one.decision.outcome, one.decision.due_at, one.decision.detail) == expected


def test_what_asks_first_is_held_for_a_day_and_names_what_frees_it() -> None:
    (one,) = planned(a_condemning_rule(mode="approve"), a_workflow(owned_until=SOON)).planned
    assert one.step is not None
    assert (one.step.outcome, one.step.hold, one.step.call) == (Outcome.HELD, "approval", False)
    assert (one.decision.due_at, one.decision.detail) == (
        NOW + timedelta(hours=24),
        "held until somebody approves it",
    )


OBSERVED = {
    "its rule observes": ("kill", "observe", True, Outcome.WOULD_KILL),
    "so does a terminate": ("terminate", "observe", True, Outcome.WOULD_TERMINATE),
    "the installation observes": ("kill", "enforce", False, Outcome.WOULD_KILL),
    "nobody is asked, observing": ("kill", "approve", False, Outcome.WOULD_KILL),
}


@pytest.mark.parametrize(("then", "mode", "enforcing", "outcome"), OBSERVED.values(), ids=OBSERVED)
def test_what_is_observed_is_settled_with_its_decision(
    then: str, mode: str, enforcing: bool, outcome: Outcome
) -> None:
    plan = planned(a_condemning_rule(then=then, mode=mode), enforcing=enforcing)
    assert the_only(plan) == (Action(then), "a", outcome, None)
    (one,) = plan.planned
    assert (one.step, one.decision.mode, one.decision.due_at) == (None, Mode.OBSERVE, None)


def test_an_observing_rule_waits_too_and_no_stop_is_opened() -> None:
    (one,) = planned(a_condemning_rule(mode="observe", more="wait: 10m")).planned
    assert (one.step, one.decision.outcome) == (None, Outcome.WAITING)
    assert one.decision.due_at == NOW + timedelta(minutes=10)


NOT_REPEATED = {
    "it is being stopped": (
        "enforce",
        Known(under_way={"a"}),
        "the stop of a is already under way",
    ),
    "somebody is asked already": (
        "approve",
        Known(under_way={"a"}, asked={"a"}),
        "the stop of a is already under way",
    ),
    "its time is waited for": (
        "observe",
        Known(shadows={("a", "the-rule")}),
        "what the-rule would do to a is already waited for",
    ),
    "it would still be killed": (
        "observe",
        Known(unchanged={("a", "the-rule", Action.KILL)}),
        "would_kill of a by the-rule stands unchanged",
    ),
}


@pytest.mark.parametrize(("mode", "known", "detail"), NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_what_stands_already_is_not_decided_again(mode: str, known: Known, detail: str) -> None:
    plan = planned(a_condemning_rule(mode=mode), known=known)
    assert the_only(plan) == (Action.NONE, None, None, Reason.UNCHANGED)
    assert plan.planned[0].decision.detail == detail


def test_a_rule_that_asks_nobody_takes_the_place_of_one_that_waits_to_be_approved() -> None:
    (one,) = planned(a_condemning_rule(), known=Known(under_way={"a"}, asked={"a"})).planned
    assert one.overtakes is True
    assert one.step is not None
    assert one.step.call is True


WRITTEN_ANEW = {
    "a stop under way is another rule's": Known(under_way={"a"}),
    "another workflow's": Known(unchanged={("b", "the-rule", Action.KILL)}),
    "another rule's": Known(unchanged={("a", "other", Action.KILL)}),
    "another action": Known(unchanged={("a", "the-rule", Action.TERMINATE)}),
    "another rule's time is waited for": Known(shadows={("a", "other")}),
}


@pytest.mark.parametrize("known", WRITTEN_ANEW.values(), ids=WRITTEN_ANEW)
def test_what_would_be_killed_is_written_where_the_log_holds_something_else(known: Known) -> None:
    plan = planned(a_condemning_rule(mode="observe"), known=known)
    assert the_only(plan) == (Action.KILL, "a", Outcome.WOULD_KILL, None)


def test_what_is_left_is_written_however_often_and_never_called() -> None:
    rules = a_rule("workflow.template_id: 61", name="guard", when=None, then="leave")
    known = Known(under_way={"a"}, unchanged={("a", "guard", Action.LEAVE)})
    (one,) = planned(rules + a_condemning_rule(), known=known).planned
    assert (one.decision.action, one.decision.outcome) == (Action.LEAVE, Outcome.LEFT)
    assert (one.step, one.decision.mode, one.decision.rule) == (None, None, "guard")


def test_whom_a_rule_spared_stands_with_what_it_condemned() -> None:
    two = a_workflow("old"), a_workflow("new", started="2026-09-21T12:00:00+03:00")
    plan = planned(a_condemning_rule(more="keep: newest"), *two)
    (spared,) = [p.decision.spared for p in plan.planned if p.decision.workflow is not None]
    assert spared == Spared("is not the newest of its document and template", ("new",))
    assert planned(a_condemning_rule()).planned[0].decision.spared is None


NOTHING_LISTED = replace(a_reading(), workflows=())
AGAIN = "looked at again in 10 s: its workflow may not be listed yet"
RESTS = {
    "nothing runs on it yet": (NOTHING_LISTED, Reason.NO_WORKFLOW, AGAIN),
    "another one runs": (a_reading(a_workflow(template_id="7")), Reason.NO_MATCH, AGAIN),
    "its deal is not lost": (a_reading(stage="S"), Reason.NO_MATCH, None),
    "its stage is unknown": (a_reading(stage=DENIED), Reason.NO_MATCH, None),
    "the workflows cannot be listed": (
        a_reading(unlisted=Unknown("the list broke")),
        Reason.UNREADABLE,
        "the list broke",
    ),
    "reading the deal failed": (
        a_reading(stage=DENIED, exists=DENIED, failure=a_failure()),
        Reason.UNREADABLE,
        "in the portal's own words",
    ),
    "the deal is kept from us": (
        a_reading(stage=DENIED, exists=DENIED),
        Reason.UNREADABLE,
        "access was denied",
    ),
    "the deal is gone": (
        a_reading(stage=None, exists=False),
        Reason.UNREADABLE,
        "the document is gone",
    ),
}


@pytest.mark.parametrize(("reading", "reason", "detail"), RESTS.values(), ids=RESTS)
def test_where_nothing_is_condemned_the_log_says_why(
    reading: Reading, reason: Reason, detail: str | None
) -> None:
    plan = planned(a_condemning_rule(), reading=reading)
    assert the_only(plan) == (Action.NONE, None, None, reason)
    assert plan.planned[0].decision.detail == detail
    assert plan.planned[0].overtakes is False
    assert plan.look_at == (NOW + timedelta(seconds=10) if detail == AGAIN else None)


NO_SECOND_LOOK = {
    "no event came": replace(JOB, deliveries=()),
    "this is the second look": replace(JOB, look=a_look("event")),
    "a sweep lists all there is": a_run("sweep", is_look=False),
}


@pytest.mark.parametrize("job", NO_SECOND_LOOK.values(), ids=NO_SECOND_LOOK)
def test_a_document_has_one_second_look_at_most(job: Job) -> None:
    plan = planned(a_condemning_rule(), job=job, reading=NOTHING_LISTED)
    assert plan.look_at is None
    assert plan.planned[0].decision.detail is None


def test_a_plan_keeps_what_it_rests_on() -> None:
    plan = planned(a_condemning_rule(), a_workflow("a"), a_workflow("b", template_id="7"))
    assert plan.facts["deal.stage_semantic_id"] == "F"
    assert plan.facts["event.name"] == UPDATED
    assert isinstance(plan.running, tuple)
    assert [one.id for one in plan.running] == ["a", "b"]
    first, rest = plan.planned
    assert first.decision.because is None
    (traced,) = first.decision.traced
    assert [test.holds for test in traced.conditions] == [True, True]
    assert rest.decision.reason is Reason.NO_MATCH
    assert [traced.workflow for traced in rest.decision.traced] == ["b"]


def next_of(more: str, progress: StopProgress, *, mode: str = "enforce") -> Outcome:
    rules = a_ruleset(a_condemning_rule(mode=mode, more=more))
    (verdict,) = judge(rules, a_situation(LOST), enforcing=True, now=NOW).verdicts
    return next_step(verdict, rules, progress, Known(), NOW).outcome


LONG_AGO = StopProgress(action=Action.KILL, tries=0, condemned_at=NOW - timedelta(minutes=10))
NEXT = {
    "its wait is over": ("wait: 10m", LONG_AGO, "enforce", Outcome.IN_DOUBT),
    "its wait is not over": ("wait: 11m", LONG_AGO, "enforce", Outcome.WAITING),
    "our clock was ahead": (
        "wait: 10m",
        replace(LONG_AGO, condemned_at=NOW + timedelta(days=1), postponed_at=NOW),
        "enforce",
        Outcome.WAITING,
    ),
    "nobody has approved it": ("", LONG_AGO, "approve", Outcome.HELD),
    "somebody has": ("", replace(LONG_AGO, approval=approved(1)), "approve", Outcome.IN_DOUBT),
}


@pytest.mark.parametrize(("more", "progress", "mode", "outcome"), NEXT.values(), ids=NEXT)
def test_what_a_condemned_stop_does_next(
    more: str, progress: StopProgress, mode: str, outcome: Outcome
) -> None:
    assert next_of(more, progress, mode=mode) is outcome


OWNED_UNTIL = {
    "in a second": (SOON, True),
    "a second ago": (BEFORE, False),
    "at this very moment": (NOW.isoformat(), False),
    "in another zone, later": ("2026-09-24T12:00:01+03:00", True),
    "nobody": (None, False),
    "an empty text": ("", False),
    "it could not be read": (DENIED, True),
    "no date": ("soon", True),
    "no zone": ("2026-09-24T12:00:00", True),
    "a number": (0, True),
}


@pytest.mark.parametrize(("owned_until", "executing"), OWNED_UNTIL.values(), ids=OWNED_UNTIL)
def test_what_may_be_executing(owned_until: object, executing: bool) -> None:
    assert may_be_executing(a_workflow(owned_until=owned_until), NOW) is executing


def test_a_workflow_of_which_nothing_is_told_may_be_executing() -> None:
    assert may_be_executing(Workflow(id="a", facts={}), NOW) is True


ways: st.SearchStrategy[Found] = st.sampled_from(["for", "against", "unknown", "absent"])
each_fact = st.fixed_dictionaries(dict.fromkeys(CAREFUL_FACTS, ways))


@given(each_fact, st.sampled_from(["enforce", "approve", "observe"]))
def test_facts_condemn_where_all_are_known_and_nowhere_else(
    found: dict[str, Found], mode: str
) -> None:
    rules = CAREFUL.replace("enforce", mode)
    plan = planned(rules, reading=a_careful_reading(found))
    condemned = {one.decision.action for one in plan.planned} != {Action.NONE}
    assert condemned == (set(found.values()) == {"for"})
    assert plan.calls == (condemned and mode == "enforce")


def test_all_announcements_of_offline_events_are_one_evaluation() -> None:
    announced = [
        replace(JOB, document=None, events=("ONOFFLINEEVENT",), deliveries=(number,))
        for number in (1, 2, 3)
    ]
    other = replace(JOB, document=None, events=("ONUSERADD",), deliveries=(4,))
    plans = without_rules("main", [*announced, other])
    assert sorted(one.job.deliveries for one in plans) == [(1, 2, 3), (4,)]
    decisions = [planned.decision for one in plans for planned in one.planned]
    assert {(one.reason, one.detail) for one in decisions} == {
        (Reason.NO_DOCUMENT, None),
        (Reason.NO_DOCUMENT, "it says that the portal keeps events"),
    }
