"""Tests that conditions said to be impossible never come about, whatever the facts are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.rules.facts.conditions import All, Kleene, Part, View
from responder.rules.logic.worlds import Demand, Wanted, may_be
from responder.rules.ruleset import Ruleset, load, was_in_force
from tests.rules.logic.conditions import A_TOPIC, FACTS, ZONES, a_head
from tests.rules.make import NOW, a_rule, in_a_file


def conditions_of(tests: list[str], zone: str) -> tuple[Part, ...]:
    rule = a_rule(f"all: [{', '.join(tests)}]", more="every_template: true")
    (group,) = loaded(in_a_file(rule, a_head(zone))).rules[0].condition.parts
    assert isinstance(group, All)
    return group.parts


def loaded(text: str) -> Ruleset:
    """Load a file in which rules may never hold, for that is the very thing to look at."""
    return load(text.encode(), file="r", is_known=was_in_force)


@given(
    A_TOPIC.flatmap(lambda conditions: st.lists(conditions, min_size=1, max_size=3)),
    ZONES,
    st.lists(FACTS, min_size=1, max_size=5),
    st.lists(st.sampled_from(list(Wanted)), min_size=3, max_size=3),
)
@settings(max_examples=200)
def test_what_is_called_impossible_does_not_come_about(
    tests: list[str], zone: str, worlds: list[dict[str, object]], wanted: list[Wanted]
) -> None:
    demands = [
        Demand(part, one) for part, one in zip(conditions_of(tests, zone), wanted, strict=False)
    ]
    if may_be(*demands):
        return
    for facts in worlds:
        assert not all(outcome(part, facts) in one.value for part, one in demands)


def outcome(condition: Part, facts: dict[str, object]) -> Kleene:
    return condition.holds(View(facts=facts, now=NOW))


@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        ("deal.company_id: {exists: false}, deal.company.industry: {is_not: IT}", Wanted.TRUE),
        ("deal.uf_x: 2, deal.observers: 5, not: {deal.observers: 6}", Wanted.TRUE),
        ("any: [{deal.uf_x: {is_not: 2}}, {deal.uf_x: {is_not: 5}}]", Wanted.FALSE),
        ("any: [{deal.probability: {over: 5}}, {deal.probability: {below: 5}}]", Wanted.FALSE),
        ("any: [{deal.probability: 5}, {deal.probability: {is_not: 5}}]", Wanted.NOT_TRUE),
        ("workflow.tasks: 1, waiting_for.active: {is_not: true}", Wanted.TRUE),
        ("workflow.started_by: {exists: false}, starter.active: {is_not: true}", Wanted.TRUE),
        ("document.exists: {is_not: true}, deal.stage_id: {is_not: NEW}", Wanted.NOT_FALSE),
    ],
)
def test_what_some_facts_bring_about_is_possible(tests: str, wanted: Wanted) -> None:
    (condition,) = conditions_of([f"{{{tests}}}"], "")
    assert may_be(Demand(condition, wanted))


@pytest.mark.parametrize(
    ("tests", "wanted"),
    [
        ("deal.company_id: {exists: false}, deal.company.industry: IT", Wanted.TRUE),
        ("document.exists: false, deal.stage_id: {is_not: NEW}", Wanted.TRUE),
        ("workflow.tasks: {below: 1}, waiting_for.id: 5", Wanted.TRUE),
        ("workflow.tasks: {over: 0, below: 1}", Wanted.TRUE),
        ("workflow.started_by: {exists: false}, starter.active: true", Wanted.TRUE),
        ("deal.uf_x: {over: 5, currency: RUB}, not: {deal.uf_x: {over: 3, currency: RUB}}",
         Wanted.TRUE),
        ("deal.observers: 5, not: {deal.observers: [5, 6]}", Wanted.TRUE),
        ("workflow.idle: {over: 3wd, in: office}, not: {workflow.idle: {over: 1wd, in: office}}",
         Wanted.TRUE),
        ("deal.created_time: {older_than: 2026-01-01}, not: {deal.created_time: {older_than: "
         "2026-02-01}}", Wanted.TRUE),
        ("any: [{deal.created_time: {older_than: 2d}}, {deal.created_time: {newer_than: 5d}}]",
         Wanted.FALSE),
        ("deal.stage_id: NEW, not: {deal.stage_id: {starts_with: N}}", Wanted.TRUE),
    ],
)  # fmt: skip
def test_what_no_facts_bring_about_is_impossible(tests: str, wanted: Wanted) -> None:
    (condition,) = conditions_of([f"{{{tests}}}"], "")
    assert not may_be(Demand(condition, wanted))
