"""Warns of texts that a rule compares as they are written, though they look like more than that."""

# ruff: noqa: RUF001  # Russian words are what is looked for
import re
from collections.abc import Collection, Iterator

from responder.rules.facts import closed_values
from responder.rules.facts.fields import Type
from responder.rules.facts.registry import Fact
from responder.rules.load.suggestions import comparisons, written_values
from responder.rules.yaml_positions import Items, Node, Scalar

_WILD = re.compile(r"([*%]?)([^*%]+)([*%]?)")
_SLASHED = re.compile(r"/(.+)/([a-z]*)")
# Words that nobody means as the text itself; `not paid` and `over budget` may be titles.
_SAID = re.compile(
    r"(?:contains|includes|(?:starts|begins|ends)[ _]with|like|(?:is[ _])?not[ _]equals?(?:[ _]to)?"
    r"|is[ _]not|matches(?=\s+[\"'])|содержит|начинается с|не равно)\s.+|(?:!=|<>|==?)\s*\S.*",
    re.IGNORECASE,
)
_EMPTY = frozenset(["empty", "is empty", "is_empty", "пусто", "не заполнено", "не заполнен"])
_FILLED = frozenset(["not empty", "not_empty", "is not empty", "не пусто", "заполнено", "filled"])
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_CODE = re.compile(r"[A-Z0-9_:|]+")


def warnings(
    operator: str, operand: Node, fact: Fact, lists: Collection[str]
) -> Iterator[tuple[Scalar, str]]:
    """Yield the values of a test that are not what they look like, and what to say of them."""
    for item in operand.items if isinstance(operand, Items) else (operand,):
        said = None
        if not isinstance(item, Scalar):
            continue
        if fact.type in (Type.NUMBER, Type.ANY):
            said = _thousands(item.text)
        if said is None and fact.type in (Type.TEXT, Type.ANY) and operator in closed_values.TESTS:
            said = warning(item.text, fact, lists)
        if said is not None:
            yield item, said


def _thousands(written: str) -> str | None:
    """Return what to say of `1.000`, which is one, and not a thousand."""
    if not _THOUSANDS.fullmatch(written):
        return None
    one, meant = written.partition(".")[0], written.replace(".", "")
    return f"`{written}` is {one}, for a point stands before the fraction: or did you mean {meant}?"


def warning(written: str, fact: Fact, lists: Collection[str]) -> str | None:
    """Return what to say of a text that a fact is compared with; None where it is nothing but that.

    `lists` are the names of the lists in the file.
    """
    pattern = _pattern(written)
    if pattern is not None:
        return f"this is compared as it is written, with its signs: write {pattern} for a pattern"
    if written in lists:
        return f"this is compared with the text `{written}`; the list is {{in_list: {written}}}"
    meant = _test_meant(written) or _several(written, fact) or _without_comma(written, fact)
    return None if meant is None else f"this is compared as it is written: write {meant}"


def _test_meant(written: str) -> str | None:
    plain = written.strip().lower()
    if plain in _EMPTY or plain in _FILLED:
        return f"{{exists: {'true' if plain in _FILLED else 'false'}}}"
    compared = comparisons.read(written) if _SAID.fullmatch(written) else None
    if compared is None:
        return None
    if compared.test == "is":
        return compared.operand
    return f"{{{compared.test}: {compared.operand}}}"


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


def _pattern(written: str) -> str | None:
    """Return the test that is meant by a text with signs of other languages: `Tender*`, `/x/i`."""
    if found := _SLASHED.fullmatch(written):
        flags = "(?i)" if "i" in found[2] else ""
        return f'{{matches: "{flags}{found[1]}"}}'
    found = _WILD.fullmatch(written)
    if found is None or not (found[1] or found[3]) or (found[3] == "%" and not found[1]):
        return None
    test = "contains" if found[1] and found[3] else "ends_with" if found[1] else "starts_with"
    return f"{{{test}: {found[2]}}}"
