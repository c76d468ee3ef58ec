"""Tests of rules that are never reached."""

import pytest

from responder.rules.reach import shadowed
from responder.rules.ruleset import load
from tests.rules.make import a_rule, in_a_file

LOWER = a_rule("deal.title: x, workflow.template_id: 61", name="lower")


def never_reached(upper: str, lower: str = LOWER) -> bool:
    ruleset = load(in_a_file(upper + lower).encode(), file="r")
    return [(one.rule.id, one.by.id) for one in shadowed(ruleset.rules)] == [("lower", "upper")]


def test_a_rule_below_one_that_asks_less_is_never_reached() -> None:
    assert never_reached(a_rule("workflow.template_id: 61", name="upper"))
    assert never_reached(a_rule("deal.title: x", name="upper", when=None, then="leave"))


@pytest.mark.parametrize(
    "upper",
    [
        a_rule(name="upper", mode="observe"),
        a_rule("workflow.template_id: 62", name="upper"),
        a_rule("workflow.template_id: 61, deal.id: 5", name="upper"),
        a_rule(name="upper", when="[deal.added]"),
        a_rule(name="upper", more="unless: {deal.id: 5}"),
        a_rule(name="upper", more="portals: [main]"),
        a_rule(name="upper", more="disabled: for now"),
        a_rule(name="upper", more="expires: 2026-12-31"),
        a_rule(name="upper", more="keep: newest"),
        a_rule(name="upper", more="sweep: false"),
        a_rule("deal.title: x", name="upper", more="every_template: true"),
    ],
)
def test_a_rule_is_reached_where_the_one_above_may_not_hold(upper: str) -> None:
    assert not never_reached(upper)


def test_a_guard_for_one_kind_does_not_hide_a_rule_for_another() -> None:
    guard = a_rule("workflow.template_id: 61", name="upper", when="[task.updated]", then="leave")
    assert not never_reached(guard)


def test_a_rule_of_many_tests_is_never_reached_either() -> None:
    many = ", ".join(f"deal.uf_{n}: x" for n in range(9))
    lower = a_rule(f"{many}, workflow.template_id: 61", name="lower")
    assert never_reached(a_rule(name="upper"), lower)
    assert not never_reached(a_rule("workflow.template_id: 62", name="upper"), lower)


def test_a_rule_that_asks_first_hides_what_is_below_it_as_any_rule_that_acts() -> None:
    assert never_reached(a_rule(name="upper", mode="approve"))
