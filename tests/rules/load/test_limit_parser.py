"""`limit` merges with the defaults, and 0 is none at all."""

import pytest

from responder.rules.load.limit_parser import Limit
from tests.rules.make import a_rule, a_ruleset, in_a_file, mistakes_of


def limits_of(limit: str, defaults: str = "") -> Limit:
    (rule,) = a_ruleset(a_rule(more=f"limit: {limit}"), head=defaults).rules
    return rule.limit


def test_limits_are_on_by_default() -> None:
    (rule,) = a_ruleset(a_rule()).rules
    assert rule.limit == Limit(per_hour=30, per_document=5)


def test_a_rules_limit_merges_with_the_defaults() -> None:
    defaults = "defaults: {limit: {per_hour: 3, per_document: 2}}\n"
    assert limits_of("{per_document: 9}", defaults) == Limit(per_hour=3, per_document=9)


def test_runs_are_limited_only_where_a_rule_says_so() -> None:
    assert limits_of("{per_hour: 3}") == Limit(per_hour=3, per_run=None, percent_of_running=None)
    defaults = "defaults: {limit: {per_run: 25}}\n"
    assert limits_of("{percent_of_running: 20}", defaults) == Limit(
        per_run=25, percent_of_running=20
    )
    assert limits_of("{per_run: 0, percent_of_running: 0}").per_run == 0


def test_there_is_no_more_than_all_that_runs() -> None:
    text = in_a_file(a_rule(more="limit: {percent_of_running: 101}"))
    (mistake,) = mistakes_of(text)
    assert "`percent_of_running` is at most 100" in mistake.message


def test_0_means_none_at_all() -> None:
    assert limits_of("{per_hour: 0}").per_hour == 0


@pytest.mark.parametrize("limit", ["5", "[]", "{}", "null"])
def test_a_limit_that_is_no_map_is_a_mistake(limit: str) -> None:
    (mistake,) = mistakes_of(in_a_file(a_rule(more=f"limit: {limit}")))
    assert "`limit` is a map" in mistake.message


@pytest.mark.parametrize("number", ["-1", "1.5", "many", '"5"', "null", "01"])
def test_a_number_that_is_none_is_a_mistake(number: str) -> None:
    (mistake,) = mistakes_of(in_a_file(a_rule(more=f"limit: {{per_hour: {number}}}")))
    assert "`per_hour` is a whole number" in mistake.message


def test_an_unknown_limit_is_a_mistake_with_the_nearest_name() -> None:
    (mistake,) = mistakes_of(in_a_file(a_rule(more="limit: {per_hours: 5}")))
    assert mistake.suggestion == "per_hour"
