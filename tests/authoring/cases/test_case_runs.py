"""Tests of tests: what a case is read as, how it comes out, and what is wrong with it."""

from datetime import UTC, datetime
from textwrap import dedent, indent
from xml.etree import ElementTree

import pytest

from responder.authoring import explain
from responder.authoring.cases import case_runs
from responder.rules.ruleset import RulesError, load
from responder.rules.yaml_positions import Mistake
from tests.rules.make import a_rule, in_a_file

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
RULES = """\
version: 1
calendars:
  office: {timezone: Europe/Moscow, days: [mon, tue, wed, thu, fri], from: 9:00, to: 18:00}
rules:
  - id: keep-vip
    if: {deal.company_id: 17}
    then: leave
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    unless: {deal.assigned_by_id: 7}
    then: kill
  - id: watched
    when: [deal.updated, {every: 1h}]
    if: {workflow.template_id: [61, 62], workflow.age: {over: 30d}}
    then: terminate
  - id: patient
    mode: enforce
    when: [deal.updated]
    if: {workflow.template_id: 63}
    wait: 10m
    then: kill
  - id: by-day
    when: [deal.updated]
    if: {workflow.template_id: 64}
    during: office
    then: kill
  - id: of-a-robot
    when: [robot]
    if: {workflow.template_id: 65, starter.active: false}
    then: kill
"""
RULESET = load(RULES.encode(), file="rules.yaml")


def results(cases: str) -> list[case_runs.Result]:
    text = f"tests:\n{indent(dedent(cases).strip(), '  ')}\n"
    return case_runs.run(case_runs.suite_of_tests(text.encode(), "tests.yaml", RULESET), NOW)


def passes(case: str) -> bool:
    (result,) = results(case)
    return result.passed


def one(
    expect: str, workflows: str = "{id: a, template_id: 61}", facts: str = "", more: str = ""
) -> str:
    """Write a case of an updated deal that is lost."""
    return dedent(f"""\
        - event: deal.updated
          facts: {{deal: {{stage_semantic_id: F{facts}}}}}
          workflows: [{workflows}]
          expect: {expect}
        """) + (f"  {more}\n" if more else "")


@pytest.mark.parametrize(
    "expect", ["{a: {kill: lost-deal}}", "{a: kill}", "{a: [{kill: lost-deal}]}"]
)
def test_a_workflow_is_condemned_by_the_rule_that_is_named_or_by_any(expect: str) -> None:
    assert passes(one(expect))


@pytest.mark.parametrize("expect", ["{a: none}", "none", "{}", "{a: terminate}", "{a: waiting}"])
def test_a_kill_that_nobody_expected_fails(expect: str) -> None:
    assert not passes(one(expect))


def test_a_fact_that_is_not_given_is_empty_and_the_template_is_listed() -> None:
    assert passes(one("{a: {kill: lost-deal}}"))
    assert passes(one("{a: none}", facts=", assigned_by_id: 7"))
    assert passes(one("{a: {leave: keep-vip}}", facts=", company_id: 17"))


def test_an_unknown_fact_protects() -> None:
    assert passes(one("none", more="unknown: [deal.assigned_by_id]"))
    assert passes(one("{a: {leave: keep-vip}}", more="unknown: [deal.company_id]"))
    assert passes(one("none", more="unknown: [workflows]"))
    assert not passes(one("{a: kill}", more="unknown: [workflows]"))


def test_the_clock_is_the_cases_own() -> None:
    old = "{id: a, template_id: 62, started: 2026-08-01T10:00:00+03:00}"
    assert passes(one("{a: {terminate: watched}}", old, more="at: 2026-09-24T12:00"))
    assert passes(one("none", old, more="at: 2026-08-15"))


def test_a_rule_that_waits_is_waiting_and_one_that_is_closed_too() -> None:
    assert passes(one("{a: {waiting: patient}}", "{id: a, template_id: 63}"))
    assert not passes(one("{a: {kill: patient}}", "{id: a, template_id: 63}"))
    by_day = "{id: a, template_id: 64}"
    assert passes(one("{a: {waiting: by-day}}", by_day, more="at: 2026-09-26T12:00"))
    assert passes(one("{a: {kill: by-day}}", by_day, more="at: 2026-09-24T12:00"))


