"""Rules that ask first, as the language has them: read, judged, told, tested, advised on."""

from pathlib import Path

import pytest

from responder.authoring import explain
from responder.authoring.cases import case_runs
from responder.authoring.check import check
from responder.model import Mode, Verdict
from responder.rules.english import paragraph
from responder.rules.reach import shadowed
from responder.service.doctor.checks import loaded_rules, right_settings
from tests.rules.make import NOW, a_rule, a_ruleset, in_a_file, judged

ASKING = a_rule(name="asking", mode="approve")
BELOW = a_rule("workflow.template_id: 61, deal.title: x", name="below")
TESTS = """\
tests:
  - event: deal.updated
    workflows: [{id: a, template_id: 61}]
    expect: {a: {kill: asking}}
"""


def said(verdicts: tuple[Verdict, ...]) -> list[tuple[str, Mode | None]]:
    return [(one.rule, one.mode) for one in verdicts]


def test_a_rule_that_asks_ends_the_reading() -> None:
    tried = a_rule(name="tried", mode="observe")
    judgement = judged(tried + ASKING + a_rule(name="meant"))
    assert said(judgement.verdicts) == [("tried", Mode.OBSERVE), ("asking", Mode.APPROVE)]
    above = judged(a_rule(name="meant") + ASKING)
    assert said(above.verdicts) == [("meant", Mode.ENFORCE)]


def test_where_nothing_is_enforced_it_reads_the_same_and_asks_nobody() -> None:
    judgement = judged(ASKING + a_rule(name="meant"), enforcing=False)
    assert said(judgement.verdicts) == [("asking", Mode.OBSERVE)]


def test_it_hides_what_is_below_it_as_any_rule_that_acts() -> None:
    (found,) = shadowed(a_ruleset(ASKING + BELOW).rules)
    assert (found.rule.id, found.by.id) == ("below", "asking")


def test_it_is_read_aloud() -> None:
    (rule,) = a_ruleset(ASKING).rules
    assert paragraph(rule) == (
        "When a deal changes: kill each running workflow of template 61. "
        "It asks first: nothing is done until somebody approves it."
    )


def test_a_test_expects_of_it_what_it_does_once_approved() -> None:
    suite = case_runs.suite_of_rules((in_a_file(ASKING) + TESTS).encode(), "r")
    results = case_runs.run(suite, NOW)
    assert [result.passed for result in results] == [True]
    assert case_runs.untested(suite, results) == []
    explained = explain.explain(suite.ruleset, suite.cases[0].situation, NOW)
    assert "  asking: holds: kill (approve)" in explain.render(explained)


def test_one_that_no_test_shows_is_named() -> None:
    suite = case_runs.suite_of_rules(in_a_file(ASKING + BELOW).encode(), "r")
    unshown = case_runs.untested(suite, ())
    assert "      asking acts where it is approved, and no test shows that it acts" in list(
        case_runs.render((), unshown)
    )
    file = in_a_file(a_rule(mode="approve", more="because: So that it is.")).encode()
    (warning,) = check(file, "r")
    assert warning.message == "`the-rule` acts where it is approved, and no test expects it to act"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (ASKING, "1 of 1 rules act, 0 of them in enforce mode, 1 once somebody approves"),
        (a_rule(), "1 of 1 rules act, 1 of them in enforce mode"),
    ],
)
def test_the_doctor_takes_it_for_a_rule_that_may_kill(rules: str, message: str) -> None:
    (found,) = loaded_rules(a_ruleset(rules), Path("rules.yaml"), Mode.ENFORCE, NOW)[:1]
    assert (found.status, found.message.partition(": ")[2]) == ("ok", message)
    (settings,) = right_settings(Mode.ENFORCE, ["main"])
    assert "in approve mode once somebody approves" in settings.message
