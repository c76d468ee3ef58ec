"""Policies that people ask for can be written, and do what they say (`policies.txt`).

Each was written from `responder docs rules`, `fields` and `recipes` alone. Among those people ask
for that are not here: what a field was before, which Bitrix24 does not tell.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.authoring.cases import case_runs
from responder.authoring.cases.cases import Case
from responder.authoring.check import check
from responder.authoring.rules_in_english import ruleset_in_english

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
_, *SECTIONS = re.split(
    r"^=== ", Path(__file__).with_name("policies.txt").read_text("utf-8"), flags=re.MULTILINE
)
POLICIES = dict(section.split("\n", 1) for section in SECTIONS)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_a_policy_has_no_mistake_and_stops_what_it_should_and_nothing_else(policy: str) -> None:
    data = policy.encode()
    warnings = [one for one in check(data, "r", now=NOW) if "no test expects" not in one.message]
    assert warnings == []
    suite = case_runs.suite_of_rules(data, "r", expecting=True)
    results = case_runs.run(suite, NOW)
    assert [line for line in case_runs.render(results, []) if "FAIL" in line] == []
    shown = frozenset[str]().union(*(result.shown for result in results))
    assert shown == {rule.id for rule in suite.ruleset.rules}
    left = [
        w
        for one in suite.cases
        for w in _ids(one)
        if one.of(w)[0].what in ("none", "leave", "waiting")
    ]
    assert left, "no test shows what it leaves alone"
    assert "None" not in " ".join(ruleset_in_english(suite.ruleset))


def _ids(case: Case) -> list[str]:
    workflows = case.situation.workflows
    assert isinstance(workflows, tuple)
    return [one.id for one in workflows]
