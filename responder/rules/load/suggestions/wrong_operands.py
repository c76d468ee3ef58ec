"""Says what is wrong with the operand of a test, and which test was meant."""

import re
from typing import NamedTuple

from responder.rules.facts import registry
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import MisfitError
from responder.rules.facts.registry import Fact
from responder.rules.load import plain_words
from responder.rules.load.suggestions import written_values
from responder.rules.load.suggestions.synonyms import TRUTHS
from responder.rules.yaml_positions import Items, Node, Scalar

_TEMPLATES = ("workflow.template_id", "template.id")
_OF_SEVERAL = {"is": "one_of", "in_list": "one_of", "is_not": "none_of", "not_in_list": "none_of"}
_AGES = ("older_than", "newer_than")
# The tests of moments for those of numbers. Over 14 days ago is longer ago; over a day is after it.
_OF_AGES = {"over": "older_than", "at_least": "older_than", "below": "newer_than"}
_OF_DAYS = {"over": "newer_than", "at_least": "newer_than", "below": "older_than"}
_OF_LENGTHS = {"older_than": "over", "newer_than": "below"}
_LENGTH = re.compile(r"[0-9]+ ?[a-z]+\b.*", re.IGNORECASE)
_AS_A_MAP = re.compile(r"\{([a-z_]+): (.*)\}")
_BY_NAME = ("in_list", "not_in_list", "within", "outside")


_EXPRESSION = re.compile(r"\{=Document:([A-Z0-9_]+)[^}]*\}")
_EVERYTHING = frozenset({"*", "any", "all", "every", "все", "любой"})
_WILD = re.compile(r"([*%]?)([^*%]+)([*%]?)")
_SLASHED = re.compile(r"/(.+)/([a-z]*)")


class Operand(NamedTuple):
    """The operand of a test that was refused: the fact, the test, what stands there.

    `is_short` is true where it stands beside its fact: `deal.stage_id: NEW`.
    """

    fact: Fact
    operator: str
    node: Node
    is_short: bool


def in_plain_words(misfit: MisfitError, operand: Operand) -> MisfitError:
    """Return a mistake in an operand with the test that is probably meant."""
    node, (fact, operator, whole, is_short) = misfit.node, operand
    if isinstance(node, Items) and node is whole and operator in _OF_SEVERAL:
        return _with(misfit, _several(node, operator))
    inner = whole.items if isinstance(whole, Items) else (whole,)
    if misfit.suggestion is not None or not isinstance(node, Scalar) or node not in inner:
        return misfit
    if operator in _BY_NAME or node.kind == "null":
        return misfit
    meant = plain_words.as_a_map(node.text)
    if meant is not None:
        return _comparison(node, fact.type, meant)
    if fact.path in _TEMPLATES and is_short and _of_templates(node) is not None:
        return _with(misfit, _of_templates(node))
    if found := _EXPRESSION.fullmatch(node.text):
        return _expression(node, found[1], fact, is_short=is_short)
    return _with(misfit, _meant(node.text, fact, operator, is_short=is_short))


def fitting_test(type_: Type, name: str, operand: str) -> str | None:
    """Return the test that a fact of this type takes for one that it does not take."""
    if type_ is Type.DURATION:
        return _OF_LENGTHS.get(name)
    if type_ not in (Type.DATE, Type.DAY):
        return None
    return (_OF_AGES if _LENGTH.fullmatch(operand) else _OF_DAYS).get(name)


def _comparison(node: Scalar, type_: Type, meant: str) -> MisfitError:
    """Return what is wrong with `< 5`: of a date, the test that is meant is another."""
    if type_ not in (Type.DATE, Type.DAY):
        return MisfitError(node, f"`{node.text}` is not a number: a comparison is a map", meant)
    found = _AS_A_MAP.fullmatch(meant)
    test = fitting_test(type_, found[1], found[2].strip("\"'")) if found else None
    suggestion = f"{{{test}: {found[2]}}}" if found and test else None
    return MisfitError(node, f"`{node.text}` is not a date: a comparison is a map", suggestion)


def _with(misfit: MisfitError, suggestion: str | None) -> MisfitError:
    return MisfitError(misfit.node, misfit.message, suggestion)


def _several(node: Items, operator: str) -> str | None:
    texts = [item.text for item in node.items if isinstance(item, Scalar)]
    return f"{_OF_SEVERAL[operator]}: [{', '.join(texts)}]" if texts else None


def _of_templates(node: Scalar) -> str | None:
    """Return the test of templates that is meant where a name stands for a number."""
    text = node.text
    if text.lower() in _EVERYTHING:
        return "every_template: true"
    negated = text.lower().startswith(("not ", "не "))
    is_a_name = text.replace(" ", "").isalpha() and not negated
    return f"template.name: {text}" if is_a_name else None


def _meant(written: str, fact: Fact, operator: str, *, is_short: bool) -> str | None:
    """Return what was meant by an operand, as it is written in its place."""
    if operator == "exists":
        return TRUTHS.get(written.lower())
    type_ = Type.DURATION if operator in _AGES and written.isdigit() else fact.type
    found = written_values.meant(written, type_)
    if operator in ("one_of", "none_of") and found and found[0] not in "[{":
        return f"[{found}]"
    if found is None or is_short or found[0] not in "[{":
        return None if operator == "between" and found and found[0] not in "[{" else found
    if found[0] == "{":
        return found[1:-1]  # it stands in braces already
    if operator in ("one_of", "none_of", "between"):
        return found
    return f"{_OF_SEVERAL[operator]}: {found}" if operator in _OF_SEVERAL else None


def _expression(node: Scalar, field: str, fact: Fact, *, is_short: bool) -> MisfitError:
    """Return what is wrong with an expression of the designer of workflows."""
    message = "expressions of the designer mean nothing here: another fact is {fact: …}"
    path = f"{fact.path.partition('.')[0] if fact.kind else 'deal'}.{field.lower()}"
    if registry.find(path) is None:
        return MisfitError(node, message)
    meant = f"{{fact: {path}}}"
    return MisfitError(node, message, f"{{is: {meant}}}" if is_short else meant)


def pattern(written: str) -> str | None:
    """Return the test that is meant by a text with signs of other languages: `Tender*`, `/x/i`."""
    if found := _SLASHED.fullmatch(written):
        flags = "(?i)" if "i" in found[2] else ""
        return f'{{matches: "{flags}{found[1]}"}}'
    found = _WILD.fullmatch(written)
    if found is None or not (found[1] or found[3]) or (found[3] == "%" and not found[1]):
        return None
    test = "contains" if found[1] and found[3] else "ends_with" if found[1] else "starts_with"
    return f"{{{test}: {found[2]}}}"
