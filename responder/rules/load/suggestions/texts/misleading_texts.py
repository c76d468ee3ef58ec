"""Warns of texts that a rule compares as they are written, though they look like more than that."""

# ruff: noqa: RUF001  # Russian words are what is looked for
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from responder.rules.facts import closed_values
from responder.rules.facts.fields import Type
from responder.rules.facts.registry import Fact
from responder.rules.load.suggestions import comparisons, impossible_days, written_values, yaml_text
from responder.rules.load.suggestions.texts import wildcards
from responder.rules.yaml_positions import Items, Node, Scalar

_AS_WRITTEN = "this is compared as it is written"
_TEXTS = (Type.TEXT, Type.ID, Type.ANY)
_NEGATIONS = ("is_not", "none_of")
_SLASHED = re.compile(r"/(.+)/([a-z]*)")
# Words that nobody means as the text itself; `not paid` and `over budget` may be titles.
_SAID = re.compile(
    r"(?:contains|includes|(?:starts|begins|ends)[ _]with|like|(?:is[ _])?not[ _]equals?(?:[ _]to)?"
    r"|is[ _]not|matches(?=\s+[\"'])|содержит|начинается с|не равно)\s.+|(?:!=|<>|==?)\s*\S.*",
    re.IGNORECASE,
)
_QUOTES = "\"'"
_EMPTY = frozenset(["empty", "is empty", "is_empty", "пусто", "не заполнено", "не заполнен"])
_FILLED = frozenset(
    [
        "not empty",
        "not_empty",
        "is not empty",
        "не пусто",
        "заполнено",
        "filled",
        "exists",
        "is set",
    ]
)
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_CODE = re.compile(r"[A-Z0-9_:|]+")


class Misleading(NamedTuple):
    """A value that is not what it looks like: what to say of it, and what was meant."""

    node: Scalar
    message: str
    suggestion: str | None = None


def warnings(
    operator: str, operand: Node, fact: Fact, lists: Collection[str], *, is_short: bool
) -> Iterator[Misleading]:
    """Yield the values of a test that are not what they look like.

    `lists` are the names of the lists in the file. `is_short` is true where the operand stands
    beside its fact: `deal.title: Tender`.
    """
    for item in operand.items if isinstance(operand, Items) else (operand,):
        if not isinstance(item, Scalar):
            continue
        said = None
        if fact.type in (Type.NUMBER, Type.ANY):
            said = _thousands(item)
        if said is None and fact.type in _TEXTS:
            said = _wildcard(item, operator)
        found = _SLASHED.fullmatch(item.text) if operator == "matches" else None
        if said is None and found is not None and found[2]:
            said = Misleading(item, "slashes around a pattern are a part of it", _unslashed(found))
        if said is None and fact.type in _TEXTS and operator in closed_values.TESTS:
            said = _text(item, fact, lists)
        if said is not None:
            yield said._replace(suggestion=_in_its_place(said, operator, operand, short=is_short))


def _in_its_place(said: Misleading, operator: str, operand: Node, *, short: bool) -> str | None:
    """Return what is meant as it is written at the value, or in place of the whole test."""
    meant = said.suggestion
    if meant is not None and operand is not said.node:
        return None if meant[0] == "{" else meant.strip("[]")
    if meant is None or short:
        return meant
    if meant[0] == "{":
        return meant[1:-1] if operator == "is" else None
    several = {"is": "one_of", "is_not": "none_of"}.get(operator)
    return f"{several}: {meant}" if several and meant[0] == "[" else meant


def _thousands(item: Scalar) -> Misleading | None:
    """Return what to say of `1.000`, which is one, and not a thousand."""
    if not _THOUSANDS.fullmatch(item.text):
        return None
    one, meant = item.text.partition(".")[0], item.text.replace(".", "")
    message = f"`{item.text}` is {one}, for a point stands before the fraction"
    return Misleading(item, message, meant)


def _wildcard(item: Scalar, operator: str) -> Misleading | None:
    """Return what to say of `Tender*`."""
    found = wildcards.of_test(operator, item.text)
    if found is None:
        return None
    message = wildcards.SAID.format(found.sign)
    if operator in wildcards.PARTIAL:
        return Misleading(item, message, yaml_text.as_text(found.text))
    if operator == "matches":
        return Misleading(item, message, found.pair)
    if operator != "is":
        where = "`unless`, or below `not`" if operator in _NEGATIONS else "`any`"
        message += f": write {{{found.pair}}} below {where}"
    return Misleading(item, message, f"{{{found.pair}}}")


def _unslashed(found: re.Match[str]) -> str:
    """Return the pattern that is meant by `/tender/i`."""
    return yaml_text.quoted(f"{'(?i)' if 'i' in found[2] else ''}{found[1]}")


def _text(item: Scalar, fact: Fact, lists: Collection[str]) -> Misleading | None:
    """Return what to say of a text that is more than that."""
    written = item.text
    wrong = impossible_days.of_moment(written) if fact.type is Type.ANY else None
    if wrong is not None:
        return Misleading(item, wrong.message, wrong.suggestion)
    if found := _SLASHED.fullmatch(written):
        pattern = f"{{matches: {_unslashed(found)}}}"
        return Misleading(item, f"{_AS_WRITTEN}, with its signs", pattern)
    if written in lists:
        message = f"this is compared with the text `{written}`, and not with the list"
        return Misleading(item, message, f"{{in_list: {written}}}")
    meant = _test_meant(written) or _several(written, fact) or _without_comma(written, fact)
    return None if meant is None else Misleading(item, _AS_WRITTEN, meant)


def _test_meant(written: str) -> str | None:
    plain = written.strip().lower()
    if plain in _EMPTY or plain in _FILLED:
        return f"{{exists: {'true' if plain in _FILLED else 'false'}}}"
    compared = comparisons.read(written) if _SAID.fullmatch(written) else None
    if compared is None:
        return None
    if compared.test == "is":
        return yaml_text.as_text(compared.operand.strip(_QUOTES))
    return f"{{{compared.test}: {yaml_text.as_text(compared.operand.strip(_QUOTES))}}}"


def _without_comma(written: str, fact: Fact) -> str | None:
    """Return the code before a comma: `WEB,` of `deal.source_id`."""
    plain = written.rstrip(",;")
    is_a_code = fact.path.endswith("_id") and _CODE.fullmatch(plain) is not None
    return plain if is_a_code and plain != written else None


def _several(written: str, fact: Fact) -> str | None:
    """Return the list of the codes in a text: `WEB, CALL` of `deal.source_id`."""
    if not fact.path.endswith("_id"):
        return None
    return written_values.several(written, lambda one: one if _CODE.fullmatch(one) else None)
