"""Tests that every recipe loads without a warning and does what its own tests say."""

from datetime import UTC, datetime

import pytest

from responder.authoring import cookbook
from responder.authoring.cases import case_runs
from responder.authoring.check import check

NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
TITLES = dict(line.split("  ", 1) for line in cookbook.index())


def test_there_is_a_dozen_and_each_says_in_a_line_what_it_is_for() -> None:
    assert len(cookbook.names()) == 12
    assert all(title.strip().endswith(".") for title in TITLES.values())


@pytest.mark.parametrize("name", cookbook.names())
def test_a_recipe_passes_its_own_tests_which_show_every_rule_speak(name: str) -> None:
    suite = case_runs.suite_of_rules(cookbook.text(name).encode(), name)
    results = case_runs.run(suite, NOW)
    assert "\n".join(case_runs.render(results, [])).endswith("all fine")
    shown = frozenset[str]().union(*(result.shown for result in results))
    assert shown == {rule.id for rule in suite.ruleset.rules}


@pytest.mark.parametrize("name", cookbook.names())
def test_a_recipe_has_no_mistake(name: str) -> None:
    assert check(cookbook.text(name).encode(), name) == ()


@pytest.mark.parametrize("name", cookbook.names())
def test_a_recipe_only_observes_until_someone_decides_otherwise(name: str) -> None:
    assert "enforce" not in cookbook.text(name)


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(cookbook.UnknownRecipeError) as caught:
        cookbook.text("duplicate")
    assert caught.value.suggestion == "duplicates"
    with pytest.raises(cookbook.UnknownRecipeError):
        cookbook.text("../check")
