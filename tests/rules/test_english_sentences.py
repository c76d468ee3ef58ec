"""Thirty varied rules and more, each with the sentence in which a person would say it."""

from collections.abc import Iterator

import pytest

from responder.rules.english.paragraphs import sentence
from responder.rules.facts import fields, links, registry
from responder.rules.facts.fields import Field, Type
from responder.rules.facts.operators import OPERATORS
from responder.rules.ruleset import load
from tests.rules.make import a_rule, in_a_file
from tests.rules.test_english import HEAD, told

WHEN = "When a deal changes: "
KILLS = "kill each running workflow of template 61"
OF_61 = "workflow.template_id: 61"

# What a rule tests of the document, and how that reads.
DOCUMENTS = {
    "deal.is_lose: true": "if it is lost",
    "deal.closed: Y, deal.is_won: N": "if it is closed and it is not won",
    "deal.opened: {is_not: true}": "if it is not open to everyone",
    "deal.observers: 7": "if one of its observers is 7",
    "deal.observers: {none_of: [7, 9]}": "if none of its observers is 7 or 9",
    "deal.contact_ids: {exists: false}": "if it has no contacts",
    "deal.company_id: {exists: true}": "if it has a company",
    "deal.company_id: {not_in_list: vip}": "if its company is not in the list vip",
    "deal.comments: {exists: false}": "if its comment is empty",
    "deal.stage_semantic_id: [S, F]": "if it is won or lost",
    "deal.stage_semantic_id: {none_of: [S, F]}": "if it is neither won nor lost",
    "deal.stage_id: 'C2:WON'": "if its stage is C2:WON",
    "deal.source_id: {is_not: no idea}": "if its source is not “no idea”",
    "deal.title: {starts_with: Tender, contains: old one}": (
        "if its title starts with “Tender” and contains “old one”"
    ),
    "deal.opportunity: {at_least: 5, at_most: 9}, deal.currency_id: RUB": (
        "if its amount is at least 5 and at most 9 and its currency is RUB"
    ),
    "deal.created_time: {older_than: 90d}": "if it was created more than 90 days ago",
    "deal.created_time: {outside: office}": "if it was created outside the hours of office",
    "deal.moved_time: {newer_than: 2026-09-01}": (
        "if it was last moved to another stage after 2026-09-01"
    ),
    "deal.closedate: {older_than: 1d}": "if its closing day was more than 1 day ago",
    "deal.closedate: {between: [2026-09-01, 2026-09-30]}": (
        "if its closing day is between 2026-09-01 and 2026-09-30"
    ),
    "deal.closedate: {older_than: {fact: deal.begindate}}": (
        "if its closing day is before its first day"
    ),
    "deal.assigned_by_id: {is_not: {fact: workflow.started_by}}": (
        "if its responsible user is not the workflow's starter"
    ),
    "any: [{deal.is_won: true, deal.is_new: true}, {workflow.stuck: true}]": (
        "if either (it is won and it is new) or the workflow is stuck"
    ),
    "deal.is_new: true, any: [{deal.title: y}, {deal.category_id: 3}]": (
        "if it is new and (either its title is y or its pipeline is 3)"
    ),
    "not: {deal.closed: true}": "if it is not so that it is closed",
    "deal.company.created_time: {older_than: 90d}": (
        "if its company was created more than 90 days ago"
    ),
    "deal.company.industry: {is_not: IT}, deal.contact.export: true": (
        "if its company's industry is not IT and its contact may be exported"
    ),
    "deal.company.employees: {exists: true}": "if its company's number of employees is filled in",
    "deal.company.id: {exists: false}": "if it has no company",
    "deal.company.id: 5": "if its company's number is 5",
    "deal.contact.company_ids: 5": "if one of its contact's companies is 5",
    "deal.assigned_by.active: {is_not: false}": "if its responsible user is active",
    "deal.assigned_by.id: {none_of: [7, 9]}": "if its responsible user is neither 7 nor 9",
    "deal.assigned_by.id: {exists: true}": "if it has a responsible user",
    "deal.created_by.department: {none_of: [5, 6]}": (
        "if its creator does not work in department 5 or 6"
    ),
    "deal.created_by.department: {in_list: vip}": "if its creator's department is in the list vip",
    "deal.created_by: {is: {fact: deal.assigned_by.id}}": "if its creator is its responsible user",
    "deal.uf_crm_1: {over: 5, below: 9, currency: rub}": (
        "if its field uf_crm_1 is over 5 RUB and below 9 RUB"
    ),
    "deal.company.uf_crm_1: {between: [5, 9], currency: RUB}": (
        "if its company's field uf_crm_1 is between 5 and 9 RUB"
    ),
    "document.running: {at_least: 2}": "if at least 2 workflows run on the document",
    "document.running: {over: 1, below: 4}": (
        "if more than 1 workflow runs on the document and fewer than 4 workflows run on the "
        "document"
    ),
    "document.running: 1": "if 1 workflow runs on the document",
    "document.running: {is_not: 1}": (
        "if the number of workflows that run on the document is not 1"
    ),
}


