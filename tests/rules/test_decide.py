"""Tests of judging: the order of reading, what protects, what is spared, and the reasons given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.model import Action, Document, Judgement, Mode, Reason, Unknown
from responder.rules.decide import judge
from tests.rules.make import (
    NOW,
    a_rule,
    a_ruleset,
    a_situation,
    a_workflow,
    judged,
)

DENIED = Unknown("access was denied")
LOST = {"deal.stage_semantic_id": "F"}
IS_LOST = "deal.stage_semantic_id: F, workflow.template_id: 61"


def said(judgement: Judgement) -> list[tuple[str, str, Action, Mode | None]]:
    return [(v.workflow.id, v.rule, v.action, v.mode) for v in judgement.verdicts]


def test_a_rule_whose_tests_all_hold_condemns_and_names_its_tests() -> None:
    judgement = judged(a_rule(IS_LOST, more="because: It is lost."), LOST)
    (verdict,) = judgement.verdicts
    assert said(judgement) == [("a", "the-rule", Action.KILL, Mode.ENFORCE)]
    assert verdict.because == "It is lost."
    assert [(c.path, c.test, c.value, c.holds) for c in verdict.conditions] == [
        ("if.deal.stage_semantic_id", "is F", "F", True),
        ("if.workflow.template_id", "is 61", "61", True),
    ]
    assert judgement.reason is None
    assert not judgement.look_again


def test_reading_ends_at_the_first_enforce_rule() -> None:
    rules = a_rule(name="one") + a_rule(name="two", then="terminate")
    assert said(judged(rules)) == [("a", "one", Action.KILL, Mode.ENFORCE)]


def test_an_observe_rule_never_disarms_another() -> None:
    rules = (
        a_rule(name="tried", mode="observe")
        + a_rule(name="by-default", mode=None)
        + a_rule(name="meant", then="terminate")
        + a_rule(name="below")
    )
    assert said(judged(rules)) == [
        ("a", "tried", Action.KILL, Mode.OBSERVE),
        ("a", "by-default", Action.KILL, Mode.OBSERVE),
        ("a", "meant", Action.TERMINATE, Mode.ENFORCE),
    ]


def test_an_observing_installation_reads_the_same_and_enforces_nothing() -> None:
    rules = a_rule(name="tried", mode="observe") + a_rule(name="meant") + a_rule(name="below")
    assert said(judged(rules, enforcing=False)) == [
        ("a", "tried", Action.KILL, Mode.OBSERVE),
        ("a", "meant", Action.KILL, Mode.OBSERVE),
    ]


def test_a_guard_above_protects_and_one_below_does_not() -> None:
    guard = a_rule(name="guard", then="leave", when=None)
    assert said(judged(guard + a_rule())) == [("a", "guard", Action.LEAVE, None)]
    assert said(judged(a_rule() + guard)) == [("a", "the-rule", Action.KILL, Mode.ENFORCE)]
    between = a_rule(name="tried", mode="observe") + guard + a_rule()
    assert said(judged(between)) == [
        ("a", "tried", Action.KILL, Mode.OBSERVE),
        ("a", "guard", Action.LEAVE, None),
    ]


def test_a_guard_that_is_unknown_protects_and_says_why() -> None:
    guard = a_rule("deal.company_id: 17", name="guard", then="leave", when=None)
    judgement = judged(guard + a_rule(), {"deal.company_id": DENIED})
    assert said(judgement) == [("a", "guard", Action.LEAVE, None)]
    (condition,) = judgement.verdicts[0].conditions
    assert (condition.holds, condition.value, condition.why) == (None, None, DENIED.why)
    assert judgement.reason is None


def test_a_guard_of_another_kind_neither_acts_nor_protects() -> None:
    guard = a_rule("lead.company_id: 17", name="guard", then="leave", when=None)
    assert [v.rule for v in judged(guard + a_rule()).verdicts] == ["the-rule"]


@pytest.mark.parametrize(
    ("unless", "value", "condemned"),
    [
        ("{deal.assigned_by_id: [7, 9]}", 7, False),
        ("{deal.assigned_by_id: [7, 9]}", 8, True),
        ("{deal.assigned_by_id: [7, 9]}", None, True),
        ("{deal.assigned_by_id: [7, 9]}", DENIED, False),
        ("{deal.assigned_by_id: [7, 9]}", "seven", False),
        ("{deal.assigned_by_id: {is_not: 7}}", 8, False),
        ("{deal.assigned_by_id: {is_not: 7}}", 7, True),
        ("{not: {deal.assigned_by_id: 7}}", DENIED, False),
        ("{any: [{deal.assigned_by_id: 7}, {deal.assigned_by_id: 8}]}", 9, True),
        ("{any: [{deal.assigned_by_id: 7}, {deal.assigned_by_id: 8}]}", 8, False),
        ("{deal.assigned_by_id: {exists: false}}", 0, False),
    ],
)
def test_unless_excludes_and_an_unknown_unless_protects(
    unless: str, value: object, condemned: bool
) -> None:
    judgement = judged(a_rule(more=f"unless: {unless}"), {"deal.assigned_by_id": value})
    assert bool(judgement.verdicts) is condemned


def test_each_test_of_unless_excludes_on_its_own() -> None:
    rule = a_rule(more="unless: {deal.assigned_by_id: 7, deal.closed: true}")
    assert judged(rule, {"deal.assigned_by_id": 8, "deal.closed": "Y"}).verdicts == ()
    assert judged(rule, {"deal.assigned_by_id": 7, "deal.closed": "N"}).verdicts == ()
    assert judged(rule, {"deal.assigned_by_id": DENIED, "deal.closed": "N"}).verdicts == ()
    assert judged(rule, {"deal.assigned_by_id": 8, "deal.closed": "N"}).verdicts
    both = a_rule(more="unless: {deal.id: {at_least: 5, below: 9}}")
    assert judged(both, {"deal.id": 9}).verdicts
    assert judged(both, {"deal.id": 7}).verdicts == ()


@pytest.mark.parametrize(
    ("tests", "facts", "condemned"),
    [
        ("any: [{deal.title: a}, {deal.closed: true}]", {"deal.title": "a"}, True),
        ("any: [{deal.title: a}, {deal.closed: true}]", {"deal.closed": "Y"}, True),
        ("any: [{deal.title: a}, {deal.closed: true}]", {"deal.title": "b"}, False),
        ("all: [{deal.title: a}, {deal.closed: true}]", {"deal.title": "a"}, False),
        ("not: {deal.title: a}", {"deal.title": "b"}, True),
        ("not: {deal.title: a}", {"deal.title": "a"}, False),
        ("not: {deal.title: a}", {}, False),
        ("not: {deal.title: a, deal.closed: true}", {"deal.closed": "N"}, True),
        ("not: {any: [{deal.title: a}, {not: {deal.closed: true}}]}",
         {"deal.title": "b", "deal.closed": "Y"}, True),
        ("not: {any: [{deal.title: a}, {not: {deal.closed: true}}]}", {"deal.title": "b"}, False),
        ("deal.id: {at_least: 5, below: 9}", {"deal.id": 8}, True),
        ("deal.id: {at_least: 5, below: 9}", {"deal.id": 9}, False),
    ],
)  # fmt: skip
def test_tests_nest(tests: str, facts: dict[str, object], condemned: bool) -> None:
    judgement = judged(a_rule(f"{tests}, workflow.template_id: 61"), facts)
    assert bool(judgement.verdicts) is condemned


def test_the_trace_ends_at_the_first_false_and_goes_on_past_an_unknown() -> None:
    tests = "deal.title: a, deal.company_id: 1, deal.category_id: 2, workflow.template_id: 61"
    facts = {"deal.title": "a", "deal.company_id": DENIED, "deal.category_id": 3}
    judgement = judged(a_rule(tests), facts)
    assert [(c.path, c.holds, c.why) for c in judgement.conditions] == [
        ("if.deal.title", True, None),
        ("if.deal.company_id", None, DENIED.why),
        ("if.deal.category_id", False, None),
    ]
    assert judgement.reason is Reason.NO_MATCH


def test_every_test_made_for_a_workflow_stands_in_its_last_verdict() -> None:
    rules = (
        a_rule("deal.title: b", name="guard", then="leave", when=None)
        + a_rule(name="tried", mode="observe")
        + a_rule("workflow.template_id: 7", name="other")
    )
    judgement = judged(rules, {"deal.title": "a"})
    (verdict,) = judgement.verdicts
    assert [(c.rule, c.holds) for c in verdict.conditions] == [
        ("guard", False),
        ("tried", True),
        ("other", False),
    ]
    assert judgement.conditions == ()


def test_the_tests_of_workflows_without_a_verdict_name_them() -> None:
    others = [a_workflow(name, template_id=name) for name in ("7", "8")]
    judgement = judged(a_rule(), {}, a_workflow("a"), *others)
    assert [v.workflow.id for v in judgement.verdicts] == ["a"]
    assert [
        (one.workflow, [(c.value, c.holds) for c in one.conditions]) for one in judgement.traced
    ] == [
        ("7", [("7", False)]),
        ("8", [("8", False)]),
    ]
    assert judgement.reason is Reason.NO_MATCH


@pytest.mark.parametrize(
    ("tests", "more", "known", "condemned"),
    [
        ("deal.id: 1", "every_template: true", True, True),
        ("deal.id: 1", "every_template: true", False, False),
        ("deal.id: 1", "every_template: true", DENIED, False),
        ("deal.id: 1, template.known: false", "", False, True),
        ("workflow.template_id: 61", "", False, True),
        ("workflow.template_id: [61, 62]", "", False, True),
        ("template.id: 61", "", False, True),
        ("workflow.id: a", "", False, True),
        ("workflow.template_id: {is_not: 7}", "", False, False),
        ("workflow.template_id: {is_not: 7}", "", True, True),
        ("any: [{workflow.template_id: 61}, {deal.id: 1}]", "", False, False),
        ("any: [{workflow.template_id: 61}, {workflow.id: x}]", "", False, True),
        ("deal.id: 1", "unless: {workflow.template_id: 7}", False, False),
        ("template.name: {contains: approval}", "", False, False),
        ("template.name: {contains: approval}", "", True, True),
    ],
)
def test_robots_runs_are_spared_unless_their_template_is_named_or_asked_for(
    tests: str, more: str, known: object, condemned: bool
) -> None:
    workflow = a_workflow(**{"template.known": known, "template.name": "The approval"})
    judgement = judged(a_rule(tests, more=more), {"deal.id": 1}, workflow)
    assert bool(judgement.verdicts) is condemned


def test_sparing_a_robots_run_is_in_the_trace() -> None:
    rule = a_rule("deal.id: 1", more="every_template: true")
    judgement = judged(rule, {"deal.id": 1}, a_workflow(**{"template.known": False}))
    condition = judgement.conditions[-1]
    assert (condition.path, condition.test, condition.holds) == ("template.known", "is true", False)


def test_a_rule_acts_until_the_end_of_its_last_day_in_the_time_zone_of_the_file() -> None:
    rule = a_rule(more="expires: 2026-12-31")
    head = "defaults: {timezone: Europe/Moscow}\n"
    end = datetime(2026, 12, 31, 21, tzinfo=UTC)
    assert judged(rule, head=head, now=end - timedelta(seconds=1)).verdicts
    assert judged(rule, head=head, now=end).reason is Reason.NO_RULE
    assert judged(rule, now=end + timedelta(hours=2, minutes=59)).verdicts
    assert judged(rule, now=end + timedelta(hours=3)).verdicts == ()


def test_a_guard_that_has_expired_protects_no_longer() -> None:
    guard = a_rule(name="guard", then="leave", when=None, more="expires: 2026-09-23")
    assert [v.rule for v in judged(guard + a_rule()).verdicts] == ["the-rule"]


def test_only_the_workflow_that_a_call_names_is_judged() -> None:
    workflows = (a_workflow("a"), a_workflow("b"))
    assert [v.workflow.id for v in judged(a_rule(), {}, *workflows, only="b").verdicts] == ["b"]
    assert judged(a_rule(), {}, *workflows, only="c").reason is Reason.NO_WORKFLOW


def test_the_reason_says_why_nothing_is_condemned() -> None:
    rules = a_ruleset(a_rule(IS_LOST))

    def reason(**changes: object) -> Reason | None:
        situation = replace(a_situation({}), **changes)  # type: ignore[arg-type]  # a table below
        return judge(rules, situation, enforcing=True, now=NOW).reason

    assert reason(events=("ONCRMDEALADD",)) is Reason.NO_RULE
    assert reason(trigger="robot", events=()) is Reason.NO_RULE
    assert reason(workflows=DENIED) is Reason.UNREADABLE
    assert reason(workflows=()) is Reason.NO_WORKFLOW
    assert reason(facts={"deal.stage_semantic_id": "P"}) is Reason.NO_MATCH
    assert reason(facts={"document.exists": False}) is Reason.UNREADABLE
    assert reason(facts={"document.exists": DENIED}) is Reason.UNREADABLE
    assert reason(facts={**LOST, "document.exists": True}) is None


def test_a_rule_on_a_document_that_is_gone_acts() -> None:
    gone = {"document.exists": False, "deal.stage_semantic_id": Unknown("it is gone")}
    rule = a_rule("document.exists: false, workflow.template_id: 61")
    assert judged(rule, gone).verdicts
    assert judged(rule, gone, a_workflow(template_id="7")).reason is Reason.UNREADABLE


def test_workflows_that_cannot_be_listed_condemn_nothing_and_say_why() -> None:
    situation = a_situation(LOST, DENIED)
    judgement = judge(a_ruleset(a_rule(IS_LOST)), situation, enforcing=True, now=NOW)
    assert judgement.verdicts == ()
    assert judgement.conditions[0].why == DENIED.why
    assert not judgement.look_again


@pytest.mark.parametrize(
    ("tests", "more", "facts", "look_again"),
    [
        (IS_LOST, "", LOST, True),
        (IS_LOST, "", {"deal.stage_semantic_id": "P"}, False),
        (IS_LOST, "", {"deal.stage_semantic_id": DENIED}, False),
        ("workflow.template_id: 61", "", {}, True),
        ("workflow.template_id: 61", "unless: {workflow.started_by: 7}", {}, True),
        ("workflow.template_id: 61", "unless: {deal.closed: true}", {"deal.closed": "Y"}, False),
        ("workflow.template_id: 61", "unless: {deal.closed: true}", {}, False),
        ("not: {workflow.started_by: 7}, workflow.template_id: 61", "", {}, True),
        ("not: {workflow.started_by: 7, deal.closed: true}, workflow.id: x", "", {}, True),
        ("workflow.started_by: {is: {fact: deal.created_by}}, workflow.id: x", "", {}, True),
        ("deal.id: 1", "every_template: true", {"deal.id": 1}, True),
    ],
)
def test_another_look_is_taken_where_the_document_fits_and_no_workflow_did(
    tests: str, more: str, facts: dict[str, object], look_again: bool
) -> None:
    robots_run = a_workflow(template_id="7", **{"template.known": False})
    judgement = judged(a_rule(tests, more=more), facts, robots_run)
    assert judgement.verdicts == ()
    assert judgement.look_again is look_again
    empty = judge(
        a_ruleset(a_rule(tests, more=more)), a_situation(facts, ()), enforcing=True, now=NOW
    )
    assert (empty.reason, empty.look_again) == (Reason.NO_WORKFLOW, look_again)
    assert empty.conditions == ()


def test_no_other_look_is_taken_once_something_was_condemned() -> None:
    assert not judged(a_rule(), {}, a_workflow("a"), a_workflow("b", template_id="7")).look_again
    guarded = a_rule("workflow.id: a", name="guard", then="leave", when=None) + a_rule()
    assert judged(guarded).look_again


def test_a_situation_tells_of_itself() -> None:
    tests = "document.kind: deal, document.id: 759, event.name: ONCRMDEALUPDATE, workflow.id: a"
    assert judged(a_rule(tests)).verdicts


def test_a_document_that_no_rule_can_look_into_is_judged_by_its_workflows() -> None:
    other = Document(kind="other", item_id="12", module="lists", entity="BizprocDocument", id="12")
    situation = a_situation(document=other, trigger="robot", events=())
    rules = a_ruleset(
        a_rule("deal.closed: true", name="guard", then="leave", when=None) + a_rule(when="[robot]")
    )
    judgement = judge(rules, situation, enforcing=True, now=NOW)
    assert [verdict.rule for verdict in judgement.verdicts] == ["the-rule"]


def test_one_more_workflow_may_make_up_the_number_that_a_rule_asks_for() -> None:
    crowded = a_rule("document.running: {at_least: 2}", more="every_template: true")
    alone = judged(crowded, {"document.running": 1})
    assert (alone.verdicts, alone.look_again) == ((), True)
    assert judged(crowded, {"document.running": 2}).verdicts
    assert not judged(crowded, {"document.running": DENIED}).verdicts


def test_of_which_list_an_element_is_must_be_known_where_a_guard_of_a_list_may_be_about_it() -> (
    None
):
    element = Document(kind="other", item_id="7", module="lists", entity="BizprocDocument", id="7")
    file = Document(kind="other", item_id="7", module="disk", entity="x", id="7")
    guard = a_rule("list_23.name: x", name="guard", then="leave", when=None)

    def verdicts(rules: str, document: Document) -> int:
        situation = a_situation(document=document, trigger="robot", events=())
        return len(judge(a_ruleset(rules), situation, enforcing=True, now=NOW).verdicts)

    by_robot = a_rule(when="[robot]")
    assert verdicts(guard + by_robot, element) == 0
    assert verdicts(by_robot, element) == 1
    assert verdicts(guard + by_robot, file) == 1


def test_of_which_kind_an_element_of_an_unknown_list_is_nobody_knows() -> None:
    element = Document(kind="other", item_id="7", module="lists", entity="BizprocDocument", id="7")
    robots = replace(a_situation({}, document=element), trigger="robot", events=())
    rule = a_rule(when="[robot]", more="unless: {document.kind: list_23}")
    assert judge(a_ruleset(rule), robots, enforcing=True, now=NOW).verdicts == ()
    guard = a_rule("document.kind: list_23", name="guard", then="leave", when=None)
    guarded = guard + a_rule(when="[robot]")
    verdicts = judge(a_ruleset(guarded), robots, enforcing=True, now=NOW).verdicts
    assert [one.action for one in verdicts] == [Action.LEAVE]
    drive = replace(robots, document=replace(element, module="disk"))
    (verdict,) = judge(a_ruleset(guarded), drive, enforcing=True, now=NOW).verdicts
    assert verdict.action is Action.KILL
