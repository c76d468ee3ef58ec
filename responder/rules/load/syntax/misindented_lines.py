"""Finds lines that are indented otherwise than those that they belong with.

Which of two lines is the odd one, a reader sees at once: where a block's lines agree with each
other and not with its first, that one is. So the lines below are looked at as well.
"""

import re
from collections.abc import Sequence

from responder.rules.load.syntax import key_words, line_levels
from responder.rules.load.syntax.edits import Broken, Edit
from responder.rules.load.syntax.line_levels import Level, indent_of

_FIRST_KEY = re.compile(r"\s*(?:- +)*[\"']?([^\s\"':]+)[\"']?\s*:(?:\s|$)")
# They begin their lines, whatever stands above.
_OF_THE_FILE = re.compile(r" +(?:version: *1|(?:rules|tests|calendars):) *(?:#.*)?")
_FAR = 4  # a dash further off than this belongs to no list above


def find(lines: Sequence[str], number: int) -> Broken | None:
    """Return what is wrong with how a line (from 1) is indented, or the first of its block."""
    for above in range(1, number + 1):
        if _OF_THE_FILE.fullmatch(lines[above - 1]):
            return _moved(above, indent_of(lines[above - 1]), 0)
    content, indent = lines[number - 1].strip(), indent_of(lines[number - 1])
    level = _level_of(lines, number, content)
    if level is None or level.column == indent:
        return None
    above = next((one for one in range(number - 1, 0, -1) if lines[one - 1].strip()), 1)
    if _has_a_stray(level, content):
        return _moved(above, indent_of(lines[above - 1]), indent)
    if len(level.keys) == 1 and _is_the_odd_one(lines, number, level):
        first = indent_of(lines[level.line - 1])
        return _moved(level.line, first, first + indent - level.column)
    return _moved(number, indent, level.column)


def as_above(lines: Sequence[str], number: int, content: str) -> int:
    """Return how far a line is to be indented, by what stands above it."""
    above = next((one for one in reversed(lines[: number - 1]) if one.strip()), "")
    if above.rstrip().endswith(":"):
        return indent_of(above) + 2
    level = _alike(lines, number, content)
    return indent_of(above) if level is None else level.column


def first_key(line: str) -> str | None:
    """Return the key that a line begins with, behind its dashes."""
    found = _FIRST_KEY.match(line)
    return found[1] if found else None


def _moved(number: int, indent: int, target: int) -> Broken | None:
    if target < 0 or target == indent:
        return None
    message = f"this line begins with {_spaces(indent)}, and those that it belongs with, with"
    edit = Edit(number, 0, indent, " " * target)
    return Broken(number, indent + 1, f"{message} {_spaces(target)}", edit=edit)


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count} spaces"


def _has_a_stray(level: Level, content: str) -> bool:
    """Return whether the last key of a map stands with that of a line, and all others do not."""
    key, (*others, last) = first_key(content), level.keys
    if key is None or level.is_list or not others:
        return False
    alone = not key_words.stand_together(key, others)
    return alone and key_words.stand_together(key, [last])


def _is_the_odd_one(lines: Sequence[str], number: int, level: Level) -> bool:
    """Return whether the first line of a block is the odd one, and not the line below it."""
    indent = indent_of(lines[number - 1])
    if indent % 2:
        return False
    for line in lines[number:]:
        if line.strip() and indent_of(line) < min(indent, level.column):
            break
        is_alike = line.lstrip().startswith("-") is level.is_list
        if line.strip() and is_alike and indent_of(line) in (indent, level.column):
            return indent_of(line) == indent
    return level.column % 2 == 1


def _level_of(lines: Sequence[str], number: int, content: str) -> Level | None:
    """Return the list or map that a line belongs to; None where nothing tells."""
    alike = _alike(lines, number, content)
    if alike is not None:
        return alike
    fitting = _fitting(lines, number, content)
    if first_key(content) is None or not fitting:
        return None
    indent = indent_of(lines[number - 1])
    nearest = min(reversed(fitting), key=lambda level: abs(level.column - indent))
    is_far = content.startswith("- ") and abs(nearest.column - indent) > _FAR
    return None if is_far else nearest


def _alike(lines: Sequence[str], number: int, content: str) -> Level | None:
    """Return the map above a line whose keys stand together with that of the line."""
    key = first_key(content)
    levels = _fitting(lines, number, content) if key else []
    together = (one for one in reversed(levels) if key_words.stand_together(key or "", one.keys))
    return next(together, None)


def _fitting(lines: Sequence[str], number: int, content: str) -> list[Level]:
    """Return the open lists above a line that begins with a dash; of another, the open maps."""
    is_item = content.startswith("- ") or content == "-"
    return [one for one in line_levels.open_above(lines, number) if one.is_list is is_item]
