"""Compares two texts of the rules line by line, as people read a difference: no I/O.

What both begin and end with is taken off first, so that a large file with a small change is
compared in no time. Where too much is left between, nothing is compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from itertools import takewhile
from typing import Literal

CONTEXT = 3
_MOST_LINES = 3_000  # that differ: to compare more could take minutes


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference with its numbers in both texts, or a `gap` of lines left out."""

    kind: Literal["same", "removed", "added", "gap"]
    old: int | None
    new: int | None
    text: str


def difference(old: str, new: str) -> list[Line] | None:
    """Return the lines that differ, each with three others around it; None where it is too much."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    if max(len(before), len(after)) - start - end > _MOST_LINES:
        return None
    start, end = max(0, start - CONTEXT), max(0, end - CONTEXT)
    return list(_lines(before, after, start, end))


def unified(old: str, new: str, names: tuple[str, str]) -> list[str]:
    """Return the difference as `diff -u` prints it."""
    lines = unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="", n=CONTEXT)
    return list(lines)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many lines both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


_GAP = Line("gap", None, None, "")


def _lines(before: list[str], after: list[str], start: int, end: int) -> Iterator[Line]:
    """Yield the lines of each place that differs, with a gap wherever lines are left out."""
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    matcher = SequenceMatcher(a=old, b=new, autojunk=False)
    if start:
        yield _GAP
    for place, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if place:
            yield _GAP
        for tag, *span in group:
            yield from _part(tag, old, new, span, start)
    if end:
        yield _GAP


def _part(
    tag: str, old: Sequence[str], new: Sequence[str], span: Sequence[int], start: int
) -> Iterator[Line]:
    """Yield the lines of one step from the old text to the new; both begin after `start` lines."""
    i, i_end, j, j_end = span
    if tag == "equal":
        for step, text in enumerate(old[i:i_end], start + 1):
            yield Line("same", i + step, j + step, text)
        return
    for step, text in enumerate(old[i:i_end], start + 1):
        yield Line("removed", i + step, None, text)
    for step, text in enumerate(new[j:j_end], start + 1):
        yield Line("added", None, j + step, text)
