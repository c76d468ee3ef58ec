"""Finds the line that keeps a file from being YAML, and what its author has to type there.

The parser of YAML stumbles over what follows a mistake, often lines below it: a text without its
closing quote runs to the next quote of the file. So each mistake that people make is looked for by
its own marks, in the lines above the place where the parser stopped. Where it is certain what was
meant, a `Broken` brings the edit that mends it, so that the rest of the file is read, too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from responder.rules.load.syntax import (
    brackets,
    key_words,
    line_levels,
    line_signs,
    misindented_lines,
    quotes,
)
from responder.rules.load.syntax.edits import Broken, Edit, Stumble, replacing
from responder.rules.load.syntax.line_levels import Level, indent_of

_NO_COLON = "could not find expected ':'"
_NO_DASH = "'-' indicator"
_NO_KEY = "expected key"
_SECOND_COLON = "mapping values"
_DASH_HERE = "block sequence entries"
_CANNOT_BEGIN = "cannot start any token"
_NO_END = "<document start>"
_TAB = "tab character"
_WORD = re.compile(r"(\s*(?:- +)*)([^\s:]+)(?:\s+(.*))?")
_JOINED = re.compile(r"(\s*(?:- +)*)([\w.]+)\s*(;|,|->|=>|→|\u2013|\u2014|-|:=)\s+(\S.*)")
_BEFORE_BRACKETS = re.compile(r"(\s*(?:- +)*)([\w.]+) +([\[{].*)")
_VALUE_OF_A_KEY = re.compile(r"\s*(?:- +)*[\w.]+:\s+.*")
_DASHES = re.compile(r"\s*(?:- +)*")
_EQUALS = re.compile(r"^(?:is|equals|=+)\s+(?=\S)")
_HAS_A_COLON = re.compile(r":(?:\s|$)")
_PLAIN_TEXT = re.compile(r"\s*(?:- +)*[\w.]+:\s+[^\s\"'{\[|>&*!].*")
_NAME_ALONE = re.compile(r"(\s*- +)([^:#\s{\[\"'][^:#]*)")
_FIRST_KEYS = {"rules": "id", "tests": "name", "workflows": "id"}
_WITHOUT_DASHES = ("if", "unless", "not")
_OF_ITEMS = ("rules", "tests", "workflows")
_OF_MAPS = ("any", "all")
_OF_DASHES = (*_OF_ITEMS, *_OF_MAPS)


class _Lines(NamedTuple):
    """The lines of a file, and what the parser stumbled over at line `number` (from 1)."""

    all: Sequence[str]
    stumble: Stumble

    @property
    def number(self) -> int:
        return self.stumble.at[0]

    def line(self, number: int) -> str:
        return self.all[number - 1] if 0 < number <= len(self.all) else ""

    def above(self, number: int) -> int:
        """Return the number of the nearest line above that is not blank; 0 where there is none."""
        above = range(number - 1, 0, -1)
        return next((one for one in above if self.line(one).strip()), 0)

    def stumbled_over(self, *problems: str) -> bool:
        return any(problem in self.stumble.problem for problem in problems)


def find(stumble: Stumble, lines: Sequence[str]) -> tuple[Broken, ...]:
    """Return the mistakes that made the parser of YAML stumble, in plain words; at least one."""
    file = _Lines(lines, stumble)
    tabs = tuple(_tabs(file))
    if tabs:
        return tabs
    found = next((one for one in (look(file) for look in _LOOKS) if one is not None), None)
    return (found or _unclear(file),)


def _tabs(file: _Lines) -> Iterator[Broken]:
    """Yield the lines that are indented with tabs, if one of them is what the parser dislikes."""
    line, column = file.stumble.at
    if not file.stumbled_over(_CANNOT_BEGIN, _TAB) or "\t" not in file.line(line)[: column + 1]:
        return
    mended = list(file.all)
    for number, text in enumerate(file.all, start=1):
        spaces = len(text) - len(text.lstrip(" \t"))
        if "\t" in text[:spaces] and text.strip():
            indent = misindented_lines.as_above(mended, number, text.strip())
            edit = Edit(number, 0, spaces, " " * indent)
            mended[number - 1] = edit.applied_to(text)
            column = text.index("\t") + 1
            yield Broken(
                number, column, "a line is indented with spaces, never with tabs", edit=edit
            )


def _sentence(file: _Lines) -> Broken | None:
    """Find a sentence whose first sign means something else to YAML."""
    for number in (file.number, file.stumble.began[0], file.above(file.number)):
        found = quotes.around_text(number, file.line(number))
        if found is not None:
            return found
    return None


def _quote(file: _Lines) -> Broken | None:
    return quotes.unclosed(file.all)


def _unquoted(file: _Lines) -> Broken | None:
    """Find a text in braces that needs quotes: `{matches: ^Audit [0-9]+}`."""
    for number in (file.number, file.stumble.began[0]):
        found = quotes.missing(number, file.line(number))
        if found is not None:
            return found
    return None


def _signs(file: _Lines) -> Broken | None:
    """Find the line whose signs are wrong: it is often above the one where the parser stopped."""
    at, began = file.number, file.stumble.began[0]
    order = (began, at) if file.stumbled_over(_NO_COLON) else (at, began, at - 1)
    for number in order:
        said = line_signs.of_line(file.line(number))
        if said is not None:
            edit = None
            if said.suggestion is not None and "\n" not in said.suggestion:
                start = said.column if said.start is None else said.start
                edit = replacing(number, file.line(number), start, said.suggestion)
            meant = said.suggestion or None
            return Broken(number, said.column + 1, said.message, meant, edit)
    return None


def _joined(file: _Lines) -> Broken | None:
    """Find a key that is joined to its value by another sign than a colon."""
    for number in (file.stumble.began[0], file.number, file.above(file.number)):
        found = _JOINED.fullmatch(file.line(number))
        if found is not None and key_words.is_a_key(found[2]):
            message = f"a key and its value are joined by a colon, not by `{found[3]}`"
            meant, start = f"{found[2]}: {found[4]}", len(found[1])
            edit = replacing(number, file.line(number), start, meant)
            return Broken(number, found.start(3) + 1, message, meant, edit)
    return None


def _colon(file: _Lines) -> Broken | None:
    """Find a key without its colon: `then kill`, or `if` alone in its line."""
    number = file.number
    if file.stumbled_over(_NO_COLON):
        number = file.stumble.began[0]
    elif file.stumbled_over(_SECOND_COLON):
        number = file.above(number)
    else:
        return None
    line = file.line(number)
    found = _WORD.fullmatch(line)
    if found is None or _HAS_A_COLON.search(line) or not _lacks_its_colon(file, number, found):
        return None
    end, rest = found.end(2), found[3] or ""
    value = _EQUALS.sub("", rest)
    meant = f"{found[2]}: {value}" if value else f"{found[2]}:"
    edit = Edit(number, end, end if value == rest else found.start(3) + len(rest) - len(value), ":")
    if value != rest:
        edit = edit._replace(text=": ")
    return Broken(number, end + 1, f"a colon is missing after `{found[2]}`", meant, edit)


def _colon_before_brackets(file: _Lines) -> Broken | None:
    """Find a key without its colon before a map or a list in brackets: `facts {deal: …}`."""
    for number in (file.number, file.stumble.began[0], file.above(file.number)):
        found = _BEFORE_BRACKETS.fullmatch(file.line(number))
        is_closed = found is not None and found[3].rstrip().endswith(("]", "}"))
        if found is not None and (is_closed or key_words.is_a_key(found[2])):
            end = found.end(2)
            message, meant = f"a colon is missing after `{found[2]}`", f"{found[2]}: {found[3]}"
            return Broken(number, end + 1, message, meant, Edit(number, end, end, ":"))
    return None


def _lacks_its_colon(file: _Lines, number: int, found: re.Match[str]) -> bool:
    """Return whether the first word of a line is a key, or stands where only a key can."""
    word, rest = found[2], found[3] or ""
    if key_words.is_a_key(word):
        return True
    below = next((line for line in file.all[number:] if line.strip()), "")
    opens = not rest and indent_of(below) > indent_of(file.line(number))
    return key_words.is_a_name(word) and (opens or rest.startswith(("[", "{", '"', "'")))


def _first_without_dash(file: _Lines) -> Broken | None:
    """Find the first line of a rule or a test that lacks its dash, where the others follow it."""
    if not file.stumbled_over(_SECOND_COLON, _NO_KEY):
        return None
    levels = line_levels.open_above(file.all, file.number)
    level = levels[-1] if levels else None
    is_an_item = level is not None and level.below in _OF_ITEMS and not level.is_list
    if not level or not is_an_item or any(one.is_list for one in levels) or len(level.keys) > 1:
        return None
    return _lacks_its_dash(file, file.above(file.number), level)


def _lacks_its_dash(file: _Lines, number: int, level: Level, instead: int = 0) -> Broken:
    """Return what is wrong with a line that a dash should begin, `instead` of so many spaces."""
    content, start = file.line(number).strip(), level.column - instead
    message = f"each item of `{level.below}` begins with a dash, and this one has none"
    edit = Edit(number, start, level.column, "- ")
    return Broken(number, level.column + 1, message, f"- {content}", edit)


def _first_key(file: _Lines) -> Broken | None:
    """Find an item that begins with its name alone, above its keys: `- lost-deal`."""
    number = file.above(file.number)
    found = _NAME_ALONE.fullmatch(file.line(number))
    if found is None or not file.stumbled_over(_SECOND_COLON):
        return None
    indent = indent_of(file.line(number))
    above = (line for line in reversed(file.all[: number - 1]) if line.strip())
    below = next((line for line in above if indent_of(line) < indent or line[:1] != " "), "")
    below = below.strip().removeprefix("- ").removesuffix(":")
    if below not in _FIRST_KEYS or found[2].startswith(f"{_FIRST_KEYS[below]} "):
        return None
    key, start = _FIRST_KEYS[below], found.start(2)
    message = f"each item of `{below}` begins with `- {key}:`"
    meant = f"- {key}: {found[2]}"
    return Broken(number, start + 1, message, meant, Edit(number, start, start, f"{key}: "))


def _dash(file: _Lines) -> Broken | None:
    """Find an item of a list that lacks its dash, or a test that has one."""
    if not file.stumbled_over(_NO_COLON, _NO_DASH, _NO_KEY):
        return None
    number = file.stumble.began[0] if file.stumbled_over(_NO_COLON) else file.number
    line = file.line(number)
    content, indent = line.strip(), indent_of(line)
    levels = line_levels.open_above(file.all, number)
    if content.startswith("- "):
        return _at_a_dash(file, number, levels)
    items = next((one for one in levels if one.column == indent and one.is_list), None)
    if items is None or not content:
        return None
    if items.below in _WITHOUT_DASHES:
        first = _first_dash(file, number, indent)
        return _dash_too_much(first, file.line(first), items.below or "")
    return _without_dash(number, line) if _is_an_item(content, items) else None


def _at_a_dash(file: _Lines, number: int, levels: Sequence[Level]) -> Broken | None:
    """Find what is wrong where a dash is read that nothing above it fits to."""
    indent, above = indent_of(file.line(number)), file.above(number)
    if file.line(above).lstrip().startswith("{"):
        return _without_dash(above, file.line(above))
    maps = [level for level in levels if not level.is_list]
    spaces = next(
        (one for one in maps if one.column == indent + 2 and one.below in _OF_DASHES), None
    )
    if spaces is not None:
        return _lacks_its_dash(file, spaces.line, spaces, instead=2)
    here = next((one for one in maps if one.column == indent), None)
    if here is None:
        return None
    if here.below in _OF_MAPS and len(here.keys) == 1:
        has_one = file.line(here.line).lstrip().startswith("-")
        return None if has_one else _lacks_its_dash(file, above, here)
    is_a_test = here.below in _WITHOUT_DASHES
    return _dash_too_much(number, file.line(number), here.below or "") if is_a_test else None


def _without_dash(number: int, line: str) -> Broken:
    indent = indent_of(line)
    message = "each item of this list begins with a dash, and this line has none"
    edit = Edit(number, indent, indent, "- ")
    return Broken(number, indent + 1, message, f"- {line.strip()}", edit)


def _is_an_item(content: str, items: Level) -> bool:
    """Return whether a line without a dash is an item of a list, and no part of the item above."""
    key = misindented_lines.first_key(content)
    if key is None:
        return content[0] in "{[\"'" or "" in items.keys
    return key in items.keys or (items.below in _OF_MAPS and key_words.is_a_test(key))


def _dash_too_much(number: int, line: str, below: str) -> Broken:
    dash = line.index("-")
    edit = replacing(number, line, dash, line[dash + 1 :].lstrip())
    message = f"the tests of `{below}` stand below each other, without dashes or brackets"
    return Broken(number, dash + 1, message, line[dash + 1 :].strip(), edit)


def _first_dash(file: _Lines, number: int, indent: int) -> int:
    """Return the number of the line with the first dash of a list that begins above a line."""
    first = number
    for above in range(number - 1, 0, -1):
        line = file.line(above)
        if not line.strip() or indent_of(line) > indent:
            continue
        if indent_of(line) < indent or not line.lstrip().startswith("-"):
            break
        first = above
    return first


def _indentation(file: _Lines) -> Broken | None:
    """Find a line that is indented otherwise than the lines that it belongs with."""
    if not file.stumbled_over(_SECOND_COLON, _NO_DASH, _NO_KEY, _DASH_HERE, _NO_END, _NO_COLON):
        return None
    number = file.stumble.began[0] if file.stumbled_over(_NO_COLON) else file.number
    if file.stumbled_over(_NO_COLON):
        return _continued(file, number)
    begins_at = indent_of(file.line(number)) + 1
    if not file.stumbled_over(_SECOND_COLON) and file.stumble.at[1] != begins_at:
        return None  # the parser stopped behind what the line begins with
    return misindented_lines.find(file.all, number)


def _continued(file: _Lines, number: int) -> Broken | None:
    """Find a text that goes on in a second line, which is not indented further than its key."""
    above = file.above(number)
    if not _PLAIN_TEXT.fullmatch(file.line(above)):
        return None
    line, indent = file.line(number), indent_of(file.line(number))
    target = indent_of(file.line(above)[: _end_of_dashes(file.line(above))]) + 2
    message = "a text that goes on in a second line is indented there further than its key"
    edit = Edit(number, 0, indent, " " * max(target, indent + 2))
    return Broken(number, len(line) - len(line.lstrip()) + 1, message, edit=edit)


def _end_of_dashes(line: str) -> int:
    found = _DASHES.match(line)
    return found.end() if found else 0


def _behind(file: _Lines) -> Broken | None:
    """Find what stands behind a value in quotes or brackets: `{a: 1}}`, `"33"x`."""
    line, column = file.stumble.at
    text = file.line(line)
    before, rest = text[: column - 1], text[column - 1 :].rstrip()
    if not file.stumbled_over(_NO_KEY, _NO_DASH, _NO_END) or not before.strip() or not rest:
        return None
    said = f"`{rest}` stands behind the end of the value"
    if rest[0] in "]})":
        said = f"`{rest[0]}` closes nothing here"
    elif before.rstrip()[-1] not in "\"']}":
        return None
    joined = brackets.joined(line, text, column)
    if joined is not None:
        return joined
    found = _VALUE_OF_A_KEY.fullmatch(before.rstrip())
    meant = None if found is None else before.strip().removeprefix("- ")
    return Broken(line, column, said, meant, Edit(line, len(before), len(text), ""))


def _bracket(file: _Lines) -> Broken | None:
    if not file.stumbled_over("',' or"):
        return None
    return brackets.broken(file.stumble, file.all)


def _first_character(file: _Lines) -> Broken | None:
    """Find a value whose first character means something else to YAML: `@`, `%`, a backquote."""
    line, column = file.stumble.at
    if "escape character" in file.stumble.problem:
        return quotes.backslash(line, file.line(line), column)
    character = file.line(line)[column - 1 : column]
    if not file.stumbled_over(_CANNOT_BEGIN) or not character.strip():
        return None
    message = f"a text that begins with `{character}` stands in quotes"
    text, end = file.line(line), len(file.line(line).rstrip())
    rest = text[column - 1 : end]
    if not _VALUE_OF_A_KEY.fullmatch(text) or set("\"'{[]}#") & set(text):
        return Broken(line, column, message)
    return Broken(line, column, message, f'"{rest}"', Edit(line, column - 1, end, f'"{rest}"'))


def _unclear(file: _Lines) -> Broken:
    line, column = file.stumble.at
    said = " ".join(part for part in (file.stumble.problem, file.stumble.context) if part)
    return Broken(line, column, f"this is not YAML: {said}")


# in this order: what has a mark of its own comes before what only the parser's words tell
_LOOKS: tuple[Callable[[_Lines], Broken | None], ...] = (
    _sentence,
    _quote,
    _unquoted,
    _signs,
    _first_key,
    _joined,
    _colon_before_brackets,
    _colon,
    _first_without_dash,
    _dash,
    _indentation,
    _behind,
    _bracket,
    _first_character,
)
