"""Tests of facts that follow from others: ages, and who started a workflow."""

import pytest

from responder.model import Unknown
from tests.rules.make import a_rule, a_ruleset, a_workflow, judged

DENIED = Unknown("access was denied")


@pytest.mark.parametrize(
    ("test", "facts", "expected"),
    [
        ("workflow.age: {over: 3d}", {"started": "2026-09-20T12:00:00+03:00"}, True),
        ("workflow.age: {over: 4d}", {"started": "2026-09-20T12:00:00+03:00"}, False),
        ("workflow.age: {at_least: 4d}", {"started": "2026-09-20T12:00:00+03:00"}, True),
        ("workflow.age: {over: 3d}", {"started": None}, None),
        ("workflow.age: {over: 3d}", {"started": "yesterday"}, None),
        ("workflow.age: {over: 3d}", {"started": Unknown("not sent")}, None),
        ("workflow.age: {exists: false}", {"started": None}, True),
        ("workflow.idle: {between: [1d, 2d]}", {"modified": "2026-09-23T12:00:00+03:00"}, True),
        ("workflow.stuck: true", {"owned_until": None}, False),
        ("workflow.stuck: true", {"owned_until": "2026-09-24T08:54:59Z"}, True),
        ("workflow.stuck: true", {"owned_until": "2026-09-24T08:55:00Z"}, False),
        ("workflow.stuck: false", {"owned_until": "2026-09-24T10:00:00Z"}, True),
        ("workflow.stuck: true", {"owned_until": "?"}, None),
    ],
)
def test_ages_are_worked_out(test: str, facts: dict[str, object], expected: bool | None) -> None:
    rule = a_rule(f"{test}, workflow.template_id: 61")
    judgement = judged(rule, {}, a_workflow(**facts))
    conditions = judgement.conditions or judgement.verdicts[0].conditions
    assert conditions[0].holds is expected


@pytest.mark.parametrize(
    ("test", "facts", "expected"),
    [
        ("workflow.tasks: {over: 1}", {"tasks": 2}, True),
        ("workflow.tasks: {over: 1}", {"tasks": 0}, False),
        ("workflow.tasks: 0", {"tasks": 0}, True),
        ("workflow.tasks: {over: 1}", {"tasks": DENIED}, None),
        ("workflow.tasks: {over: 1}", {}, None),
        ("waiting_for.id: 7", {"waiting_for.id": ["7", "9"]}, True),
        ("waiting_for.id: {exists: false}", {"waiting_for.id": []}, True),
        ("waiting_for.active: false", {"waiting_for.active": [True, False]}, True),
        ("waiting_for.active: {is_not: true}", {"waiting_for.active": [True, False]}, False),
        ("waiting_for.active: false", {"waiting_for.active": []}, False),
        ("waiting_for.active: false", {}, None),
        ("waiting_for.department: 5", {"waiting_for.department": [1, 5]}, True),
        ("starter.active: false", {"starter.active": False}, True),
        ("starter.active: false", {"starter.active": "N"}, True),
        ("starter.active: false", {"starter.active": DENIED}, None),
        ("starter.active: false", {}, None),
        ("starter.id: 7", {"started_by": "7"}, True),
        ("starter.id: 7", {"started_by": DENIED}, None),
        ("starter.active: false", {"started_by": DENIED, "starter.active": False}, None),
        # nobody started it
        ("starter.active: false", {"started_by": "0"}, False),
        ("starter.active: {is_not: true}", {"started_by": None}, True),
        ("starter.department: {exists: false}", {"started_by": "0"}, True),
        ("starter.id: {is: {fact: deal.assigned_by_id}}", {"started_by": "9"}, True),
    ],
)
def test_people(test: str, facts: dict[str, object], expected: bool | None) -> None:
    rule = a_rule(f"{test}, workflow.template_id: 61")
    judgement = judged(rule, {"deal.assigned_by_id": 9}, a_workflow(**facts))
    conditions = judgement.conditions or judgement.verdicts[0].conditions
    assert conditions[0].holds is expected


def test_facts_of_the_starter_read_who_that_was() -> None:
    rule = a_ruleset(a_rule("starter.active: false, workflow.id: a")).rules[0]
    assert rule.paths == {"starter.active", "workflow.started_by", "workflow.id"}
