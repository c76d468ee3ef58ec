"""Tests of explanations: every rule, every test, the value it saw, and why."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from responder.adapters.package_texts import RECIPES
from responder.authoring import explain
from responder.authoring.cases import case_runs
from responder.model import Unknown
from responder.rules.ruleset import load
from tests.authoring.cases.test_case_runs import NOW, RULESET
from tests.rules.make import a_rule, a_situation, a_workflow, in_a_file

KEEPING = load(
    in_a_file(
        a_rule(name="duplicate", more="keep: newest") + a_rule("deal.title: x", then="leave")
    ).encode(),
    file="r",
)


def lines(facts: dict[str, object], now: datetime = NOW) -> list[str]:
    return list(explain.render(explain.explain(RULESET, a_situation(facts), now)))


def test_every_test_of_every_rule_is_shown_with_the_value_it_saw() -> None:
    facts: dict[str, object] = {"deal.stage_semantic_id": "P", "deal.company_id": 5}
    shown = lines({**facts, "deal.assigned_by_id": Unknown("we may not read it")})
    assert shown[:9] == [
        "deal:759 in main: ONCRMDEALUPDATE, 2026-09-24 09:00:00+00:00",
        "",
        "workflow a: nothing",
        "  keep-vip: does not hold",
        "    no       if.deal.company_id is 17; it is 5",
        "  lost-deal: does not hold",
        '    no       if.deal.stage_semantic_id is F; it is "P"',
        '    yes      if.workflow.template_id is 61; it is "61"',
        "    unknown  unless.deal.assigned_by_id is 7; because we may not read it",
    ]


def test_it_tells_which_rule_won_and_why_those_below_were_not_read() -> None:
    shown = lines({"deal.stage_semantic_id": "F", "deal.company_id": 5, "deal.assigned_by_id": 3})
    assert "workflow a: kill by lost-deal (enforce)" in shown
    assert "  lost-deal: holds: kill (enforce)" in shown
    assert "  patient: not read, for lost-deal ended the reading (would not hold)" in shown


def test_what_is_unknown_says_what_follows_from_it() -> None:
    shown = lines({"deal.stage_semantic_id": "F", "deal.assigned_by_id": 3})
    assert "  keep-vip: unknown, so it protects" in shown
    assert "workflow a: leave by keep-vip" in shown
    assert "  lost-deal: not read, for keep-vip ended the reading (would hold)" in shown
    shown = lines({"deal.stage_semantic_id": "F", "deal.company_id": 5})
    assert "  lost-deal: unknown, so it does nothing" in shown


def test_rules_that_are_not_in_question_say_why() -> None:
    rules = (
        a_rule(name="off", more="disabled: for now")
        + a_rule(name="over", more="expires: 2026-01-01")
        + a_rule(name="elsewhere", more="portals: [other]")
        + a_rule("task.title: x, workflow.id: x", name="tasks", when="[task.updated]")
        + a_rule(name="robots", when="[robot]")
        + a_rule("deal.title: x", name="guard", then="leave", when=None)
    )
    explained = explain.explain(load(in_a_file(rules).encode(), file="r"), a_situation({}), NOW)
    assert {rule.id: why for rule, why in explained.passed_over} == {
        "off": "switched off: for now",
        "over": "it has ended",
        "elsewhere": "not for the portal main",
        "tasks": "it looks at a task, and this is a deal",
        "robots": "ONCRMDEALUPDATE does not set it off",
        "guard": "no rule below it is in question",
    }
    assert "not in question" in list(explain.render(explained))


def test_what_is_kept_says_so() -> None:
    old, new = a_workflow("old"), a_workflow("new", started="2026-09-24T00:00:00+03:00")
    situation = a_situation({}, (old, new))
    shown = list(explain.render(explain.explain(KEEPING, situation, NOW)))
    assert "  duplicate: holds, but `keep` spares this one" in shown
    assert "workflow old: kill by duplicate (enforce)" in shown


def test_what_is_in_no_group_says_so() -> None:
    rule = a_rule(name="one", more="keep: newest\nper: [deal.company_id]")
    ruleset = load(in_a_file(rule).encode(), file="r")
    shown = "\n".join(explain.render(explain.explain(ruleset, a_situation({}), NOW)))
    assert "one: holds, but `keep` spares this one" in shown
    assert "`deal.company_id` is unknown: the portal's answer does not have it" in shown
    empty = a_situation({"deal.company_id": 0})
    shown = "\n".join(explain.render(explain.explain(ruleset, empty, NOW)))
    assert "it is in no group: `deal.company_id` is empty or has several values" in shown


def test_where_there_is_no_workflow_or_no_list_it_says_so() -> None:
    for workflows, said in (
        (Unknown("no answer"), "  its workflows cannot be listed: no answer"),
        ((), "  no workflow runs on it"),
    ):
        situation = a_situation({}, workflows)
        assert said in list(explain.render(explain.explain(RULESET, situation, NOW)))


FACTS = st.fixed_dictionaries(
    {
        "deal.stage_semantic_id": st.sampled_from(["F", "P", None, Unknown("x")]),
        "deal.company_id": st.sampled_from([17, 5, 0, Unknown("x")]),
        "deal.assigned_by_id": st.sampled_from([7, "8", None]),
    }
)
TEMPLATES = st.sampled_from(["61", 62, "63", None])


@given(FACTS, TEMPLATES)
def test_an_explanation_never_differs_from_the_judgement(
    facts: dict[str, object], template: object
) -> None:
    situation = a_situation(facts, (a_workflow(template_id=template),))
    explained = explain.explain(RULESET, situation, NOW)
    (trace,) = explained.traces
    made = {(c.rule, c.path, c.test): c for read in trace.readings for c in read.tests}
    judgement = explained.judgement
    told = [*judgement.conditions, *(c for v in judgement.verdicts for c in v.conditions)]
    assert all(
        (made[(c.rule, c.path, c.test)].holds, made[(c.rule, c.path, c.test)].value)
        == (c.holds, c.value)
        for c in told
    )
    deciding = [read.rule.id for read in trace.readings if read.decides]
    assert deciding == [verdict.rule for verdict in judgement.verdicts]


def test_a_value_that_cannot_be_read_is_shown_with_the_reason() -> None:
    rules = a_rule(
        more="unless: {any: [{deal.uf_crm_day: 2026-09-24}, {deal.uf_crm_sum: 1000}]}",
    )
    zone = "defaults: {timezone: America/New_York}\n"
    ruleset = load(in_a_file(rules, zone).encode(), file="r")
    facts = {"deal.uf_crm_day": "2026-09-24T03:00:00+03:00", "deal.uf_crm_sum": "1 000"}
    shown = list(explain.render(explain.explain(ruleset, a_situation(facts), NOW)))
    assert shown[-2:] == [
        "    unknown  unless.any[0].deal.uf_crm_day is 2026-09-24; because it may be a day or a "
        "moment, and the two do not agree",
        "    unknown  unless.any[1].deal.uf_crm_sum is 1000; because `1 000` is not a number",
    ]


def test_whom_a_rule_would_tell_is_said() -> None:
    text = in_a_file(
        a_rule(
            "deal.stage_semantic_id: F, workflow.template_id: 61", more="tell: [starter, waiting]"
        )
    )
    ruleset = load(text.encode(), file="r")
    started = (a_workflow(started_by="7"),)
    situation = a_situation({"deal.stage_semantic_id": "F"}, started)
    shown = list(explain.render(explain.explain(ruleset, situation, NOW)))
    told = "it would tell starter (user 7), waiting: its tasks are read when it is stopped"
    assert f"    {told}" in shown
    spared = a_situation({"deal.stage_semantic_id": "P"}, started)
    shown = list(explain.render(explain.explain(ruleset, spared, NOW)))
    assert not [line for line in shown if "would tell" in line]


def test_a_test_says_whom_its_rule_would_tell() -> None:
    text = RECIPES.text("say-so")
    results = case_runs.run(case_runs.suite_of_rules(text.encode(), "r"), NOW)
    assert list(case_runs.render(results, ()))[:2] == [
        "ok    what nobody answered is withdrawn a day after the warning",
        "      old: say-so would tell waiting: its tasks are read when it is stopped, "
        "responsible (user 7), timeline, starter (user 12)",
    ]
