"""Recognizes mistakes that YAML's own messages do not name, by what is written.

People who write rules know `=`, `>=`, curly quotes and their keyboard's other alphabet better than
YAML's terms. Everything here works on texts alone, so that the parser of the file can ask it too.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

NO_BREAK_SPACE = "\u00a0"
# The spaces of other widths, and the characters without any, as a class of characters names them.
ODD_SPACES = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
INVISIBLE = "\u00ad\u200b-\u200f\u2060\ufeff"
ODD = re.compile(f"[{ODD_SPACES}{INVISIBLE}]")
_ODD_BUT_IN_NUMBERS = re.compile(rf"(?<!\d){ODD.pattern}|{ODD.pattern}(?!\d)")
CURLY_SAID = "curly quotes are a part of the text here: write straight ones, or none"
SIGNS = {
    **{">=": "at_least", "<=": "at_most", ">": "over", "<": "below"},
    **{"=": "is", "==": "is", "!=": "is_not", "<>": "is_not"},
}
SIGN = "|".join(sorted(map(re.escape, SIGNS), key=len, reverse=True))
_COMPARISON = re.compile(rf"({SIGN})\s*([^\s<>=].*)")
_SENTENCE = re.compile(rf"([a-z_0-9]+\.[a-z_0-9]+)\s*({SIGN})\s*(\S+|\"[^\"]*\")")
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b"
_CURLY = re.compile(f"[{_QUOTES}](.*)[{_QUOTES}]", re.DOTALL)
_CYRILLIC = "АВЕКМНОРСТУХІЅЈаеорсухіѕј"  # noqa: RUF001  # they look like the Latin letters below
_ALIKE = str.maketrans(_CYRILLIC, "ABEKMHOPCTYXISJaeopcyxisj")


class Said(NamedTuple):
    """A mistake in plain words: its column in the line (from 0), and what is probably meant.

    What is meant stands instead of all that the line has from `start` on; None is from `column` on.
    An empty text is meant where nothing should stand there.
    """

    column: int
    message: str
    suggestion: str | None = None
    start: int | None = None


def compared(written: str) -> tuple[str, str] | None:
    """Return the test and the operand of a comparison, such as `>= 50`; None if it is none."""
    found = _COMPARISON.fullmatch(written.strip())
    return (SIGNS[found[1]], found[2].strip()) if found else None


def as_a_map(written: str) -> str | None:
    """Return a comparison as a map of tests: `>= 50` is `{at_least: 50}`; None if it is none."""
    found = compared(written)
    return f"{{{found[0]}: {found[1]}}}" if found else None


def of_sentence(written: str) -> Said | None:
    """Return what is wrong with a text that stands where a map of tests is expected."""
    if found := _SENTENCE.fullmatch(written.strip()):
        test = f"{found[1]}: {{{SIGNS[found[2]]}: {found[3]}}}"
        return Said(0, "a test is a map, not an expression", f"{{{test}}}")
    if re.search(rf"\b(?:and|or|not)\b|&&|\|\||{SIGN}", written, re.IGNORECASE):
        rest = "tests in one map must all hold, and `any: […]` is for or"
        return Said(0, f"a test is a map, not an expression; {rest}")
    return None


def of_text(written: str, suggestion: str | None = None, *, is_number: bool = False) -> Said | None:
    """Return what is wrong with the letters of a text that was already found to be wrong.

    Not where that is no more than is known: `suggestion` is what was meant by the text. Where a
    number is expected (`is_number`), a word in Cyrillic letters is none in Latin ones either.
    """
    odd = _ODD_BUT_IN_NUMBERS.search(written)
    if odd is not None:
        return Said(odd.start(), odd_said(odd[0]))
    if (meant := without_curly_quotes(written)) is not None:
        return Said(0, CURLY_SAID, meant)
    latin = written.translate(_ALIKE)
    if latin == written or not latin.isascii() or (is_number and latin.isalpha()):
        return None
    if suggestion is not None and suggestion != latin and not re.search("[A-Za-z]", written):
        return None  # it is a word of another language
    letter = next(one for one in written if not one.isascii())
    message = f"`{written}` has the Cyrillic letter `{letter}` where a Latin one is meant"
    return Said(0, message, latin)


def odd_said(character: str) -> str:
    """Return what is wrong with a space that is none, or a character that nobody sees."""
    if character == NO_BREAK_SPACE:
        return "a no-break space (U+00A0) stands here: write an ordinary one"
    code = f"(U+{ord(character):04X})"
    if re.fullmatch(f"[{ODD_SPACES}]", character):
        return f"a space of another width {code} stands here: write an ordinary one"
    return f"an invisible character {code} stands here: delete it"


def without_curly_quotes(written: str) -> str | None:
    """Return a text without the curly quotes around it; None where there are none."""
    found = _CURLY.fullmatch(written)
    return found[1] if found else None


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
