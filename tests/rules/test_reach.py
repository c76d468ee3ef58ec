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


EXISTS, OLD = "deal.created_time: {exists: true}", "deal.created_time: {older_than: 1d}"


def test_a_guard_is_reached_where_it_alone_protects_in_doubt() -> None:
    """How old an empty time is, is unknown, and then it protects; that it is empty is certain."""
    above = a_rule(EXISTS, name="upper", when=None, then="leave")
    assert not never_reached(above, a_rule(OLD, name="lower", when=None, then="leave"))
    assert never_reached(above, a_rule(f"{OLD}, workflow.template_id: 61", name="lower"))


def test_a_guard_below_a_rule_that_acts_is_reached_where_that_is_unknown() -> None:
    tests = "deal.title: x, workflow.template_id: 61"
    same = a_rule(tests, name="lower", when="[deal.updated]", then="leave")
    assert not never_reached(a_rule(tests, name="upper"), same)
    assert never_reached(a_rule(tests, name="upper", then="leave"), same)


def test_a_rule_of_many_tests_is_never_reached_either() -> None:
    many = ", ".join(f"deal.uf_{n}: x" for n in range(9))
    lower = a_rule(f"{many}, workflow.template_id: 61", name="lower")
    assert never_reached(a_rule(name="upper"), lower)
    assert not never_reached(a_rule("workflow.template_id: 62", name="upper"), lower)


def test_a_rule_that_asks_first_hides_what_is_below_it_as_any_rule_that_acts() -> None:
    assert never_reached(a_rule(name="upper", mode="approve"))


AMOUNTS = "deal.opportunity: {{{}}}, deal.currency_id: RUB, workflow.template_id: 61"


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        (AMOUNTS.format("over: 10"), AMOUNTS.format("over: 100")),
        (AMOUNTS.format("at_most: 10"), AMOUNTS.format("below: 10")),
        ("workflow.template_id: [61, 63]", "workflow.template_id: 61, deal.title: x"),
        ("deal.stage_id: {none_of: [WON]}, workflow.template_id: 61",
         "deal.stage_id: [NEW, LOSE], workflow.template_id: 61"),
        ("workflow.age: {over: 1d}, workflow.template_id: 61",
         "workflow.age: {between: [2d, 5d]}, workflow.template_id: 61"),
    ],
)  # fmt: skip
def test_a_rule_is_never_reached_below_a_wider_one(upper: str, lower: str) -> None:
    above, below = a_rule(upper, name="upper"), a_rule(lower, name="lower")
    assert never_reached(above, below)
    assert not never_reached(a_rule(lower, name="upper"), a_rule(upper, name="lower"))


def test_a_schedule_that_falls_on_each_time_of_another_hides_what_that_one_sets_off() -> None:
    hourly, often = (a_rule(name="lower", when=f"[{{every: {one}}}]") for one in ("1h", "25m"))
    upper = a_rule(name="upper", when="[{every: 15m}]")
    assert never_reached(upper, hourly)
    assert not never_reached(upper, often)


def test_a_guard_hides_what_its_triggers_are_a_part_of_and_no_other_guard() -> None:
    guard = a_rule(name="upper", then="leave")
    assert never_reached(guard, a_rule(name="lower", when="[deal.updated, deal.added]"))
    below = a_rule(name="lower", when="[deal.updated, deal.added]", then="leave")
    assert not never_reached(guard, below)
    assert not never_reached(guard, a_rule(name="lower", when=None, then="leave"))


def test_a_guard_that_cannot_be_read_hides_rules_for_what_is_gone() -> None:
    gone = a_rule("document.exists: false, workflow.template_id: 61", name="lower")
    assert never_reached(a_rule("deal.company_id: 17", name="upper", then="leave"), gone)
    there = "document.exists: true, deal.company_id: 17"
    assert not never_reached(a_rule(there, name="upper", then="leave"), gone)
    assert not never_reached(a_rule("deal.company_id: 17, workflow.template_id: 61",
                                    name="upper"), gone)  # fmt: skip
