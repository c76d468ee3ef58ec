"""Tests of rules that contradict themselves or each other, and of sound ones that look like it.

The mistakes stand in `logical_mistakes.txt`, and what is in order in `sensible_rules.txt`, each as
a change of the file in `common_mistakes.txt`.
"""

from pathlib import Path

import pytest

from responder.authoring.check import check
from tests.authoring.test_common_mistakes import GOOD, NOW, Row, rows_of

HERE = Path(__file__).parent
MISTAKES = rows_of(HERE / "logical_mistakes.txt", GOOD)
SENSIBLE = rows_of(HERE / "sensible_rules.txt", GOOD)


def said(row: Row) -> list[str]:
    found = check(row.text.encode(), "rules.yaml", now=NOW)
    return sorted(str(one).removeprefix("rules.yaml:") for one in found)


@pytest.mark.parametrize("row", MISTAKES, ids=[row.name for row in MISTAKES])
def test_a_mistake_of_logic_is_reported_once_and_alone(row: Row) -> None:
    assert row.said
    assert said(row) == sorted(row.said)


@pytest.mark.parametrize("row", SENSIBLE, ids=[row.name for row in SENSIBLE])
def test_what_looks_like_a_mistake_of_logic_and_is_none_is_not_reported(row: Row) -> None:
    assert said(row) == []
