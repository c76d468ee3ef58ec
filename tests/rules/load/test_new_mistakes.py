"""A file that was in force is still loaded: what has become an error since is a warning there."""

import pytest

from responder.rules.revision import revision_of
from responder.rules.ruleset import RulesError, load

ONCE_FINE = b"""\
version: 1
rules:
  - id: stale
    because: Nobody answers.
    when: [{daily_at: "03:00"}]
    if: {workflow.template_id: 61, workflow.age: {over: 30d}}
    then: kill
"""


def test_a_new_file_with_what_is_an_error_today_is_refused() -> None:
    with pytest.raises(RulesError) as refused:
        load(ONCE_FINE, file="rules.yaml", is_known=lambda _: False)
    assert [(one.severity, one.line) for one in refused.value.mistakes] == [("error", 5)]


def test_a_file_that_was_in_force_is_loaded_with_a_warning() -> None:
    asked: list[str] = []

    def is_known(revision: str) -> bool:
        asked.append(revision)
        return True

    ruleset = load(ONCE_FINE, file="rules.yaml", is_known=is_known)
    assert [(one.severity, one.line) for one in ruleset.warnings] == [("warning", 5)]
    assert [rule.id for rule in ruleset.rules] == ["stale"]
    assert asked == [revision_of(ONCE_FINE)]


def test_what_was_always_an_error_is_one_whoever_knows_the_file() -> None:
    data = ONCE_FINE.replace(b"then: kill", b"then: kil")
    with pytest.raises(RulesError):
        load(data, file="rules.yaml", is_known=lambda _: True)


def test_a_value_that_was_let_pass_is_compared_as_it_was() -> None:
    """Were the test left out for its mistake, the rule would stop more than it ever did."""
    data = ONCE_FINE.replace(b"workflow.age: {over: 30d}", b"deal.stage_semantic_id: won")
    ruleset = load(data, file="rules.yaml", is_known=lambda _: True)
    assert [one.severity for one in ruleset.warnings] == ["warning", "warning"]
    assert [test.path for test in ruleset.rules[0].condition.tests()] == [
        "workflow.template_id",
        "deal.stage_semantic_id",
    ]


def test_a_space_that_was_let_pass_is_part_of_the_value_as_it_was() -> None:
    data = ONCE_FINE.replace(b"because: Nobody", "because: \u2003Nobody".encode())
    with pytest.raises(RulesError):
        load(data, file="rules.yaml", is_known=lambda _: False)
    ruleset = load(data, file="rules.yaml", is_known=lambda _: True)
    assert ruleset.rules[0].because == "\u2003Nobody answers."


def test_rules_with_a_broken_test_are_loaded_as_they_were() -> None:
    """The service reads no tests, so it loaded rules beside them whatever they said."""
    data = ONCE_FINE + b"tests:\n  - {name: x, event 5, expect: {a: none, b none}}\n"
    assert load(data, file="rules.yaml", is_known=lambda _: True).rules
    with pytest.raises(RulesError) as refused:
        load(data, file="rules.yaml", is_known=lambda _: False)
    assert refused.value.was_none


def test_tests_in_groups_that_no_value_passes_were_let_pass() -> None:
    both = b"all: [{deal.closed: true}, {deal.closed: false}]"
    data = ONCE_FINE.replace(b"workflow.age: {over: 30d}", both)
    with pytest.raises(RulesError):
        load(data, file="rules.yaml", is_known=lambda _: False)
    ruleset = load(data, file="rules.yaml", is_known=lambda _: True)
    assert [one.severity for one in ruleset.warnings] == ["warning", "warning"]
    assert len(list(ruleset.rules[0].condition.tests())) == 3


@pytest.mark.parametrize(
    "tests",
    [
        b"document.exists: false, deal.title: x",
        b"deal.company_id: {exists: false}, deal.company.industry: IT",
        b"workflow.age: {over: 30d}}\n    unless: {workflow.age: {over: 14d}",
    ],
)
def test_what_no_facts_can_pass_was_let_pass(tests: bytes) -> None:
    data = ONCE_FINE.replace(b"workflow.age: {over: 30d}", tests)
    data = data.replace(b'"03:00"', b'"03:00", timezone: UTC')
    with pytest.raises(RulesError) as refused:
        load(data, file="rules.yaml", is_known=lambda _: False)
    assert refused.value.was_none
    ruleset = load(data, file="rules.yaml", is_known=lambda _: True)
    assert ["never holds" in one.message for one in ruleset.warnings] == [True]
