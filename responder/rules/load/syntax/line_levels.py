"""Finds how far the lines above a broken one are indented, and which keys stand there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_DASH = re.compile(r"-(?: +|$)")
_KEY = re.compile(r"[\"']?([^\s\"':]+)[\"']?\s*:(?:\s|$)")
_OPENS_A_TEXT = re.compile(r":\s+[|>][-+0-9]*\s*(?:#.*)?$")


@dataclass(slots=True)
class Level:
    """A map or a list that is open: its column (from 0), its keys, the key that it stands below.

    `line` (from 1) is its first; `keys` are those of the map so far; of a list, the first keys of
    its items.
    """

    column: int
    is_list: bool
    below: str | None
    line: int
    keys: list[str] = field(default_factory=list)


def indent_of(line: str) -> int:
    """Return how many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def open_above(lines: Sequence[str], number: int) -> list[Level]:
    """Return the levels that are open at the end of the line above line `number` (from 1)."""
    levels: list[Level] = []
    text_from: int | None = None
    for place, line in enumerate(lines[: number - 1], start=1):
        content, indent = line.strip(), indent_of(line)
        if not content or content.startswith("#"):
            continue
        if text_from is not None and indent > text_from:
            continue
        text_from = indent if _OPENS_A_TEXT.search(line) else None
        _enter(levels, content, indent, place)
    return levels


def _enter(levels: list[Level], content: str, column: int, line: int) -> None:
    """Close the levels that a line ends, and open those that it begins."""
    while dash := _DASH.match(content):
        _close(levels, column, is_list=True)
        if not levels or levels[-1].column != column or not levels[-1].is_list:
            levels.append(Level(column, is_list=True, below=_last_key(levels), line=line))
        content, column = content[dash.end() :], column + dash.end()
        first = _KEY.match(content)
        levels[-1].keys.append(first[1] if first else "")
    found = _KEY.match(content)
    if found is None:
        return
    _close(levels, column, is_list=False)
    if not levels or levels[-1].column < column or levels[-1].is_list:
        levels.append(Level(column, is_list=False, below=_last_key(levels), line=line))
    levels[-1].keys.append(found[1])


def _close(levels: list[Level], column: int, *, is_list: bool) -> None:
    while levels and (
        levels[-1].column > column
        or (levels[-1].column == column and levels[-1].is_list and not is_list)
    ):
        levels.pop()


def _last_key(levels: list[Level]) -> str | None:
    above = next((level for level in reversed(levels) if not level.is_list and level.keys), None)
    return above.keys[-1] if above else None
