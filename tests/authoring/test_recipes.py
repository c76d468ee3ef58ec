"""Tests that every recipe loads without a warning and does what its own tests say."""

from datetime import UTC, datetime

import pytest

from responder.adapters.package_texts import RECIPES
from responder.authoring.cases import case_runs
from responder.authoring.check import check

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
TITLES = dict(RECIPES.index())


def test_there_are_eighteen_and_each_says_in_a_line_what_it_is_for() -> None:
    assert len(RECIPES.names()) == 18
    assert all(title.endswith(".") for title in TITLES.values())


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_passes_its_own_tests_which_show_every_rule_speak(name: str) -> None:
    suite = case_runs.suite_of_rules(RECIPES.text(name).encode(), name)
    results = case_runs.run(suite, NOW)
    assert "\n".join(case_runs.render(results, [])).endswith("all fine")
    shown = frozenset[str]().union(*(result.shown for result in results))
    assert shown == {rule.id for rule in suite.ruleset.rules}


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_has_no_mistake(name: str) -> None:
    assert check(RECIPES.text(name).encode(), name) == ()


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_only_observes_until_someone_decides_otherwise(name: str) -> None:
    assert "enforce" not in RECIPES.text(name)
