"""Tests of how rules are read aloud."""

import pytest

from responder.rules.english.paragraphs import paragraph
from responder.rules.facts.operators import OPERATORS
from responder.rules.ruleset import load
from tests.rules.make import a_rule, in_a_file

HEAD = "lists: {vip: [17]}\ncalendars: {office: {from: 9:00, to: 18:00}}\n"


def told(rule: str) -> str:
    ruleset = load(in_a_file(rule, HEAD).encode(), file="rules.yaml")
    return paragraph(ruleset.rules[0])


def test_a_rule_reads_as_a_sentence() -> None:
    rule = a_rule(
        "deal.stage_semantic_id: F, deal.category_id: [0, 2], workflow.template_id: 61",
        more="unless: {deal.assigned_by_id: [7, 9]}",
    )
    assert told(rule) == (
        "When a deal changes: if it is lost and its pipeline is 0 or 2, kill each running workflow "
        "of template 61, unless the deal's responsible user is 7 or 9."
    )


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            a_rule("deal.company_id: {in_list: vip}", when=None, then="leave"),
            "Whatever happens to a deal: if its company is in the list vip, leave each "
            "running workflow alone.",
        ),
        (
            a_rule("workflow.id: x", when=None, then="leave"),
            "Whatever happens: leave each running workflow whose id is x alone.",
        ),
        (
            a_rule("document.exists: false", when="[robot]", more="every_template: true"),
            "When a robot calls: if the document is gone, kill each running workflow of any "
            "template. Robots' runs are spared.",
        ),
        (
            a_rule("workflow.template_id: [1, 2], workflow.age: {over: 30d}", then="terminate"),
            "When a deal changes: terminate each running workflow of template 1 or 2 that started "
            "more than 30 days ago, keeping its data.",
        ),
        (
            a_rule(when="[{every: 15m}, invoice.added]", more="during: office\nwait: 10m"),
            "Every 15 minutes and when an invoice is added: kill each running workflow of template "
            "61. It acts only if all of this still holds 10 minutes later. Outside the hours of "
            "office it waits.",
        ),
        (
            a_rule(more="keep: oldest\nper: [document]"),
            "When a deal changes: kill each running workflow of template 61 but the oldest of "
            "each document.",
        ),
        (
            a_rule(mode=None, more="limit: {per_hour: 1, per_run: 2}\nportals: [b, a]"),
            "When a deal changes: kill each running workflow of template 61. At most 1 an hour, "
            "5 a day on one document and 2 a run. Only in a and b. It only observes.",
        ),
        (
            a_rule(more="disabled: not yet\nexpires: 2026-12-31"),
            "When a deal changes: kill each running workflow of template 61. Its last day "
            "is 2026-12-31. It is switched off: not yet.",
        ),
    ],
)
def test_what_sets_it_off_what_it_does_and_what_holds_it_back(rule: str, sentence: str) -> None:
    assert told(rule) == sentence


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ("deal.opportunity: {over: 5, below: 9}", "if its amount is over 5 and below 9"),
        (
            "any: [{deal.title: x}, {deal.title: {contains: y}}]",
            "if either its title is x or its title contains “y”",
        ),
        ("not: {deal.title: x}", "if it is not so that its title is x"),
        ("deal.title: [no thanks, x]", "if its title is one of no thanks, x"),
        ("deal.uf_crm_1: {exists: false}", "if its field uf_crm_1 is empty"),
        ("deal.company.industry: IT", "if its company's industry is IT"),
        ("deal.contact.uf_crm_1: {exists: true}", "if its contact's field uf_crm_1 is filled in"),
        ("deal.assigned_by.active: false", "if its responsible user is dismissed"),
        (
            "deal.assigned_by.active: {exists: true}",
            "if its responsible user's activity is filled in",
        ),
        ("deal.created_by.department: 3", "if its creator works in department 3"),
        ("deal.category_id: {none_of: [1, 2]}", "if its pipeline is neither 1 nor 2"),
        ("deal.category_id: {none_of: [1]}", "if its pipeline is not 1"),
        (
            "workflow.started_by: {is_not: {fact: deal.assigned_by_id}}",
            "that was not started by the deal's responsible user",
        ),
        ("starter.active: false", "whose starter is dismissed"),
        ("workflow.started: {outside: office}", "that started outside the hours of office"),
    ],
)
def test_every_shape_of_a_test_has_words(tests: str, words: str) -> None:
    assert words in told(a_rule(tests, more="every_template: true"))


def test_smart_processes_and_the_portals_own_events_are_named() -> None:
    rule = a_rule("item_147.title: x, workflow.template_id: 1", when="[ONCRMDYNAMICITEMUPDATE]")
    assert told(rule) == (
        "When an item of a smart process changes: if the item of smart process 147's title is x, "
        "kill each running workflow of template 1."
    )


OPERANDS = {
    **dict.fromkeys(("one_of", "none_of"), "[1, 2]"),
    **dict.fromkeys(("in_list", "not_in_list"), "vip"),
    **dict.fromkeys(("older_than", "newer_than"), "1d"),
    **dict.fromkeys(("within", "outside"), "office"),
    "between": "[1, 2]",
    "exists": "true",
}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_reads_as_a_predicate(name: str) -> None:
    said = told(a_rule(f"deal.uf_crm_1: {{{name}: {OPERANDS.get(name, '5')}}}, workflow.id: x"))
    verb = said.partition("its field uf_crm_1 ")[2].split()[0]
    assert verb in ("is", "was", "contains", "starts", "ends", "matches")


def test_a_rule_that_asks_first_says_so() -> None:
    assert told(a_rule(mode="approve")) == (
        "When a deal changes: kill each running workflow of template 61. "
        "It asks first: nothing is done until somebody approves it."
    )
