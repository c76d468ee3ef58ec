"""Reads comparisons that are written as people say them: `> 14d`, `more than 1000`."""

# Russian words are what is looked for
import re
from collections.abc import Sequence
from typing import NamedTuple

from responder.rules.facts.fields import Type
from responder.rules.facts.operators import OPERATORS
from responder.rules.load import plain_words
from responder.rules.load.suggestions import russian, synonyms, written_values
from responder.rules.yaml_positions import Node, Scalar

# The tests of moments for those of numbers. Over 14 days ago is longer ago; over a day is after it.
_OF_AGES = {
    **dict.fromkeys(("over", "at_least"), "older_than"),
    **dict.fromkeys(("below", "at_most"), "newer_than"),
}
_OF_DAYS = {
    **dict.fromkeys(("over", "at_least"), "newer_than"),
    **dict.fromkeys(("below", "at_most"), "older_than"),
}
_OF_LENGTHS = {"older_than": "over", "newer_than": "below"}
_LENGTH = re.compile(r"[0-9]+ ?[^\W\d_]+\b.*")
_AGES = ("older_than", "newer_than")
_MOST_WORDS = 5
_ENDS = frozenset([("from", "to"), ("min", "max"), ("start", "end"), ("от", "до"), ("von", "bis")])


class Comparison(NamedTuple):
    """A test of the language, and what stands behind it."""

    test: str
    operand: str


def read(written: str) -> Comparison | None:
    """Return the comparison that a text spells, or None."""
    signs = plain_words.compared(written)
    if signs is not None:
        return Comparison(*signs)
    words = written.split()
    for count in range(min(_MOST_WORDS, len(words) - 1), 0, -1):
        test = named(" ".join(words[:count]))
        if test is not None:
            return Comparison(test, " ".join(words[count:]))
    return None


def named(words: str) -> str | None:
    """Return the test that words, or a sign, mean: `more than`."""
    said = "_".join(words.lower().split())
    said = said.removeprefix("is_") if said.removeprefix("is_") in _KNOWN else said
    found = said if said in OPERATORS else _KNOWN.get(said) or russian.english(said, OPERATORS)
    return found if found in OPERATORS else None


# With the words that make a sentence of it: `more than` is `more_than`, `at most`, `at_most`.
_KNOWN = {
    **synonyms.OPERATORS,
    **{name: name for name in OPERATORS},
    **dict.fromkeys(("no_more_than", "not_more_than", "maximum_of"), "at_most"),
    **dict.fromkeys(("no_less_than", "not_less_than", "minimum_of"), "at_least"),
    **dict.fromkeys(("greater_than_or_equal_to", "more_than_or_equal_to"), "at_least"),
    **dict.fromkeys(("less_than_or_equal_to", "less_or_equal_to"), "at_most"),
    **dict.fromkeys(("not_equal_to", "not_equals_to"), "is_not"),
}


def as_a_test(compared: Comparison, type_: Type) -> str | None:
    """Return a comparison as a map for a fact of a type; None where it takes no such test."""
    name, operand = compared.test, compared.operand.strip("\"'")
    if type_ not in OPERATORS[name].types:
        name = fitting_test(type_, name, operand) or ""
        if not name:
            return None
    is_length = name in _AGES and _LENGTH.fullmatch(operand) is not None
    value = written_values.read(operand, Type.DURATION if is_length else type_)
    return f"{{{name}: {value or compared.operand}}}"


def fitting_test(type_: Type, name: str, operand: str) -> str | None:
    """Return the test that a fact of this type takes for one that it does not take."""
    if type_ is Type.DURATION:
        return _OF_LENGTHS.get(name)
    if type_ not in (Type.DATE, Type.DAY):
        return None
    return (_OF_AGES if _LENGTH.fullmatch(operand) else _OF_DAYS).get(name)


def span(tests: Sequence[tuple[Scalar, Node]]) -> str | None:
    """Return the test that is meant by `{from: 1, to: 5}`, `{min: 1, max: 5}`; None for others."""
    if len(tests) != 2:
        return None
    (first, low), (second, high) = tests
    if (first.text.lower(), second.text.lower()) not in _ENDS:
        return None
    ends = [end.text for end in (low, high) if isinstance(end, Scalar)]
    return f"{{between: [{', '.join(ends)}]}}" if len(ends) == 2 else None


def of_duration(written: str) -> str | None:
    """Return the test of a duration that is meant by `14d`, `> 14d` or `more than 14 days`."""
    compared = read(written)
    if compared is not None:
        return as_a_test(compared, Type.DURATION)
    length = written_values.read(written, Type.DURATION)
    return None if length is None else f"{{over: {length}}}"
