"""Reads the signs that stand for other characters elsewhere, `%x%` and `x*`, and here for none."""

import re
from typing import NamedTuple

from responder.rules.load.suggestions import yaml_text

SAID = "`{}` stands for no other characters here"
_SIGNS = "*%"
_ENDS = re.compile(r"([*%]*)([^*%]+)([*%]*)")
_WORDS = re.compile(r"[\w \-*%]+")
_WHOLE = ("is", "is_not", "one_of", "none_of")
PARTIAL = ("contains", "starts_with", "ends_with")


class Wildcard(NamedTuple):
    """A text with such signs: the sign, the test that they mean, and the text that is left."""

    sign: str
    test: str
    text: str

    @property
    def pair(self) -> str:
        """Return the test and its operand as a rule writes them."""
        return f"{self.test}: {yaml_text.as_text(self.text)}"


def read(written: str) -> Wildcard | None:
    """Return what a text with such signs at its ends means; None where it has none.

    A percent sign alone behind a number is one: `50%`.
    """
    found = _ENDS.fullmatch(written.strip())
    if ".*" in written:
        return None  # it is a pattern
    if found is None or not (found[1] or found[3]):
        return _within(written)
    if not found[1] and found[3] == "%" and found[2][-1:] in "0123456789 ":
        return None
    test = "contains" if found[1] and found[3] else "ends_with" if found[1] else "starts_with"
    return Wildcard((found[1] or found[3])[0], test, found[2])


def _within(written: str) -> Wildcard | None:
    """Return the pattern that is meant by `Ten*der`."""
    inner = written.strip("".join(_SIGNS))
    if not _WORDS.fullmatch(written) or "*" not in inner:
        return None
    start = "" if written[0] in _SIGNS else "^"
    end = "" if written[-1] in _SIGNS else "$"
    return Wildcard("*", "matches", f"{start}{inner.replace('*', '.*').replace('%', '.*')}{end}")


def of_test(operator: str, written: str) -> Wildcard | None:
    """Return what the operand of a test means by such signs; None where they are themselves.

    In a pattern (`matches`) other signs stand beside them, and a point before each star.
    """
    found = read(written)
    if found is None or operator not in (*_WHOLE, *PARTIAL, "matches"):
        return None
    is_a_pattern = operator == "matches" and not _WORDS.fullmatch(written)
    return None if is_a_pattern or (operator not in _WHOLE and found.test == "matches") else found
