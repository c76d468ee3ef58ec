"""Tests of one fact that no value passes together are found, and only those."""

import pytest

from tests.rules.make import a_rule, in_a_file, mistakes_of

HEAD = "lists: {vips: [17, 204]}\n"


def said(tests: str) -> list[str]:
    text = in_a_file(a_rule(f"workflow.template_id: 61, {tests}"), HEAD)
    return [one.message for one in mistakes_of(text) if one.severity == "error"]


@pytest.mark.parametrize(
    "tests",
    [
        "deal.probability: {over: 50, below: 20}",
        "deal.probability: {over: 50, at_most: 50}",
        "deal.probability: {between: [1, 5], at_least: 6}",
        "deal.probability: {is: 5, over: 5}",
        "deal.probability: {one_of: [1, 2], none_of: [2, 1.0, 3]}",
        "deal.company_id: {in_list: vips, none_of: [17, 204]}",
        "deal.company_id: {in_list: vips, not_in_list: vips}",
        "deal.closed: {is: true, is_not: Y}",
        "deal.company_id: {exists: false, is: 5}",
        "deal.company_id: {exists: false, over: 5}".replace("company_id", "probability"),
        "deal.created_time: {older_than: 30d, newer_than: 10d}",
        "workflow.age: {over: 3d, below: 2d}",
        "deal.stage_id: {is: NEW, one_of: [WON, LOSE]}",
    ],
)
def test_what_no_value_passes_is_an_error(tests: str) -> None:
    assert ["so this never holds" in message for message in said(tests)] == [True]


@pytest.mark.parametrize(
    "tests",
    [
        "deal.probability: {at_least: 50, at_most: 50}",
        "deal.probability: {over: 20, below: 50}",
        "deal.probability: {is_not: 5, over: 5}",
        "deal.company_id: {exists: false, is_not: 5}",
        "deal.company_id: {exists: true, is: 5}",
        "deal.created_time: {older_than: 10d, newer_than: 30d}",
        "deal.stage_id: {is_not: NEW, none_of: [NEW]}",
        # Fields that may have several values, one of which passes the one and one the other.
        "deal.observers: {is: 5, one_of: [6, 7]}",
        "deal.uf_crm_price: {over: 50, below: 20}",
        "deal.title: {contains: a, starts_with: b}",
        "deal.company_id: {is: {fact: deal.contact_id}, one_of: [17]}",
    ],
)
def test_what_some_value_passes_is_none(tests: str) -> None:
    assert said(tests) == []


@pytest.mark.parametrize(
    "tests",
    [
        "any: [{deal.stage_id: NEW}, {deal.stage_id: WON}]",
        "deal.stage_id: NEW, any: [{deal.stage_id: WON}, {deal.closed: true}]",
        "deal.stage_id: NEW, not: {deal.stage_id: WON}",
        "deal.stage_id: NEW, not: {deal.stage_id: NEW, deal.closed: true}",
        "deal.stage_id: NEW, not: {deal.stage_id: {is_not: NEW}}",
        "all: [{deal.probability: {over: 20}}, {deal.probability: {below: 50}}]",
        "all: [{deal.observers: 5}, {deal.observers: 6}]",
    ],
)
def test_groups_that_some_value_passes_are_none(tests: str) -> None:
    assert said(tests) == []


def test_an_exception_from_the_very_test_of_if_is_one() -> None:
    rule = a_rule("workflow.template_id: 61, deal.closed: true", more="unless: {deal.closed: true}")
    (mistake,) = mistakes_of(in_a_file(rule))
    assert "`unless` excepts what `if` asks of `deal.closed`" in mistake.message
