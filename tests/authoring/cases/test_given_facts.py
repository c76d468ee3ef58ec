"""Tests of what a case gives: how many run on the document, and what that is linked to."""

import pytest

from responder.authoring.cases import case_runs
from responder.rules.ruleset import RulesError, load
from tests.authoring.cases.test_case_runs import NOW, RULESET
from tests.rules.make import a_rule, in_a_file


def test_on_a_document_runs_what_a_case_lists_unless_it_says_otherwise() -> None:
    crowded = "document.running: 2, workflow.template_id: 61"
    ruleset = load(in_a_file(a_rule(crowded)).encode(), file="rules.yaml")

    def expected(more: str, verdict: str) -> bool:
        text = f"""\
tests:
  - event: deal.updated
    workflows: [{{id: a, template_id: 61}}, {{id: b, template_id: 7}}]
    {more}
    expect: {{a: {verdict}}}
"""
        suite = case_runs.suite_of_tests(text.encode(), "tests.yaml", ruleset)
        (result,) = case_runs.run(suite, NOW)
        return result.passed

    assert expected("", "{kill: the-rule}")
    assert expected("facts: {document: {running: 3}}", "none")
    assert expected("facts: {deal: {title: x}}\n    unknown: [document.running]", "none")


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ("facts: {deal: {company: {industry: IT}}}", "{kill: the-rule}"),
        ("facts: {deal.company: {industry: IT}, deal.title: x}", "{kill: the-rule}"),
        ("facts: {deal.company.industry: IT, deal.assigned_by_id: 7}", "none"),
        ("facts: {deal: {company: {industry: X}}}", "none"),
        ("facts: {deal: {title: x}}", "none"),
        ("unknown: [deal.company.industry]", "none"),
        ("unknown: [deal.company_id]", "none"),
    ],
)
def test_what_a_document_is_linked_to_is_given_in_a_case(facts: str, verdict: str) -> None:
    rule = a_rule(
        "deal.company.industry: IT, workflow.template_id: 61",
        more="unless: {deal.assigned_by.id: 7}",
    )
    text = f"""\
tests:
  - event: deal.updated
    {facts}
    workflows: [{{id: a, template_id: 61}}]
    expect: {{a: {verdict}}}
"""
    ruleset = load(in_a_file(rule).encode(), file="rules.yaml")
    (result,) = case_runs.run(case_runs.suite_of_tests(text.encode(), "tests.yaml", ruleset), NOW)
    assert result.passed, list(result.differences)


def test_a_wrong_name_in_what_a_document_is_linked_to_is_a_mistake() -> None:
    text = "tests:\n  - event: deal.updated\n    facts: {deal: {company: {industri: IT}}}\n"
    with pytest.raises(RulesError) as raised:
        case_runs.suite_of_tests(text.encode(), "tests.yaml", RULESET)
    assert [one.suggestion for one in raised.value.mistakes] == ["industry"]
