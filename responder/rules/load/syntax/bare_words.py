"""Reads words that stand in a map in braces without a colon: `{older_than 2d}`, `{one_of: 1, 2}`.

YAML takes them for keys without values, which no map of a rules file has.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from responder.rules.load import plain_words
from responder.rules.load.suggestions import written_values, yaml_text
from responder.rules.load.syntax import key_words
from responder.rules.yaml_positions import NUMBER, TRUTHS, Items, Kind, Mistakes, Node, Scalar

Pair = tuple[Scalar, Node]
# Names of keys are in small letters; what is none is one more value: `{is: F, S}`.
_A_KEY = re.compile(r"[a-z_].*")
_OF_SEVERAL = {"is": "one_of", "is_not": "none_of"}
_OF_A_TEXT = frozenset({"contains", "starts_with", "ends_with", "matches"})


def mended(pairs: Sequence[Pair], mistakes: Mistakes) -> Iterator[Pair]:
    """Yield the pairs of a map in braces as they were meant, and record what is wrong with them.

    Older versions loaded rules whose tests have such words, and those are loaded still.
    """
    if mistakes.forgives_new:
        yield from pairs
        return
    if all(_is_bare(*pair) and " " not in pair[0].text for pair in pairs):
        yield from pairs  # `{F, S}` for `[F, S]`
        return
    rest = list(pairs)
    while rest:
        key, value = rest.pop(0)
        if _is_bare(key, value) and " " in key.text:
            yield _with_a_colon(key, mistakes)
            continue
        more: list[Scalar] = []
        while isinstance(value, Scalar) and rest and _is_a_value(*rest[0]):
            more.append(rest.pop(0)[0])
        if more and isinstance(value, Scalar):
            yield key, _with_more(key.text, value, more, mistakes)
        else:
            yield key, value


def _is_bare(key: Scalar, value: Node) -> bool:
    """Return whether a key has neither a colon nor a value, nor quotes."""
    if not isinstance(value, Scalar) or value.kind != "null" or value.text:
        return False
    end = key.column + len(key.text)
    return (value.line, value.column) == (key.line, end) and key.kind != "broken"


def _is_a_value(key: Scalar, value: Node) -> bool:
    return _is_bare(key, value) and not _A_KEY.match(key.text)


def _with_a_colon(key: Scalar, mistakes: Mistakes) -> Pair:
    """Return the pair that is meant by `older_than 2d`."""
    first, _, rest = key.text.partition(" ")
    rest = rest.lstrip("= ").strip()
    if not key_words.is_a_name(first):
        return key, replace(key, text="", kind="null")
    column = key.column + len(first)
    message = f"a colon is missing after `{first}`"
    mistakes.at(key.line, column, message, f"{first}: {rest}", new=True)
    start = key.column + len(key.text) - len(rest)
    value = replace(key, text=rest, column=start, length=len(rest), kind=_kind(rest))
    return replace(key, text=first, length=len(first)), value


def _with_more(test: str, value: Scalar, more: Sequence[Scalar], mistakes: Mistakes) -> Node:
    """Return what is meant by a value behind which others stand: a text, a length, or several."""
    last = more[-1]
    length = last.column + len(last.text) - value.column if last.line == value.line else 1
    written = ", ".join(one.text for one in (value, *more))
    if test in _OF_A_TEXT:
        meant = yaml_text.quoted(plain_words.without_curly_quotes(written) or written)
        message = "a text with a comma in it stands in quotes"
        kind: Kind = "text"
    elif (duration := written_values.duration(written.replace(", ", ","))) is not None:
        meant, kind = duration, "text"
        message = "a duration is a whole number and its unit"
    else:
        return _several(test, value, more, mistakes)
    mistakes.at(value.line, value.column, message, meant, length, new=True)
    return replace(value, text=meant.strip("\"'"), kind=kind, length=length)


def _several(test: str, value: Scalar, more: Sequence[Scalar], mistakes: Mistakes) -> Node:
    """Return the number in `1000,50`, or the list of the values in `1, 2`."""
    written = ",".join(one.text for one in (value, *more))
    is_close = more[-1].line == value.line
    is_close &= more[-1].column + len(more[-1].text) == value.column + len(written)
    number = written_values.number(written) if is_close else None
    if number is not None and value.kind == "number" and all(one.text.isdigit() for one in more):
        mistakes.at(
            value.line,
            value.column,
            f"`{written}` is not a number: it has a point before its fraction, and no other sign",
            number,
            len(written),
            new=True,
        )
        return replace(value, text=number, kind="number", length=len(written))
    meant = ", ".join(one.text for one in (value, *more))
    message, several = "several values stand in square brackets", _OF_SEVERAL.get(test)
    if several is not None:
        meant = f"{several}: [{meant}]"
        mistakes.at(value.line, value.column, message, meant, value.length, new=True)
        return replace(value, kind="broken")
    mistakes.at(value.line, value.column, message, f"[{meant}]", value.length, new=True)
    kinds = (value, *(replace(one, kind=_kind(one.text)) for one in more))
    return Items(
        items=kinds, line=value.line, column=value.column, length=1, last_line=more[-1].last_line
    )


def _kind(text: str) -> Kind:
    if text in TRUTHS:
        return "truth"
    return "number" if NUMBER.fullmatch(text) else "text"
