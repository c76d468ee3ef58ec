"""Tests of `tell` and `warn`: whom a rule may tell, what is read for it, what cannot be right."""

import pytest

from responder.model import Audience
from responder.rules.english.paragraphs import paragraph
from responder.rules.rule import Rule
from tests.rules.make import a_rule, a_ruleset, in_a_file, mistakes_of, the_mistake

LOST = "deal.stage_semantic_id: F, workflow.template_id: 61"


def rule_with(more: str, tests: str = LOST, mode: str = "approve") -> Rule:
    (rule,) = a_ruleset(a_rule(tests, mode=mode, more=more)).rules
    return rule


def test_a_rule_tells_nobody_by_default() -> None:
    rule = rule_with("because: x")
    assert not rule.telling
    assert (rule.telling.tell, rule.telling.warn) == ((), ())
    assert "deal.assigned_by_id" not in rule.paths


def test_a_rule_may_tell_and_warn() -> None:
    rule = rule_with("tell: [timeline, starter, waiting, starter]\nwarn: [starter, responsible]")
    assert rule.telling.tell == (Audience.TIMELINE, Audience.STARTER, Audience.WAITING)
    assert rule.telling.warn == (Audience.STARTER, Audience.RESPONSIBLE)
    assert rule.telling.people
    assert rule.telling.timeline


def test_who_is_responsible_and_the_title_come_with_a_document_that_is_read_anyway() -> None:
    assert {"deal.title", "deal.assigned_by_id"} <= rule_with("tell: [timeline]").paths
    task = a_rule("task.status: '2', workflow.template_id: 61", when="[task.updated]")
    (rule,) = a_ruleset(task.replace("  then", "  tell: [responsible]\n  then")).rules
    assert {"task.title", "task.responsible_id"} <= rule.paths
    assert rule_with("tell: [starter]", "workflow.template_id: 61").paths == frozenset(
        {"workflow.template_id"}
    )


@pytest.mark.parametrize(
    ("more", "message", "suggestion"),
    [
        ("tell: [startr]", "`startr` is nobody whom `tell` knows: timeline", "starter"),
        ("tell: [comment]", "`comment` is nobody whom `tell` knows", "timeline"),
        ("warn: [assigned_by_id]", "nobody whom `warn` knows", "responsible"),
        ("tell: starter", "`tell` is a list, such as [timeline, starter]", "[starter]"),
        ("notify: [starter]", "there is no key `notify` here", "tell"),
        ("warn: [waiting]", "test `workflow.tasks`, such as {at_least: 1}", None),
    ],
)
def test_mistakes_come_with_what_was_meant(more: str, message: str, suggestion: str | None) -> None:
    found = the_mistake(in_a_file(a_rule(LOST, mode="approve", more=more)))
    assert message in found.message
    assert found.suggestion == suggestion


def test_a_warning_needs_a_time_before() -> None:
    warned = in_a_file(a_rule(LOST, more="warn: [starter]"))
    assert "it needs `wait`, or `mode: approve`" in the_mistake(warned).message
    assert not mistakes_of(in_a_file(a_rule(LOST, more="warn: [starter]\nwait: 1h")))
    approved = in_a_file(
        a_rule(LOST, mode=None, more="warn: [starter]"), head="defaults: {mode: approve}\n"
    )
    assert not mistakes_of(approved)


def test_a_timeline_is_of_the_crm() -> None:
    task = a_rule("task.title: x, workflow.template_id: 61", when="[task.updated]")
    text = in_a_file(task.replace("  then", "  tell: [timeline]\n  then"))
    assert "a task has none" in the_mistake(text).message
    bare = a_rule("workflow.template_id: 61", when="[{every: 1h}]", more="tell: [timeline]")
    assert not mistakes_of(in_a_file(bare))


def test_nobody_is_responsible_for_what_is_not_read() -> None:
    bare = in_a_file(a_rule("workflow.template_id: 61", more="tell: [responsible]"))
    assert "test one of its fields" in the_mistake(bare).message
    element = a_rule("list_23.name: x", when="[{every: 1h}]", more="tell: [responsible]")
    every = element.replace("  then", "  every_template: true\n  then")
    assert "nobody is responsible for an element" in the_mistake(in_a_file(every)).message


def test_a_guard_tells_nobody() -> None:
    text = in_a_file(a_rule("deal.title: x", when=None, then="leave", more="tell: [starter]"))
    assert "a `leave` rule has no `tell`" in next(one.message for one in mistakes_of(text))


def test_a_test_that_cannot_be_read_is_the_only_mistake() -> None:
    text = in_a_file(a_rule("deal.titel: x, workflow.template_id: 61", more="tell: [responsible]"))
    assert "titel" in the_mistake(text).message


def test_a_rule_says_in_english_whom_it_tells() -> None:
    said = paragraph(rule_with("tell: [timeline, starter]\nwarn: [responsible]"))
    warned = (
        "When approval is asked, a warning is given to whoever is responsible for the document."
    )
    assert warned in said
    told = "What it stopped is told in the document's timeline and to whoever started it."
    assert told in said
    waits = paragraph(rule_with("warn: [starter]\nwait: 1h", mode="observe"))
    assert "When that time begins, a warning is given to whoever started it." in waits
    assert waits.endswith("It only observes, and tells nobody.")
