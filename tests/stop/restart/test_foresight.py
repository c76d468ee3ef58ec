"""Whether the rules would condemn a workflow that is about to begin."""

import pytest

from responder.bitrix24.fetch.lookup import Reading
from responder.model import Workflow
from responder.rules.facts.derived import RUNNING
from responder.stop.restart import foresight
from tests.judge.make import DEAL, NOW, a_rule, a_ruleset, a_workflow

LOST = {"deal.stage_semantic_id": "F", "document.exists": True}
NEW = foresight.new_workflow("61", "Approval", NOW)


def condemned(text: str, *running: Workflow, **facts: object) -> str | None:
    reading = Reading({**LOST, RUNNING: len(running), **facts}, running, None)
    return foresight.condemned_by(a_ruleset(text), "main", DEAL, reading, NEW, NOW)


@pytest.mark.parametrize(
    ("when", "mode", "condemns"),
    [
        ("[deal.updated]", "enforce", True),
        ("[robot]", "approve", True),
        ("[{every: 1h}]", "enforce", True),
        ("[deal.updated]", "observe", False),
        ("[deal.deleted]", "enforce", False),
    ],
)
def test_rules_that_act_condemn_whatever_sets_them_off(
    when: str, mode: str, *, condemns: bool
) -> None:
    text = a_rule("workflow.template_id: 61", when=when, mode=mode)
    assert condemned(text) == ("the-rule" if condemns else None)


def test_what_is_not_known_of_it_yet_condemns_nothing() -> None:
    for test in ("workflow.started_by: 7", "starter.id: 7", "workflow.tasks: 0"):
        assert condemned(a_rule(f"workflow.template_id: 61, {test}")) is None
    assert condemned(a_rule("workflow.template_id: 61, workflow.age: {over: 30d}")) is None


def test_a_guard_protects_it() -> None:
    text = a_rule("workflow.template_id: 61")
    guard = a_rule("deal.stage_semantic_id: F", name="keep", when=None, then="leave")
    assert condemned(guard + text) is None


def test_it_counts_among_those_that_run_on_the_document() -> None:
    text = a_rule("workflow.template_id: 61, document.running: {over: 1}")
    assert condemned(text) is None
    assert condemned(text, a_workflow("other")) == "the-rule"


def test_of_those_that_a_rule_keeps_it_is_the_newest() -> None:
    other = a_workflow("other")
    for kept, rule in (("newest", None), ("oldest", "the-rule")):
        text = a_rule("workflow.template_id: 61", more=f"keep: {kept}")
        assert condemned(text, other) == rule
