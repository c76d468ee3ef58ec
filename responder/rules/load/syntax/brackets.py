"""Finds what is wrong with a list or a map in brackets that the parser of YAML could not read."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from responder.rules.load.syntax import key_words, quotes
from responder.rules.load.syntax.edits import Broken, Edit, Stumble

_CLOSING = {"[": "]", "{": "}"}
_OPENING = {"]": "[", "}": "{"}
_LAST_KEY = re.compile(r"[{,]\s*([\w.-]+)$")
_NESTED = re.compile(r"([\w.]+): ([\w.]+): ([^\s{}\[\],:][^{}\[\],:]*)(?=[},])")
_JOINED = re.compile(r"\s*(?:- +)*(\w+):\s+(\{[^{}]*\})\s+(or|and|или|и|\|\||&&)\s+(\{[^{}]*\})\s*")
_LAST_WORD = re.compile(r"[\w.\"'-]+$")


class _Open(NamedTuple):
    """The brackets that are still open at the end of a line, and where a remark begins, if any."""

    brackets: str
    remark: int | None


def broken(stumble: Stumble, lines: Sequence[str]) -> Broken | None:
    """Return what is wrong with the brackets that were open where the parser stopped."""
    (line, column), at = stumble.began, stumble.at
    text = lines[line - 1]
    if text[column - 1 : column] not in _CLOSING:
        return None
    still = _still_open(text, column - 1)
    if text.count('"') % 2:
        place = next(
            (one for one in _quoted(text) if re.search("[,:] ", text[one[0] : one[1]])), None
        )
        return Broken(
            line, (place[0] if place else column - 1) + 1, "a quote in this line is not closed"
        )
    if at[0] == line and (nested := _NESTED.search(text, column - 1)) is not None:
        inner = f"{{{nested[2]}: {nested[3].strip()}}}"
        edit = Edit(line, nested.start(2), nested.end(3), inner)
        meant = edit.applied_to(text)[column - 1 :].rstrip()
        said = f"what stands below `{nested[1]}` stands in braces of its own"
        return Broken(line, nested.start(2) + 1, said, meant, edit)
    if at[0] == line:
        return _wrong_closing(text, stumble) or _without_comma(text, stumble)
    if still.remark is not None and set("]}") & set(text[still.remark :]):
        message = "` #` begins a remark, so the rest of the line is none of the text: write quotes"
        return Broken(line, still.remark + 1, message)
    below = next((one for one in lines[line:] if one.strip()), "key:")
    if still.brackets and key_words.begins_like_a_key(below):
        return _unclosed(stumble, text, still)
    message = f"`{text[column - 1]}` is not closed, or a comma is missing after it"
    return Broken(line, column, message)


def joined(number: int, line: str, column: int) -> Broken | None:
    """Return what is wrong with two maps that a word joins: `{…} or {…}`."""
    found = _JOINED.fullmatch(line)
    if found is None:
        return None
    _, one, word, other = found.groups()
    both = (
        f"any: [{one}, {other}]" if word in ("or", "или", "||") else f"{one[1:-1]}, {other[1:-1]}"
    )
    message = "tests in one map must all hold, and `any: […]` is for or"
    edit = Edit(number, found.start(2), found.end(4), f"{{{both}}}")
    return Broken(number, column, message, f"{found[1]}: {{{both}}}", edit)


def _unclosed(stumble: Stumble, text: str, still: _Open) -> Broken:
    line, column = stumble.began
    end = len(text[: still.remark].rstrip())
    inner = max(text.rfind(one, 0, end) for one in _CLOSING)
    message = f"`{text[column - 1]}` is not closed"
    is_certain = still.brackets == "[" and text[end - 1] == "}"
    if text[end - 1] in "]}" and "," in text[inner:end] and not is_certain:
        return Broken(line, column, message)  # which of them is not closed, only the author knows
    closing = "".join(_CLOSING[one] for one in reversed(still.brackets))
    edit = Edit(line, end, end, closing)
    return Broken(line, column, message, f"{text[column - 1 : end]}{closing}", edit)


def _wrong_closing(text: str, stumble: Stumble) -> Broken | None:
    (line, column), place = stumble.began, stumble.at[1] - 1
    opened, character = text[column - 1], text[place : place + 1]
    right = _CLOSING[opened]
    if character not in ("]", "}", ")") or character == right:
        return None
    if text[place + 1 :].lstrip().startswith(right) and character in _OPENING:
        return _without_opening(text, line, place)
    is_outer = text[: column - 1].count(_OPENING.get(character, ")")) > text[: column - 1].count(
        character
    )
    edit = Edit(line, place, place if is_outer else place + 1, right)
    message = f"`{opened}` is closed by `{right}`, and here stands `{character}`"
    meant = edit.applied_to(text)[column - 1 : place + 1 if is_outer else None].rstrip()
    return Broken(line, place + 1, message, meant, edit)


def _without_opening(text: str, line: int, place: int) -> Broken:
    """Return where a bracket is missing that is closed at a place: behind the last colon."""
    opening, start = _OPENING[text[place]], text.rfind(": ", 0, place) + 2
    edit = Edit(line, start, start, opening)
    meant = f"{opening}{text[start : place + 1]}"
    return Broken(
        line, start + 1, f"`{text[place]}` closes nothing: `{opening}` is missing", meant, edit
    )


def _without_comma(text: str, stumble: Stumble) -> Broken:
    """Return the place at which a comma is missing: before the word at which the parser stopped."""
    (line, column), place = stumble.began, stumble.at[1] - 1
    if text[place : place + 1] == ":":
        word = _LAST_WORD.search(text[:place])
        place = word.start() if word else place
    before = text[:place].rstrip()
    after = re.match(r"[\w.\"'-]+|.", text[place:])
    if not after or before[-1:] in ("", ":", ",", "[", "{") or before == text[:place]:
        message = f"`{text[column - 1]}` is not closed, or a comma is missing after it"
        return Broken(line, column, message)
    sign, where = ",", f"a comma is missing before `{after[0]}`"
    if after[0] in _CLOSING and (key := _LAST_KEY.search(before)) is not None:
        sign, where = ":", f"a colon is missing after `{key[1]}`"
    edit = Edit(line, len(before.rstrip(";")), len(before), sign)
    meant = edit.applied_to(text)[column - 1 :].rstrip()
    return Broken(line, place + 1 if sign == "," else len(before) + 1, where, meant, edit)


def _still_open(text: str, start: int) -> _Open:
    opened, place = "", start
    while place < len(text):
        character = text[place]
        if character in "\"'" and quotes.begins_a_value(text[:place], len(opened)):
            place = quotes.end_of_quoted(text, place) or len(text)
            continue
        if character == "#" and text[place - 1 : place] in (" ", "\t"):
            return _Open(opened, place)
        if character in _CLOSING:
            opened += character
        elif opened and character == _CLOSING[opened[-1]]:
            opened = opened[:-1]
        place += 1
    return _Open(opened, None)


def _quoted(text: str) -> list[tuple[int, int]]:
    """Return where the texts in double quotes begin and end, as the parser reads them."""
    marks = [place for place, character in enumerate(text) if character == '"']
    return list(zip(marks[::2], marks[1::2], strict=False))
