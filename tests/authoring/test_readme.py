"""Tests that all YAML in the README is what the program takes."""

import re
from pathlib import Path

import pytest

from responder.authoring.cases import case_runs
from responder.rules.ruleset import load

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
RULES = [block for block in BLOCKS if re.search(r"^rules:", block, re.MULTILINE)]
TESTS = [block for block in BLOCKS if block.startswith("tests:")]


@pytest.mark.parametrize("block", RULES)
def test_every_rules_file_in_it_loads(block: str) -> None:
    assert load(block.encode(), file="README.md").rules


def test_every_test_in_it_fits_the_rules_of_the_first_file() -> None:
    ruleset = load(RULES[0].encode(), file="README.md")
    assert all(
        case_runs.suite_of_tests(block.encode(), "README.md", ruleset).cases for block in TESTS
    )
