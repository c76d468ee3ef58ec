"""Recognizes mistakes that YAML's own messages do not name, by what is written in the line.

People who write rules know `=`, `>=`, curly quotes and their keyboard's other alphabet better than
YAML's terms. Everything here works on texts alone, so that the parser of the file can ask it too.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

NO_BREAK_SPACE = "\u00a0"
SPACE_SAID = "a no-break space (U+00A0) stands here: write an ordinary one"
CURLY_SAID = "curly quotes are a part of the text here: write straight ones, or none"
_SIGNS = {
    **{">=": "at_least", "<=": "at_most", ">": "over", "<": "below"},
    **{"=": "is", "==": "is", "!=": "is_not", "<>": "is_not"},
}
_SIGN = "|".join(sorted(map(re.escape, _SIGNS), key=len, reverse=True))
_COMPARISON = re.compile(rf"({_SIGN})\s*([^\s<>=].*)")
_SENTENCE = re.compile(rf"([a-z_0-9]+\.[a-z_0-9]+)\s*({_SIGN})\s*(\S+|\"[^\"]*\")")
_KEY_IS = re.compile(r"(\s*(?:- )?)([\w.]+)\s*=\s*(.+)")
_KEY_COMPARED = re.compile(r"(\s*(?:- )?[\w.]+:\s*)((?:>=|<=|>|<)\s*[^\s<>=#|&].*)")
_KEY_TEXT = re.compile(r"(\s*(?:- )?)([\w.]+):\s+([^\"'{\[&*!|>].*:\s.*)")
_LONG_DASH = re.compile(r"(\s*)[\u2010-\u2015\u2212]\s+(\S.*)")
WIDE_COLON = "\uff1a"
_NO_SPACE = re.compile(r"(\s*(?:- )?)([a-z_]+(?:\.[a-z_0-9]+)*):([^\s:].*)")
_COMMA = re.compile(r"(\s*(?:- )?[\w.]+:\s+(?:\"[^\"]*\"|'[^']*'|[^,{\[]*|.*[\]}])),\s*")
_QUOTES_IN_QUOTES = re.compile(r"(\s*(?:- )?)([\w.]+):\s+\"([^\"]*\"[^\"]+\"[^\"]*)\"\s*")
_QUOTE_IN_QUOTES = re.compile(r"(\s*(?:- )?)([\w.]+):\s+'([^']*'[^']*)'\s*")
_STAR = re.compile(r"(\s*(?:- )?[\w.]+:\s+)\*\s*")
_NO_BREAK = re.compile(r"\s*(?=\u00a0)|(?: *- )* *[\w.]+(?=\u00a0+:)|(?: *- )* *[\w.]+:(?=\u00a0)")
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b"
_CURLY = re.compile(f"[{_QUOTES}](.*)[{_QUOTES}]", re.DOTALL)
_CYRILLIC = "АВЕКМНОРСТУХІЅЈаеорсухіѕј"  # noqa: RUF001  # they look like the Latin letters below
_ALIKE = str.maketrans(_CYRILLIC, "ABEKMHOPCTYXISJaeopcyxisj")


class Said(NamedTuple):
    """A mistake in plain words: its column in the line (from 0), and what is probably meant."""

    column: int
    message: str
    suggestion: str | None = None


def of_line(line: str) -> Said | None:
    """Return what is wrong with a line that YAML cannot read, where that is plain."""
    if found := _KEY_COMPARED.fullmatch(line):
        return Said(len(found[1]), "a comparison is a map", as_a_map(found[2]))
    if found := _KEY_IS.fullmatch(line):
        message = "a key and its value are joined by a colon, not by `=`"
        return Said(len(found[1]), message, f"{found[2]}: {found[3].strip()}")
    if found := _SENTENCE.fullmatch(line.strip()):
        test = f"{found[1]}: {{{_SIGNS[found[2]]}: {found[3]}}}"
        column = len(line) - len(line.lstrip())
        return Said(column, "a test is a map, not an expression", test)
    if found := _KEY_TEXT.fullmatch(line):
        return _colon_in_a_text(found[1], found[2], found[3].strip())
    return _of_signs(line)


def _of_signs(line: str) -> Said | None:
    """Return what is wrong with the dashes, colons, commas and quotes of a line."""
    if found := _LONG_DASH.fullmatch(line):
        return Said(
            len(found[1]),
            "a list's item begins with `-`, and this is a longer dash",
            f"- {found[2]}",
        )
    if WIDE_COLON in line:
        message = "a full-width colon (U+FF1A) stands here: write an ordinary one"
        return Said(line.index(WIDE_COLON), message, line.strip().replace(WIDE_COLON, ":"))
    if found := _NO_SPACE.fullmatch(line):
        message = "a space stands after the colon of a key"
        return Said(len(found[1]), message, f"{found[2]}: {found[3]}")
    if found := _COMMA.fullmatch(line):
        return Said(len(found[1]), "no comma stands at the end of a line", found[1].strip())
    if found := _QUOTES_IN_QUOTES.fullmatch(line):
        message = "double quotes stand within double quotes: write the outer ones as '…'"
        whole = f"{found[2]}: '{found[3]}'" if "'" not in found[3] else None
        return Said(len(found[1]), message, whole)
    if found := _QUOTE_IN_QUOTES.fullmatch(line):
        message = "a single quote stands within single quotes: write the outer ones as double"
        whole = f'{found[2]}: "{found[3]}"' if '"' not in found[3] else None
        return Said(len(found[1]), message, whole)
    if found := _STAR.fullmatch(line):
        message = "`*` means nothing here: without the test, every value is meant"
        return Said(len(found[1]), message)
    return None


def _colon_in_a_text(indent: str, key: str, text: str) -> Said:
    first = re.split(r":\s", text)[0]
    column = len(indent) + len(key) + 2 + len(first)
    if re.fullmatch(r"[a-z_0-9]+(?:\.[a-z_0-9]+)?", first):
        return Said(column, "a map within a line stands in braces", f"{key}: {{{text}}}")
    meant = None if '"' in text else f'{key}: "{text}"'
    return Said(column, "a text with `: ` in it stands in quotes", meant)


class Parser(NamedTuple):
    """What the parser of YAML says: a problem, and what it was amid, which began at a place."""

    problem: str
    context: str
    began: tuple[int, int]


class Placed(NamedTuple):
    """A mistake at a line and column, from 1."""

    place: tuple[int, int]
    message: str


def of_parser(said: Parser, lines: Sequence[str], at: tuple[int, int]) -> Placed:
    """Return what the parser says, in plain words where it is plain what is wrong."""
    line, column = at
    text = lines[line - 1] if line <= len(lines) else ""
    if "',' or" in said.problem:
        opened = lines[said.began[0] - 1][said.began[1] - 1]
        return Placed(said.began, f"`{opened}` is not closed, or a comma is missing after it")
    if "escape character" in said.problem:
        message = "a backslash within double quotes means something else: write single quotes"
        return Placed(at, message)
    if "'-' indicator" in said.problem:
        return Placed(at, "each item of this list begins with `-`, and this line does not")
    above = next((one for one in reversed(lines[: line - 1]) if one.strip()), "")
    if "mapping values" in said.problem and _indent(text) > _indent(above):
        message = "this line is indented further than the one above, which has its value already"
        return Placed((line, _indent(text) + 1), message)
    message = " ".join(part for part in (said.problem, said.context) if part)
    if "\t" in text[:column]:
        message += "; a line is indented with spaces, never with tabs"
    elif "expected key" in said.problem and 0 < _indent(text) < _indent(above):
        message += "; this line is indented unlike those that it belongs to"
    return Placed(at, f"this is not YAML: {message}")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def as_a_map(written: str) -> str | None:
    """Return a comparison as a map of tests: `>= 50` is `{at_least: 50}`; None if it is none."""
    found = _COMPARISON.fullmatch(written.strip())
    return f"{{{_SIGNS[found[1]]}: {found[2].strip()}}}" if found else None


def of_sentence(written: str) -> Said | None:
    """Return what is wrong with a text that stands where a map of tests is expected."""
    if found := _SENTENCE.fullmatch(written.strip()):
        test = f"{found[1]}: {{{_SIGNS[found[2]]}: {found[3]}}}"
        return Said(0, "a test is a map, not an expression", f"{{{test}}}")
    if re.search(rf"\b(?:and|or|not)\b|&&|\|\||{_SIGN}", written, re.IGNORECASE):
        rest = "tests in one map must all hold, and `any: […]` is for or"
        return Said(0, f"a test is a map, not an expression; {rest}")
    return None


def of_text(written: str) -> Said | None:
    """Return what is wrong with the letters of a text that was already found to be wrong."""
    if NO_BREAK_SPACE in written:
        return Said(written.index(NO_BREAK_SPACE), SPACE_SAID)
    if (meant := without_curly_quotes(written)) is not None:
        return Said(0, CURLY_SAID, meant)
    latin = written.translate(_ALIKE)
    if latin == written or not latin.isascii():
        return None
    letter = next(one for one in written if not one.isascii())
    message = f"`{written}` has the Cyrillic letter `{letter}` where a Latin one is meant"
    return Said(0, message, latin)


def without_curly_quotes(written: str) -> str | None:
    """Return a text without the curly quotes around it; None where there are none."""
    found = _CURLY.fullmatch(written)
    return found[1] if found else None


def no_break_space_in(line: str) -> int | None:
    """Return the column (from 0) of a no-break space that stands where YAML wants a space."""
    found = _NO_BREAK.match(line)
    return found.end() if found else None


def is_utf_16(data: bytes) -> bool:
    """Return whether a file is written in UTF-16, as old editors save it."""
    return data[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(data) > 3 and data[:4:2].count(0) == 2)


def second_item(keys: Sequence[str]) -> int | None:
    """Return the place of the key at which a second rule or test begins, for it lacks its dash.

    There are other keys twice then; one key that is twice is just that.
    """
    twice = {key for key in keys if keys.count(key) > 1}
    first = next((key for key in keys if key in twice and key in ("id", "name")), None)
    return keys.index(first, keys.index(first) + 1) if first and len(twice) > 1 else None


def without_dash(key: str, value: str) -> Said:
    """Return what is wrong with the first key of a rule or a test that lacks its dash."""
    what = "rule" if key == "id" else "test"
    message = f"a {what} begins with a dash, and this second `{key}` has none"
    return Said(0, message, f"- {key}: {value}")
