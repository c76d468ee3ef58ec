"""Follows a suggestion to the letter, as who reads it would, to see whether it mends the mistake.

A suggestion is short: it stands for what is marked, for the value that begins there, for its key
too, or for the whole line. Each of these is tried, and the first that leaves no mistake behind is
what the suggestion means; the lines that come of it are shown. What is refused itself is no help,
and not suggested.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from responder.rules.yaml_positions import Mistake, lines

Recheck = Callable[[bytes], Collection[Mistake]]

# Each suggestion is followed by checking the file anew, as often as this many bytes are read.
_MOST_READ = 150_000
_KEY = re.compile(r"(?:\"[^\"]*\"|'[^']*'|[^\s{}\[\],:\"']+)\s*:\s*$")
_VALUE = re.compile(r"[\w.-]+:[ ]+(?=\S)")
_WORD = re.compile(r"[\w.]+\s*$")
_DASHES = re.compile(r"\s*(?:- +)*")
_FAR = 8  # so many lines above a mark is its key looked for
_PAIR = re.compile(r"[\w.]+:(?:\s|$)")
# Texts in quotes are passed over: a bracket in them is none.
_IN_BRACKETS = re.compile(r"\"[^\"]*\"|'[^']*'|[\[\]{}]")
_CLOSING = {"{": "}", "[": "]"}


class _Place(NamedTuple):
    """A stretch of lines: from a line and column to before another (all from 0)."""

    line: int
    column: int
    last_line: int
    end: int


class _Followed(NamedTuple):
    """A file in which a suggestion was followed: its lines, and the stretch that is new."""

    lines: list[str]
    old: _Place
    new: _Place


def follow(mistakes: Sequence[Mistake], data: bytes, recheck: Recheck) -> tuple[Mistake, ...]:
    """Return mistakes with the lines that their suggestions lead to, without useless ones."""
    try:
        text = lines(data.decode())
    except UnicodeDecodeError:
        return tuple(mistakes)
    tries = iter(range(_MOST_READ // max(len(data), 1)))
    return tuple(
        one
        if one.suggestion is None or "…" in one.suggestion
        else _followed(
            one, (way for way, _ in zip(_ways(one, text), tries, strict=False)), mistakes, recheck
        )
        for one in mistakes
    )


def _some(ways: Iterator[_Followed], tries: Iterator[int]) -> Iterator[_Followed]:
    """Yield ways as long as there are tries left."""
    return (way for way, _ in zip(ways, tries, strict=False))


def _followed(
    one: Mistake, ways: Iterator[_Followed], before: Sequence[Mistake], recheck: Recheck
) -> Mistake:
    is_refused, way = True, None
    for way in ways:
        after = recheck("\n".join(way.lines).encode())
        new = _new_errors(before, after, way)
        if not new and not _stands(one, before, after, _moved(one.line - 1, way)):
            return _corrected(one, way)
        is_refused = is_refused and any(_refutes(error, way) for error in new)
    return replace(one, suggestion=None) if is_refused and way is not None else one


def _refutes(error: Mistake, way: _Followed) -> bool:
    """Return whether an error is about what was suggested itself."""
    return _is_within(error, way.new) or "is here twice" in error.message


def _corrected(one: Mistake, way: _Followed) -> Mistake:
    old, new = way.old, way.new
    at = one.line - 1
    if (old.line, old.column, old.last_line, new.last_line) == (at, one.column - 1, at, at):
        # What is replaced begins where the mark does: so the mark shows it all.
        return replace(one, length=max(old.end - old.column, 1), is_followed=True)
    return replace(one, corrected=tuple(way.lines[new.line : new.last_line + 1]), is_followed=True)


def _new_errors(
    before: Sequence[Mistake], after: Collection[Mistake], way: _Followed
) -> list[Mistake]:
    """Return the errors that are there since a suggestion was followed."""
    known = [(one.message, _moved(one.line - 1, way)) for one in before]
    return [
        one for one in after if one.severity == "error" and (one.message, one.line - 1) not in known
    ]


def _stands(one: Mistake, before: Sequence[Mistake], after: Collection[Mistake], line: int) -> bool:
    """Return whether a mistake is still told, at the line that its own has become."""
    there = sum((other.message, other.line) == (one.message, one.line) for other in before)
    here = sum((other.message, other.line - 1) == (one.message, line) for other in after)
    return here >= there


def _moved(line: int, way: _Followed) -> int:
    """Return the line that a line has become."""
    return line + way.new.last_line - way.old.last_line if line > way.old.last_line else line


def _is_within(one: Mistake, place: _Place) -> bool:
    at = (one.line - 1, one.column - 1)
    return (place.line, place.column) <= at <= (place.last_line, place.end)


def _ways(one: Mistake, text: Sequence[str]) -> Iterator[_Followed]:
    """Yield the file with a suggestion in each of the places that it may stand for."""
    assert one.suggestion is not None
    seen = set()
    for place in _places(one, text):
        if place not in seen:
            seen.add(place)
            yield _written(text, place, one.suggestion)


def _written(text: Sequence[str], place: _Place, suggestion: str) -> _Followed:
    first, last = text[place.line], text[place.last_line]
    if _opening(first[: place.column]) is not None:
        suggestion = suggestion.replace("\n", ", ")
    wanted = suggestion.split("\n")
    wanted[1:] = [" " * place.column + line for line in wanted[1:]]
    end = len(wanted[-1]) + (place.column if len(wanted) == 1 else 0)
    gap = " " if first[: place.column].endswith(":") else ""
    wanted[0] = first[: place.column] + gap + wanted[0]
    wanted[-1] += last[place.end :]
    new = _Place(place.line, place.column, place.line + len(wanted) - 1, end)
    mended = [*text[: place.line], *wanted, *text[place.last_line + 1 :]]
    return _Followed(mended, place, new)


def _places(one: Mistake, text: Sequence[str]) -> Iterator[_Place]:
    """Yield the stretches that a suggestion may stand for, the nearest one first."""
    number, column, said = one.line - 1, one.column - 1, one.suggestion or ""
    if number >= len(text) or column > len(text[number]):
        return
    if said.startswith("- "):
        yield from _items(number, text, said)
        return
    yield from _of_the_value(one, text)
    yield from _around(number, column, text, said)
    yield from _of_the_key(number, column, text, said)
    yield from _blocks(text, number, column, said)


def _items(number: int, text: Sequence[str], said: str) -> Iterator[_Place]:
    """Yield a whole line, whose dash stands where the line begins, or two spaces before."""
    line = text[number]
    indent, end = len(line) - len(line.lstrip()), _end_of_content(line)
    if "\n" in said:
        last = _end_of_block(text, number, indent)
        yield _Place(number, indent, last, len(text[last].rstrip()))
        return
    yield _Place(number, indent, number, end)
    if indent > 1:
        yield _Place(number, indent - 2, number, end)


def _of_the_value(one: Mistake, text: Sequence[str]) -> Iterator[_Place]:
    """Yield what begins at the mark, and the value of the key that is marked."""
    number, column, said = one.line - 1, one.column - 1, one.suggestion or ""
    line = text[number]
    for part in (said, said[1:], said[:-1], said[1:-1]):
        if len(part) > 1 and said != part and line.startswith(part, column):
            yield _Place(number, column, number, column + len(part))
    bracket = _behind_bracket(text, number, column)
    if bracket is not None:
        yield _Place(number, column, *bracket)
    else:
        yield _Place(number, column, number, min(column + one.length, len(line)))
        yield _Place(number, column, number, _end_of_value(line, column))
    value = _VALUE.match(line, column)
    if value is not None and said[:1] in _CLOSING:
        last = _behind_bracket(text, number, value.end())
        yield _Place(number, value.end(), *(last or (number, _end_of_value(line, value.end()))))


def _around(number: int, column: int, text: Sequence[str], said: str) -> Iterator[_Place]:
    """Yield the stretches that begin before the mark: the key, the brackets, the line."""
    line = text[number]
    dashes = _DASHES.match(line)
    start = dashes.end() if dashes else 0
    last = _behind_bracket(text, number, column) or (number, _end_of_value(line, column))
    key, word = _KEY.search(line[:column]), _WORD.search(line[:column])
    if key is not None and _PAIR.match(said):
        yield _Place(number, key.start(), *last)
    if word is not None and said.startswith(word[0]):
        yield _Place(number, word.start(), *last)
    opening = _opening(line[:column]) if said[:1] in _CLOSING else None
    if opening is not None and line[opening] == said[0]:
        yield _Place(number, opening, *(_behind_bracket(text, number, opening) or last))
        yield _Place(number, opening, number, _end_of_content(line))
        yield _Place(number, opening, number, column)
    around = _opening(line[:column])
    if key is not None and _PAIR.match(said) and around is not None:
        closing = _behind_bracket(text, number, around)
        if closing is not None:
            yield _Place(number, key.start(), closing[0], closing[1] - 1)
    if _PAIR.match(said) or column > start:
        # What was taken for a remark is a part of the text then.
        end = len(line.rstrip()) if "#" in said else _end_of_content(line)
        yield _Place(number, start, number, end)
    yield _Place(number, column, number, _end_of_content(line))


def _of_the_key(number: int, column: int, text: Sequence[str], said: str) -> Iterator[_Place]:
    """Yield the whole test of a fact within which the mark stands, in its line or below it."""
    key = _PAIR.match(said)
    if key is None:
        return
    before = text[number].rfind(key[0], 0, column)
    if before >= 0:
        yield _Place(number, before, number, _end_of_value(text[number], before))
    for above in range(number - 1, max(number - _FAR, -1), -1):
        line = text[above]
        if line.strip().removeprefix("- ").startswith(key[0].rstrip()):
            indent = line.index(key[0].rstrip())
            last = _end_of_block(text, above + 1, indent + 1)
            yield _Place(above, indent, last, len(text[last].rstrip()))
            return


def _opening(before: str) -> int | None:
    """Return the column of the innermost bracket that is still open."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += (before[at] in "]}") - (before[at] in "[{")
        if depth < 0:
            return at
    return None


def _blocks(text: Sequence[str], number: int, column: int, said: str) -> Iterator[_Place]:
    """Yield the block of lines that is meant where a map or list in brackets stands for one."""
    line = text[number]
    indent = len(line) - len(line.lstrip())
    last = number
    for below in range(number + 1, len(text)):
        if text[below].strip():
            deeper = len(text[below]) - len(text[below].lstrip())
            if deeper <= indent and not (deeper == indent and column > indent):
                break
            last = below
    if last > number:
        yield _Place(number, column, last, len(text[last].rstrip()))
    above = number - 1
    if above >= 0 and said.startswith(("[", "{")) and text[above].rstrip().endswith(":"):
        del last
        end = _end_of_block(text, number, indent)
        yield _Place(above, len(text[above].rstrip()), end, len(text[end].rstrip()))


def _end_of_block(text: Sequence[str], number: int, indent: int) -> int:
    last = number
    for below in range(number + 1, len(text)):
        if text[below].strip():
            if len(text[below]) - len(text[below].lstrip()) < indent:
                break
            last = below
    return last


def _end_of_content(line: str) -> int:
    """Return the column behind all that a line says, without a remark."""
    found = re.search(r"\s+#", line)
    return found.start() if found else len(line.rstrip())


def _end_of_value(line: str, column: int) -> int:
    """Return the column behind the value that begins at one: before a comma, bracket or remark."""
    depth, quote = 0, ""
    for at in range(column, len(line)):
        one = line[at]
        if quote:
            quote = "" if one == quote else quote
        elif one in "\"'" and line[at - 1 : at] in (*" [{(,:", ""):
            quote = one
        elif one in _CLOSING:
            depth += 1
        elif one in "]}" or (one == "," and not depth and _is_in_brackets(line[:column])):
            if not depth:
                return at
            depth -= one != ","
        elif one == "#" and line[at - 1 : at] == " ":
            return len(line[:at].rstrip())
    return len(line.rstrip())


def _is_in_brackets(before: str) -> bool:
    return before.count("{") + before.count("[") > before.count("}") + before.count("]")


def _behind_bracket(text: Sequence[str], number: int, column: int) -> tuple[int, int] | None:
    """Return the place behind the bracket that closes the one at a place; None where none does."""
    if text[number][column : column + 1] not in ("{", "["):
        return None
    depth = 0
    for below in range(number, len(text)):
        start = column if below == number else 0
        for found in _IN_BRACKETS.finditer(text[below], start):
            depth += (found[0] in _CLOSING) - (found[0] in ("}", "]"))
            if not depth:
                return below, found.end()
    return None
