"""Defines what is wrong with a line before there is a tree, and the edit that mends it."""

from typing import NamedTuple


class Stumble(NamedTuple):
    """What the parser of YAML says: the problem, its place, amid what it was, where that began.

    Places are lines and columns, from 1.
    """

    problem: str
    at: tuple[int, int]
    context: str
    began: tuple[int, int]


class Edit(NamedTuple):
    """A replacement of a part of a line (from 1): columns `start` to before `end` (from 0)."""

    line: int
    start: int
    end: int
    text: str

    def applied_to(self, line: str) -> str:
        """Return the line after the edit."""
        return line[: self.start] + self.text + line[self.end :]

    def column_before(self, column: int) -> int:
        """Return the column that a character had before the edit; columns are from 1."""
        place, end = column - 1, self.start + len(self.text)
        if place < self.start:
            return column
        return min(column, self.end + 1) if place < end else column - end + self.end


class Broken(NamedTuple):
    """A mistake in the form of a line, at a line and column from 1, and what is probably meant."""

    line: int
    column: int
    message: str
    suggestion: str | None = None
    edit: Edit | None = None


def replacing(number: int, line: str, start: int, text: str) -> Edit:
    """Return the smallest edit that makes a text of all that a line has from a column on."""
    old, end = line[start:].rstrip(), len(line.rstrip())
    same = 0
    while same < min(len(old), len(text)) and old[same] == text[same]:
        same += 1
    alike = 0
    while alike < min(len(old), len(text)) - same and old[-1 - alike] == text[-1 - alike]:
        alike += 1
    return Edit(number, start + same, end - alike, text[same : len(text) - alike])