@pytest.mark.parametrize(("tests", "words"), DOCUMENTS.items())
def test_what_is_tested_of_a_document_reads_naturally(tests: str, words: str) -> None:
    assert told(a_rule(f"{tests}, {OF_61}")) == f"{WHEN}{words}, {KILLS}."


# What a rule tests of the workflow, and how that reads.
WORKFLOWS = {
    "workflow.age: {over: 3wd, in: office}": (
        "that started more than 3 working days ago (calendar office)"
    ),
    "workflow.idle: {between: [1wd, 5wd], in: office}": (
        "that was last active between 1 and 5 working days ago (calendar office)"
    ),
    "workflow.idle: {at_least: 1wd, in: office}": (
        "that was last active at least 1 working day ago (calendar office)"
    ),
    "workflow.age: {over: 1d 12h, below: 30d}": (
        "that started more than 1 day 12 hours ago and less than 30 days ago"
    ),
    "workflow.started: {older_than: 2026-09-01}, workflow.modified: {newer_than: 2h}": (
        "that started before 2026-09-01 and was last active less than 2 hours ago"
    ),
    "workflow.tasks: 0, workflow.stuck: true, workflow.started_by: 7": (
        "that has no open task, is stuck and was started by user 7"
    ),
    "workflow.tasks: {over: 2}, starter.active: false": (
        "that has more than 2 open tasks and whose starter is dismissed"
    ),
    "workflow.tasks: {at_least: 1}": "that has an open task",
    "workflow.tasks: {below: 3}": "that has fewer than 3 open tasks",
    "workflow.started_by: {exists: false}": "that was started by nobody",
    "starter.id: {none_of: [7, 9]}": "that was not started by user 7 or 9",
    "starter.department: [5, 6]": "whose starter works in department 5 or 6",
    "waiting_for.id: {in_list: vip}": "that waits for someone in the list vip",
    "waiting_for.active: false": "that waits for someone who is dismissed",
    "waiting_for.active: {is_not: true}": "that does not wait for someone who is active",
    "waiting_for.id: {exists: false}": "that waits for nobody",
    "waiting_for.department: 3": "that waits for someone of department 3",
    "template.name: {contains: test}": "whose template's name contains “test”",
    "workflow.age: {over: {fact: workflow.idle}}": "whose age is over its idle time",
}


@pytest.mark.parametrize(("tests", "words"), WORKFLOWS.items())
def test_what_is_tested_of_a_workflow_reads_naturally(tests: str, words: str) -> None:
    assert told(a_rule(f"{tests}, {OF_61}")) == f"{WHEN}{KILLS} {words}."


# What sets a rule off, and how that reads.
TRIGGERS = {
    "[deal.updated, ONCRMDEALUPDATE]": "When a deal changes",
    "[deal.updated, deal.updated]": "When a deal changes",
    "[ONCRMDEALUPDATE, ONCRMDEALMOVETOCATEGORY]": (
        "When a deal changes or is moved to another pipeline"
    ),
    "[deal.added, deal.deleted]": "When a deal is added or deleted",
    "[deal.added, deal.updated, deal.deleted]": "When a deal is added, changes or is deleted",
    "[deal.added, deal.updated, lead.updated]": (
        "When a deal is added or changes, or a lead changes"
    ),
    "[deal.updated, lead.updated, robot]": "When a deal changes, a lead changes or a robot calls",
    "[item_147.updated]": "When an item of smart process 147 changes",
    "[{every: 1h}, deal.updated]": "Every hour and when a deal changes",
    "[{every: 90m}]": "Every 1 hour 30 minutes",
    "[{every: 1d}]": "Every day",
    "[{daily_at: 3:00, timezone: Europe/Moscow}]": "Every day at 03:00 (Europe/Moscow)",
}


@pytest.mark.parametrize(("when", "words"), TRIGGERS.items())
def test_what_sets_a_rule_off_reads_naturally(when: str, words: str) -> None:
    assert told(a_rule(when=when)) == f"{words}: {KILLS}."


# What holds a rule back, and how that reads.
RESTRAINTS = {
    "limit: {per_hour: 0}": ". Its limit is 0, so it never acts.",
    "limit: {per_document: 0}": ". Its limit is 0, so it never acts.",
    "limit: {per_run: 0, per_hour: 1}": (
        ". At most 1 an hour, 5 a day on one document and none a run."
    ),
    "wait: 1h 30m": ". It acts only if all of this still holds 1 hour 30 minutes later.",
    "expires: 2026-12-31": ". Its last day is 2026-12-31.",
    "keep: {newest: 3}\nper: [starter.id]": " but the 3 newest of each starter.",
    "keep: oldest\nper: [deal.company_id]": " but the oldest of each company.",
    "keep: newest\nper: [deal.company.industry]": " but the newest of each company's industry.",
    "keep: newest\nper: [deal.assigned_by.id]": " but the newest of each responsible user.",
    "keep: {oldest: 2}\nper: [template.id, deal.assigned_by_id]": (
        " but the 2 oldest of each responsible user and template."
    ),
    "unless: {deal.observers: 7, workflow.age: {below: 1h}, deal.is_won: true}": (
        ", unless one of the deal's observers is 7, the workflow started less than 1 hour ago or "
        "the deal is won."
    ),
}