def test_several_rules_that_only_observe_are_all_seen() -> None:
    both = "{id: a, template_id: 61, started: 2026-08-01T10:00:00+03:00}"
    expect = "{a: [{terminate: watched}]}"
    case = one(expect, both, more="at: 2026-09-24T12:00").replace("_id: F", "_id: P")
    assert passes(case)


def test_schedules_sweeps_and_robots_have_no_event() -> None:
    assert passes("""
        - event: robot
          workflows: [{id: a, template_id: 65, starter: {active: false}}]
          expect: {a: {kill: of-a-robot}}
        """)
    assert passes("""
        - event: schedule
          at: 2026-09-24
          workflows: [{id: a, template_id: 61, started: 2026-08-01}]
          expect: {a: {terminate: watched}}
        """)
    assert passes("""
        - event: sweep
          facts: {deal.stage_semantic_id: F}
          workflows: [{id: a, template_id: 61}]
          expect: {a: {kill: lost-deal}}
        """)


def test_the_portals_own_names_and_several_events_are_taken() -> None:
    assert passes(one("{a: kill}").replace("deal.updated", "oncrmdealupdate"))
    assert passes(one("{a: kill}").replace("deal.updated", "[deal.added, deal.updated]"))


def test_facts_may_be_given_by_their_path_have_several_values_and_belong_to_a_workflow() -> None:
    assert passes("""
        - event: robot
          facts: {starter: {active: false}, deal.observers: [1, 2], deal.uf_x: {a: 1.5, b: null}}
          workflows: [{id: a, workflow.template_id: 65, starter.id: 7}, {id: 5, started_by: 0}]
          expect: {a: kill, 5: none}
        """)


def test_a_file_of_tests_has_nothing_else_in_it() -> None:
    for text, message in (
        (b"tests: []\nrulez: []", "there is no key `rulez` in a file of tests"),
        (b"5", "a file of tests is a map"),
    ):
        with pytest.raises(RulesError) as caught:
            case_runs.suite_of_tests(text, "t", RULESET)
        assert any(message in one.message for one in caught.value.mistakes)


def test_tests_in_a_rules_file_are_those_under_their_key() -> None:
    assert case_runs.suite_of_rules(RULES.encode(), "r").cases == ()


def mistakes(case: str) -> list[Mistake]:
    with pytest.raises(RulesError) as caught:
        results(case)
    return list(caught.value.mistakes)


