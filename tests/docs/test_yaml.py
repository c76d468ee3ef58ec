"""All YAML in the README and in the pages is what the program takes."""

import re

import pytest

from responder.authoring.cases import case_runs
from responder.rules.ruleset import load
from tests.docs.texts import PAGES, README, blocks

BLOCKS = [block for text in (README, *PAGES.values()) for block in blocks(text, "yaml")]
RULES = [block for block in BLOCKS if re.search(r"^rules:", block, re.MULTILINE)]
TESTS = [block for block in BLOCKS if block.startswith("tests:")]


def test_all_of_it_is_rules_or_tests() -> None:
    assert len(RULES) >= 2
    assert len(TESTS) >= 1
    assert len(RULES) + len(TESTS) == len(BLOCKS)


@pytest.mark.parametrize("block", RULES)
def test_every_rules_file_in_them_loads(block: str) -> None:
    assert load(block.encode(), file="rules.md").rules


def test_every_test_in_them_fits_the_first_rules_file_of_their_page() -> None:
    ruleset = load(blocks(PAGES["rules"], "yaml")[0].encode(), file="rules.md")
    assert all(
        case_runs.suite_of_tests(block.encode(), "testing.md", ruleset).cases for block in TESTS
    )


def test_the_readmes_rule_is_the_first_one_that_the_page_of_rules_explains() -> None:
    shown = load(blocks(README, "yaml")[0].encode(), file="README.md").rules
    explained = load(blocks(PAGES["rules"], "yaml")[0].encode(), file="rules.md").rules
    assert [rule.id for rule in shown] == [rule.id for rule in explained] == ["lost-deal"]