@pytest.mark.parametrize(("more", "words"), RESTRAINTS.items())
def test_what_holds_a_rule_back_reads_naturally(more: str, words: str) -> None:
    assert told(a_rule(more=more)) == f"{WHEN}{KILLS}{words}"


def test_a_rule_of_runs_alone_that_may_stop_none_a_run_never_acts() -> None:
    rule = a_rule(when="[{every: 1d}]", more="limit: {per_run: 0}")
    assert told(rule) == f"Every day: {KILLS}. Its limit is 0, so it never acts."


def test_a_task_reads_naturally() -> None:
    tests = "task.deadline: {newer_than: 1d}, task.closed_date: {exists: true}, task.status: [5, 6]"
    assert told(a_rule(f"{tests}, {OF_61}", when="[task.updated]")) == (
        "When a task changes: if its deadline is less than 1 day ago or still to come, it has been "
        f"completed and its status is 5 (done) or 6 (put off), {KILLS}."
    )


def test_an_element_of_a_list_reads_naturally() -> None:
    tests = (
        "list_23.property_7: {exists: true}, list_23.date_create: {older_than: 30d}, "
        "list_23.bp_published: false, list_23.created_by.active: false"
    )
    assert told(a_rule(f"{tests}, {OF_61}", when="[{every: 1d}]")) == (
        "Every day: if the element of list 23's field property_7 is filled in, the element of list "
        "23 was created more than 30 days ago, the element of list 23 is not published and the "
        f"element of list 23's creator is dismissed, {KILLS}."
    )
    guard = a_rule("list_23.name: x", when=None, then="leave")
    assert told(guard).startswith("Whatever happens to an element of list 23: if its name is x,")


def test_a_guard_reads_naturally() -> None:
    tests = "workflow.started_by: {is_not: 7}, deal.company_id: {in_list: vip}"
    assert told(a_rule(tests, when=None, then="leave")) == (
        "Whatever happens to a deal: if its company is in the list vip, leave each running "
        "workflow that was not started by user 7 alone."
    )


def test_what_robots_started_reads_naturally() -> None:
    tests = "template.known: false, workflow.age: {over: 2w}"
    assert told(a_rule(tests, when="[{every: 1d}]")) == (
        "Every day: kill each running workflow that started more than 14 days ago and whose "
        "template is none that the portal lists."
    )


LITERALS = {
    Type.NUMBER: "5",
    Type.REFERENCE: "5",
    Type.TRUTH: "true",
    Type.DATE: "2026-09-01",
    Type.DAY: "2026-09-01",
    Type.DURATION: "3d",
}

# Of facts that have only certain values.
CLOSED = {
    "event.name": "ONCRMDEALUPDATE",
    "document.kind": "deal",
    "task.priority": "2",
    "task.mark": "P",
    "stage_semantic_id": "F",
    "currency_id": "RUB",
}


def a_test(owner: str, field: Field, name: str) -> str:
    literal = CLOSED.get(f"{owner}.{field.name}") or CLOSED.get(field.name.rpartition(".")[2])
    literal = literal or LITERALS.get(field.type, "x")
    operands = {
        **dict.fromkeys(("one_of", "none_of"), f"[{literal}]"),
        **dict.fromkeys(("within", "outside"), "office"),
        **dict.fromkeys(("older_than", "newer_than"), "2d"),
        "between": f"[{literal}, {literal}]",
        "exists": "false",
    }
    return f"{owner}.{field.name}: {{{name}: {operands.get(name, literal)}}}"


def linked_fields(kind: str) -> Iterator[Field]:
    for link in links.of_kind(kind):
        for field in registry.at_the_end_of(link):
            yield field._replace(name=f"{link.name}.{field.name}")


@pytest.mark.parametrize("owner", [*registry.KINDS, *fields.ALWAYS, "list_23"])
def test_every_test_of_every_fact_can_be_said(owner: str) -> None:
    when = f"[{owner}.updated]" if owner in registry.KINDS else "[deal.updated, {every: 1h}]"
    for field in (*registry.of_kind(owner), *linked_fields(owner)):
        for operator in OPERATORS.values():
            if field.type not in operator.types or operator.name.endswith("in_list"):
                continue
            test = a_test(owner, field, operator.name)
            tests = test if test.startswith("workflow.template_id") else f"{OF_61}, {test}"
            text = in_a_file(a_rule(tests, when=when), HEAD)
            rule = load(text.encode(), file="r").rules[0]
            said = sentence(rule)
            for wrong in (" is is ", " is was ", "  ", "_", " that whose ", "is_", "None", "{"):
                assert wrong not in said, (test, said)