@pytest.mark.parametrize(
    ("case", "message", "suggestion", "line"),
    [
        (one("{a: {kill: lost-deel}}"), "there is no rule `lost-deel`", "lost-deal", 5),
        (one("{a: {terminate: lost-deal}}"), "`lost-deal` never does this", "kill", 5),
        (one("{a: {klil: lost-deal}}"), "`klil` is none of", "kill: lost-deal", 5),
        (one("{b: none}"), "there is no workflow `b`", None, 5),
        (one("yes"), "`expect` is `none`, or a map", None, 5),
        (one("none", more="expekt: none"), "there is no key `expekt`", "expect", 6),
        (one("none", more="unknown: [deal.oportunity]"), "there is no fact", "deal.opportunity", 6),
        (one("none", facts=", stge_id: X"), "there is no fact `deal.stge_id`", "stage_id", 3),
        (one("none", "{template_id: 61}"), "a workflow is a map with an `id`", None, 4),
        (one("none", "{id: a}, {id: a}"), "there are two workflows `a`", None, 4),
        (
            one("none", "{id: a, age: 30d}"),
            "`workflow.age` is computed from `workflow.started`",
            "started",
            4,
        ),
        (one("none", more="at: soon"), "`at` is a moment", None, 6),
        (one("none", more="document: deal"), "`document` is a kind and a number", None, 6),
        (
            one("none").replace("deal.updated", "deal.update"),
            "there is no event `deal.update`",
            "deal.updated",
            2,
        ),
        (
            one("none").replace("deal: {", "lead: {"),
            "this test is about a deal, which has no facts of a lead",
            None,
            3,
        ),
        (one("none").replace("deal: {", "del: {"), "nothing called `del` has facts", "deal", 3),
        ("- name: x\n  expect: none", "`event` is missing", None, 2),
        ("{}", "`tests` is a list", None, 2),
        ("- 5", "a test is a map", None, 2),
        (one("{a: {}}"), "one thing is expected here", None, 5),
        (one("{a: {none: lost-deal}}"), "one thing is expected here", "none", 5),
        (one("{a: {kill: [x]}}"), "one thing is expected here", "kill", 5),
        (
            one("none").replace("[{id", "{id").replace("61}]", "61}"),
            "`workflows` is",
            "[{id: a, template_id: 61}]",
            4,
        ),
        (one("none", more="unknown: deal.id"), "`unknown` is a list of facts", "[deal.id]", 6),
        (one("none", more="unknown: [[]]"), "the name of a fact is expected", None, 6),
        (one("none", more="name: []"), "`name` is a text", None, 6),
        (one("none").replace("deal: {stage_semantic_id: F}", "deal: F"), "facts are", None, 3),
    ],
)
def test_what_is_wrong_in_a_test_is_reported_where_it_stands(
    case: str, message: str, suggestion: str | None, line: int
) -> None:
    (first, *_) = mistakes(case)
    assert message in first.message
    assert (first.suggestion, first.line) == (suggestion, line)


def test_two_tests_of_one_name_are_a_mistake() -> None:
    case = one("none", "{id: a}", more="name: the same")
    assert "another test has this name, on line 2" in mistakes(case + case)[0].message


def test_a_test_without_an_expectation_could_never_fail() -> None:
    text = b"tests: [{event: deal.updated, workflows: [{id: a}]}]"
    assert case_runs.suite_of_tests(text, "t", RULESET).cases[0].expected is None
    with pytest.raises(RulesError) as refused:
        case_runs.suite_of_tests(text, "t", RULESET, expecting=True)
    assert "`expect` is missing" in refused.value.mistakes[0].message


def test_a_difference_tells_what_was_expected_what_came_and_why() -> None:
    text = "\n".join(case_runs.render(results(one("{a: none}", more="name: it stays")), []))
    assert text == dedent("""\
        FAIL  it stays (tests.yaml:2)
              a: expected none; got kill by lost-deal (enforce)
                lost-deal: yes      if.deal.stage_semantic_id is F; it is "F"
                lost-deal: yes      if.workflow.template_id is 61; it is 61
                lost-deal: no       unless.deal.assigned_by_id is 7; it is null
        1 test, 1 failed""")


def test_enforced_rules_that_no_passing_test_shows_are_listed() -> None:
    suite = case_runs.suite_of_tests(f"tests:\n{one('{a: kill}')}".encode(), "t", RULESET)
    untested = case_runs.untested(suite, case_runs.run(suite, NOW))
    assert [rule.id for rule in untested] == ["patient"]
    assert "patient is enforced, and no test" in "\n".join(case_runs.render([], untested))


def test_build_servers_are_told_in_their_own_words() -> None:
    found = results(one("{a: none}", more="name: one") + one("{a: kill}", more="name: two"))
    root = ElementTree.fromstring(case_runs.junit(found, "tests.yaml"))  # noqa: S314  # our own
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failed, passed = root
    assert "expected none" in str(failed[0].get("message"))
    assert (passed.get("name"), len(passed)) == ("two", 0)


# What Jenkins's schema for JUnit's files allows: of each element its attributes (those it must have
# in capitals), and the elements that may stand within it.
JENKINS = {
    "testsuite": (
        "NAME TESTS failures errors time disabled skipped timestamp hostname id package",
        "testcase properties system-out system-err",
    ),
    "testcase": ("NAME assertions time classname status", "skipped error failure system-out"),
    "failure": ("type message", ""),
    "error": ("type message", ""),
}


