"""Whether the rules would condemn a workflow that is about to begin."""

import pytest

from responder.bitrix24.fetch.document_facts import Reading
from responder.model import Workflow
from responder.rules.facts.derived import RUNNING
from responder.stop.restart import foresight
from tests.judge.make import DEAL, NOW, a_rule, a_ruleset, a_workflow

LOST = {"deal.stage_semantic_id": "F", "document.exists": True}
CONDEMNED = "rule the-rule would condemn it again at once"
NEW = foresight.new_workflow("61", "Approval", NOW)


def objection(text: str, *running: Workflow, **facts: object) -> str | None:
    reading = Reading({**LOST, RUNNING: len(running), **facts}, running, None)
    return foresight.objection(a_ruleset(text), "main", DEAL, reading, NEW, NOW)


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
    assert objection(text) == (CONDEMNED if condemns else None)


def test_what_is_not_known_of_it_yet_condemns_nothing() -> None:
    for test in ("workflow.started_by: 7", "starter.id: 7", "workflow.tasks: 0"):
        assert objection(a_rule(f"workflow.template_id: 61, {test}")) is None
    assert objection(a_rule("workflow.template_id: 61, workflow.age: {over: 30d}")) is None


def test_a_guard_protects_it() -> None:
    text = a_rule("workflow.template_id: 61")
    guard = a_rule("deal.stage_semantic_id: F", name="keep", when=None, then="leave")
    assert objection(guard + text) is None


def test_it_counts_among_those_that_run_on_the_document() -> None:
    text = a_rule("workflow.template_id: 61, document.running: {over: 1}")
    assert objection(text) is None
    assert objection(text, a_workflow("other")) == CONDEMNED


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ("oldest", "rule the-rule would condemn it again at once"),
        ("newest", "rule the-rule would condemn other then, which it spares now"),
        ("{newest: 2}", None),
    ],
)
def test_a_rule_that_keeps_some_may_not_lose_another_for_it(keep: str, says: str | None) -> None:
    text = a_rule("workflow.template_id: 61", more=f"keep: {keep}")
    assert objection(text, a_workflow("other")) == says
