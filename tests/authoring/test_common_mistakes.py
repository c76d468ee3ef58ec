"""Tests of mistakes that people often make: each is reported once, where it is, and nothing else.

The mistakes stand in `common_mistakes.txt`, each as a change of one file.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

from responder.authoring.check import check
from responder.rules import yaml_positions
from responder.rules.yaml_positions import Mistake

TABLE = Path(__file__).with_name("common_mistakes.txt")
MARK = "▸"
NOW = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)


class Row(NamedTuple):
    """One mistake: its name, the file with it, and the lines that are to be reported."""

    name: str
    text: str
    said: list[str]


def _sections(table: Path) -> list[list[str]]:
    _, *sections = re.split(r"^=== ", table.read_text("utf-8"), flags=re.MULTILINE)
    return [section.split("\n", 1) for section in sections]


def rows_of(table: Path, good: str) -> list[Row]:
    """Return the rows of a table of changes of a good file."""
    return [_row(good, name, body) for name, body in _sections(table)]


def _rows() -> tuple[str, list[Row]]:
    (_, good), *changes = _sections(TABLE)
    good = good.rstrip("\n") + "\n"
    return good, [_row(good, name, body) for name, body in changes]


def _row(good: str, name: str, body: str) -> Row:
    body = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), body)
    lines = yaml_positions.lines(body)
    said = [line[1:] for line in lines if line.startswith("!")]
    marked = _patched(good, [line for line in lines if line[:1] in ("-", "+")])
    places: list[str] = []
    while MARK in marked:
        before, _, after = marked.partition(MARK)
        lines = yaml_positions.lines(before)
        places.append(f"{len(lines)}:{len(lines[-1]) + 1}")
        marked = before + after
    assert len(places) == len(said), name
    return Row(name, marked, [f"{at}:{line}" for at, line in zip(places, said, strict=True)])


def _patched(good: str, lines: list[str]) -> str:
    """Apply a patch: lines with `-`, and then those with `+` that stand in their place."""
    while lines:
        old = list(takewhile(lambda line: line.startswith("-"), lines))
        new = list(takewhile(lambda line: line.startswith("+"), lines[len(old) :]))
        lines = lines[len(old) + len(new) :]
        there = "".join(f"{line[1:]}\n" for line in old)
        assert f"\n{good}".count(f"\n{there}") == 1, there
        good = good.replace(there, "".join(f"{line[1:]}\n" for line in new))
    return good


GOOD, ROWS = _rows()


def test_there_are_669_and_the_file_itself_is_fine() -> None:
    assert len(ROWS) == 669
    assert check(GOOD.encode(), "rules.yaml", now=NOW) == ()


# What they suggest is right, and in the same place something else is wrong.
SEVERAL_AT_ONCE = {
    "a Russian fact",
    "a smart process by another name",
}


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_mistake_is_reported_once_and_alone_and_who_follows_what_is_suggested_has_mended_it(
    row: Row,
) -> None:
    found = check(row.text.encode(), "rules.yaml", now=NOW)
    assert sorted(str(one).removeprefix("rules.yaml:") for one in found) == sorted(row.said)
    for one in found:
        assert one.suggestion is None or one.is_followed or row.name in SEVERAL_AT_ONCE, str(one)
    for one in found:
        if one.is_followed:
            there_were = [other.severity for other in found].count(one.severity)
            ways = ("\n".join(way) for way in _ways(row.text, one))
            assert any(_count(way, one.severity) < there_were for way in ways), str(one)


def _ways(text: str, one: Mistake) -> Iterator[list[str]]:
    """Write what is shown as it stands, at the mark or as whole lines.

    As many lines as are shown are written; those they stand for are found by their end.
    """
    lines = text.split("\n")
    number, line = one.line - 1, lines[one.line - 1]
    if one.corrected:
        for start, end in _spans(number, len(one.corrected)):
            yield [*lines[:start], *one.corrected, *lines[end:]]
        return
    start, end = one.column - 1, one.column - 1 + one.length
    mended = line[:start] + (one.suggestion or "") + line[end:]
    yield [*lines[:number], mended, *lines[number + 1 :]]


def _count(text: str, severity: str) -> int:
    """Return how many mistakes there are; of a file that is mended, more warnings can be given."""
    found = check(text.encode(), "rules.yaml", now=NOW)
    return sum(one.severity == severity for one in found)


def _spans(number: int, shown: int) -> list[tuple[int, int]]:
    """Return the stretches of lines that a mark in a line may mean: it, or a block around it.

    Those that are as long as what is `shown` come first, for they are mostly it.
    """
    starts, ends = range(number, max(number - 3, -1), -1), range(number + 1, number + 5)
    spans = [(start, end) for start in starts for end in ends]
    return sorted(spans, key=lambda span: abs(span[1] - span[0] - shown))


LINES = GOOD.rstrip("\n").split("\n")


def _told(number: int, line: str) -> set[int]:
    """Return the lines at which mistakes are told when a line (from 1) of the file is another."""
    text = "\n".join([*LINES[: number - 1], line, *LINES[number:]]) + "\n"
    found = check(text.encode(), "rules.yaml", now=NOW)
    assert len(found) < 2, [str(one) for one in found]
    return {one.line for one in found}


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_line_that_is_indented_by_a_space_too_much_or_too_little_is_told_alone(
    number: int, shift: int
) -> None:
    line = LINES[number - 1]
    spaces = len(line) - len(line.lstrip()) + shift
    if spaces >= 0:
        # What is alone in its block may stand a space further in, or out.
        assert _told(number, " " * spaces + line.lstrip()) <= {number}


@pytest.mark.parametrize("number", range(1, len(LINES) + 1))
def test_a_key_without_its_colon_is_told_alone(number: int) -> None:
    found = re.match(r"( *(?:- )?[\w.]+):", LINES[number - 1])
    assert found is not None
    assert _told(number, found[1] + LINES[number - 1][found.end() :]) == {number}