def test_build_servers_can_read_what_is_written() -> None:
    found = results(one("{a: none}", more="name: one") + one("{a: kill}", more="name: two"))
    mistake = Mistake("r.yaml", 1, 1, "error", "a < b", None)
    for written in (
        case_runs.junit(found, "tests.yaml"),
        case_runs.junit_of_mistakes([mistake], "r.yaml"),
    ):
        for element in ElementTree.fromstring(written).iter():  # noqa: S314  # our own
            attributes, children = JENKINS[element.tag]
            assert set(element.keys()) <= set(attributes.lower().split())
            assert {name.lower() for name in attributes.split() if name.isupper()} <= set(
                element.keys()
            )
            assert {child.tag for child in element} <= set(children.split())


def test_what_xml_cannot_hold_is_replaced() -> None:
    (mistake, found) = (
        Mistake("r.yaml", 1, 1, "error", "a \x01 b\x1b[2J", None),
        results(one("{a: none}", more='name: "one \\x07"')),
    )
    for written in (
        case_runs.junit(found, "tests.yaml"),
        case_runs.junit_of_mistakes([mistake], "r.yaml"),
    ):
        ElementTree.fromstring(written)  # noqa: S314  # our own
    (case,) = ElementTree.fromstring(case_runs.junit(found, "t"))  # noqa: S314  # our own
    assert case.get("name") == "one \ufffd"


def test_a_file_is_known_for_what_it_is() -> None:
    assert case_runs.has_rules(RULES.encode())
    assert case_runs.has_rules(b"")
    assert case_runs.has_rules(b"version: 1\n")
    assert case_runs.has_rules(b"rule: [{id: a}]\ntests: []")
    assert case_runs.has_rules(b"defaults: {}\ntests: []")
    assert not case_runs.has_rules(b"tests: []")
    assert not case_runs.has_rules(b"event: deal.updated")


MONTH = """\
version: 1
rules:
  - id: not-in-september
    mode: enforce
    when: [deal.updated]
    if: {workflow.template_id: 61}
    unless: {deal.uf_crm_day: {between: [2026-09-01, 2026-09-30]}}
    then: kill
tests:
"""


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-09-01T00:00:00+03:00", "none"),
        ("2026-09-30T03:00:00+03:00", "none"),
        ("01.10.2026", "none"),
        ("2026-10-01T00:00:00+03:00", "{a: {kill: not-in-september}}"),
    ],
)
def test_days_are_what_they_are_to_the_service(sent: str, expected: str) -> None:
    case = (
        f"  - {{name: a day, event: deal.updated, facts: {{deal: {{uf_crm_day: '{sent}'}}}},"
        f" workflows: [{{id: a, template_id: 61}}], expect: {expected}}}\n"
    )
    (result,) = case_runs.run(case_runs.suite_of_rules((MONTH + case).encode(), "rules.yaml"), NOW)
    assert result.passed, result.differences


ASKING = in_a_file(a_rule(name="asking", mode="approve"))


def test_a_test_expects_of_a_rule_that_asks_what_it_does_once_approved() -> None:
    suite = case_runs.suite_of_rules(
        f"""{ASKING}
tests:
  - event: deal.updated
    workflows: [{{id: a, template_id: 61}}]
    expect: {{a: {{kill: asking}}}}
""".encode(),
        "r",
    )
    found = case_runs.run(suite, NOW)
    assert [result.passed for result in found] == [True]
    assert case_runs.untested(suite, found) == []
    explained = explain.explain(suite.ruleset, suite.cases[0].situation, NOW)
    assert "  asking: holds: kill (approve)" in explain.render(explained)


def test_a_rule_that_asks_and_that_no_test_shows_is_named() -> None:
    suite = case_runs.suite_of_rules(ASKING.encode(), "r")
    unshown = case_runs.untested(suite, ())
    assert "      asking acts where it is approved, and no test shows that it acts" in list(
        case_runs.render((), unshown)
    )
