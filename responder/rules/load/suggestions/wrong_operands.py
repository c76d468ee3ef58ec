"""Says what is wrong with the operand of a test, and which test was meant."""

import re
from collections.abc import Collection
from typing import NamedTuple

from responder.rules.facts import literals, registry
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import FileContext, MisfitError
from responder.rules.facts.operators import OPERATORS
from responder.rules.facts.registry import Fact
from responder.rules.load.suggestions import comparisons, impossible_days, written_values, yaml_text
from responder.rules.load.suggestions.synonyms import TRUTHS, truth_meant
from responder.rules.load.suggestions.texts import wildcards
from responder.rules.yaml_positions import Items, Node, Scalar, Table

_TEMPLATES = ("workflow.template_id", "template.id")
_OF_SEVERAL = {"is": "one_of", "in_list": "one_of", "is_not": "none_of", "not_in_list": "none_of"}
_AGES = ("older_than", "newer_than")
_IN_LISTS = {
    **dict.fromkeys(("is", "one_of"), "in_list"),
    **dict.fromkeys(("is_not", "none_of"), "not_in_list"),
}
_MOMENTS = (Type.DATE, Type.DAY)
_MOVING_DAYS = frozenset(
    ["today", "now", "yesterday", "tomorrow", "сегодня", "сейчас", "вчера", "завтра", "heute"]
)
_YESTERDAY = ("yesterday", "вчера", "gestern")
# Tests of texts that take one value; several are a pattern.
_AS_PATTERNS = {"contains": "{}", "starts_with": "^({})", "ends_with": "({})$"}
_PLAIN = re.compile(r"[\w -]+")
_BY_NAME = ("in_list", "not_in_list", "within", "outside")


_AGO = re.compile(r"\s(?:ago|назад)$", re.I)
_EXPRESSION = re.compile(r"\{=Document:([A-Z0-9_]+)[^}]*\}")
_NAMED = re.compile(r"(?:\$|\$?\{+)\s*([a-z_0-9]+(?:\.[a-z_0-9]+)+)\s*\}*")
_EVERYTHING = frozenset({"*", "any", "all", "every", "все", "любой"})


class Operand(NamedTuple):
    """The operand of a test that was refused: the fact, the test, what stands there.

    `is_short` is true where it stands beside its fact: `deal.stage_id: NEW`. `lists` are the names
    of the lists in the file.
    """

    fact: Fact
    operator: str
    node: Node
    is_short: bool
    lists: Collection[str] = ()


def in_plain_words(misfit: MisfitError, operand: Operand) -> MisfitError:
    """Return a mistake in an operand with the test that is probably meant."""
    node, whole = misfit.node, operand.node
    if isinstance(node, Items) and node is whole:
        message = "one value is expected here; several are a pattern, or stand below `any`"
        said = message if operand.operator in _AS_PATTERNS else misfit.message
        only = node.items[0] if len(node.items) == 1 else None
        if isinstance(only, Scalar) and only.text in operand.lists:
            return MisfitError(node, misfit.message, only.text)
        meant = _joined(node, operand) or _ends(node, operand) or _several(node, operand.operator)
        return MisfitError(node, said, meant)
    if isinstance(node, Table) and node is whole:
        return _with(misfit, misfit.suggestion or _ends(node, operand))
    if misfit.suggestion == f"{{is: {{fact: {_text(node)}}}}}" and not operand.is_short:
        return _with(misfit, misfit.suggestion.removeprefix("{is: ")[:-1])
    if operand.operator in ("one_of", "none_of") and node is whole and misfit.suggestion is None:
        found = _suggested(misfit, operand)
        return found if found.suggestion is not None else _with(found, _listed(node))
    return _suggested(misfit, operand)


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _listed(node: Node) -> str | None:
    """Return the list that is meant by one value, or by values in braces."""
    if isinstance(node, Table):
        return yaml_text.in_brackets(yaml_text.written(key) for key, _ in node.pairs)
    is_one = isinstance(node, Scalar) and re.fullmatch(r"[A-Za-z0-9_:]+", node.text) is not None
    return f"[{yaml_text.written(node)}]" if is_one else None


def _suggested(misfit: MisfitError, operand: Operand) -> MisfitError:
    node, whole = misfit.node, operand.node
    inner = whole.items if isinstance(whole, Items) else (whole,)
    if misfit.suggestion is not None or not isinstance(node, Scalar) or node not in inner:
        return misfit
    if operand.operator in _BY_NAME or node.kind == "null":
        return misfit
    looks = (_everything, _wildcard, _list_named, _comparison, _no_day, _moving_day, _expression)
    found = next((one for one in (look(node, operand) for look in looks) if one is not None), None)
    if found is not None:
        return found
    fact, operator, is_short = operand.fact, operand.operator, operand.is_short
    templates = _of_templates(node) if fact.path in _TEMPLATES and is_short else None
    meant = templates or _counted(node, operand)
    meant = meant or _meant(node.text, fact, operator, is_short=is_short)
    if meant is None and isinstance(whole, Items):
        # An item of a list is meant alone, and several in one are as many items.
        read = written_values.read(node.text, fact.type)
        if "-" not in node.text:  # which of the numbers between are meant, nobody knows
            meant = read or written_values.spaced(
                node.text, lambda one: written_values.read(one, fact.type)
            )
    is_item = isinstance(whole, Items) and meant is not None and meant.startswith("[")
    return _with(misfit, meant.strip("[]") if is_item and meant is not None else meant)


def _counted(node: Scalar, operand: Operand) -> str | None:
    """Return the test that is meant by yes or no for a number of tasks."""
    said = TRUTHS.get(node.text.lower(), node.text.lower())
    if operand.fact.path != "workflow.tasks" or not operand.is_short:
        return None
    return {"true": "{at_least: 1}", "false": "0"}.get(said)


def _ends(node: Node, operand: Operand) -> str | None:
    """Return the two ends in `[1-5]` or `{from: 1, to: 5}`."""
    if operand.operator != "between":
        return None
    if isinstance(node, Table):
        ends = [yaml_text.written(value) for _, value in node.pairs]
        return yaml_text.in_brackets(ends) if len(ends) == 2 else None
    only = node.items[0] if isinstance(node, Items) and len(node.items) == 1 else None
    found = written_values.meant(only.text, operand.fact.type) if isinstance(only, Scalar) else None
    return found.removeprefix("{between: ")[:-1] if found and "between" in found else None


def _joined(node: Items, operand: Operand) -> str | None:
    """Return the two ends in `[1000, 5,000,000]`, whose groups of digits YAML takes for values."""
    if operand.operator != "between" or len(node.items) < 3:
        return None
    ends: list[str] = []
    last: Scalar | None = None
    for item in node.items:
        if not isinstance(item, Scalar):
            return None
        is_glued = last is not None and item.column == last.column + len(last.text) + 1
        if is_glued and len(item.text) == 3 and item.text.isdigit():
            ends[-1] += item.text
        else:
            ends.append(item.text)
        last = item
    return f"[{', '.join(ends)}]" if len(ends) == 2 else None


def in_the_list(operand: Operand, context: FileContext) -> list[MisfitError]:
    """Return what is wrong with the items of the list that an operand names, for its fact."""
    by_name = isinstance(operand.node, Scalar) and operand.operator in _IN_LISTS.values()
    name = operand.node.text if by_name and isinstance(operand.node, Scalar) else ""
    found = []
    for item in context.lists.get(name, ()):
        try:
            literals.comparand(item, operand.fact, context)
        except MisfitError as misfit:
            one = operand._replace(operator="one_of", node=item, is_short=False, lists=())
            plain = _suggested(misfit, one)
            meant = None if plain.suggestion is None else plain.suggestion.strip("[]")
            message = f"{plain.message} (and rules compare it with the list `{name}`)"
            found.append(MisfitError(item, message, meant))
    return found


def _everything(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with `*`, `any` or `all`, which is no template."""
    if operand.fact.path not in _TEMPLATES or node.text.lower() not in _EVERYTHING:
        return None
    message = "for workflows of every template write `every_template: true` beside `if`"
    return MisfitError(node, f"{message}, and delete this test")


def _wildcard(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with signs that stand for no other characters: `61*`, `*tender*`."""
    found = wildcards.read(node.text)
    if found is None:
        return None
    message = wildcards.SAID.format(found.sign)
    if operand.operator == "matches":
        is_a_text = wildcards.of_test("matches", node.text) is not None
        return MisfitError(node, message, found.pair) if is_a_text else None
    if operand.fact.type in (Type.NUMBER, Type.REFERENCE):
        return MisfitError(node, f"{message}, and `{operand.fact.path}` is a number as a whole")
    return None


def _list_named(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with the name of a list that stands for a value of the fact."""
    if node.text not in operand.lists or operand.operator not in _IN_LISTS:
        return None
    test = _IN_LISTS[operand.operator]
    message = f"`{node.text}` is one of `lists`, and a test of those is `{test}`"
    meant = f"{test}: {node.text}"
    return MisfitError(node, message, f"{{{meant}}}" if operand.is_short else meant)


def _comparison(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with `< 5` or `more than 5`: of a date, the test meant is another."""
    compared = comparisons.read(node.text) if operand.is_short else None
    if compared is None:
        return None
    type_ = operand.fact.type
    what = "a date" if type_ in _MOMENTS else "yes or no" if type_ is Type.TRUTH else "a number"
    meant = comparisons.as_a_test(compared, type_)
    return MisfitError(node, f"`{node.text}` is not {what}: a comparison is a map", meant)


def _no_day(node: Scalar, operand: Operand) -> MisfitError | None:
    is_a_moment = operand.fact.type in (*_MOMENTS, Type.ANY)
    wrong = impossible_days.of_moment(node.text) if is_a_moment else None
    return None if wrong is None else MisfitError(node, wrong.message, wrong.suggestion)


def _moving_day(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with `today`, which is another day tomorrow."""
    if operand.fact.type not in _MOMENTS or node.text.strip().lower() not in _MOVING_DAYS:
        return None
    message = f"`{node.text}` is another day tomorrow: count from now, as in"
    is_yesterday = operand.operator in _AGES and node.text.strip().lower() in _YESTERDAY
    meant = "1d" if is_yesterday else None
    return MisfitError(node, f"{message} {{newer_than: 1d}} or {{older_than: 1d}}", meant)


def _with(misfit: MisfitError, suggestion: str | None) -> MisfitError:
    return MisfitError(misfit.node, misfit.message, suggestion)


def _several(node: Items, operator: str) -> str | None:
    texts = [item.text for item in node.items if isinstance(item, Scalar)]
    if operator in _AS_PATTERNS and texts and all(map(_PLAIN.fullmatch, texts)):
        return f'matches: "{_AS_PATTERNS[operator].format("|".join(texts))}"'
    return (
        f"{_OF_SEVERAL[operator]}: [{', '.join(texts)}]"
        if texts and operator in _OF_SEVERAL
        else None
    )


def _of_templates(node: Scalar) -> str | None:
    """Return the test of templates that is meant where a name stands for a number."""
    text = node.text
    negated = text.lower().startswith(("not ", "не "))
    is_a_name = text.replace(" ", "").isalpha() and not negated
    return f"template.name: {text}" if is_a_name else None


def _meant(written: str, fact: Fact, operator: str, *, is_short: bool) -> str | None:
    """Return what was meant by an operand, as it is written in its place."""
    if operator == "exists":
        return truth_meant(written)
    type_ = Type.DURATION if operator in _AGES and written.isdigit() else fact.type
    found = written_values.meant(written, type_)
    if found is None and type_ in _MOMENTS and is_short and _AGO.search(written):
        length = written_values.duration(written)
        return length and f"{{older_than: {length}}}"
    if found is None and operator in _AGES:
        found = written_values.duration(written.lstrip("-"))
    if operator in ("one_of", "none_of") and found and found[0] not in "[{":
        return f"[{found}]"
    if found is None or is_short or found[0] not in "[{":
        return None if operator == "between" and found and found[0] not in "[{" else found
    if found[0] == "{":
        # It stands in braces already, and behind its test where that is the same one.
        return found[1:-1].removeprefix(f"{operator}: ")
    if operator in ("one_of", "none_of", "between"):
        return found
    return f"{_OF_SEVERAL[operator]}: {found}" if operator in _OF_SEVERAL else None


def _expression(node: Scalar, operand: Operand) -> MisfitError | None:
    """Return what is wrong with an expression of the designer of workflows."""
    found, fact = _EXPRESSION.fullmatch(node.text), operand.fact
    named = _NAMED.fullmatch(node.text)
    if named is not None and registry.find(named[1]) is not None:
        other = f"{{fact: {named[1]}}}"
        meant = f"{{is: {other}}}" if operand.is_short else other
        return MisfitError(node, f"another fact is written {other}", meant)
    if found is None:
        return None
    message = "expressions of the designer mean nothing here: another fact is {fact: …}"
    path = f"{fact.path.partition('.')[0] if fact.kind else 'deal'}.{found[1].lower()}"
    if registry.find(path) is None:
        return MisfitError(node, message)
    meant = f"{{fact: {path}}}"
    return MisfitError(node, message, f"{{is: {meant}}}" if operand.is_short else meant)


def does_not_take(fact: Fact, name: str) -> str:
    """Return what is wrong with a test that a fact of this type does not take."""
    taken = ", ".join(row.name for row in OPERATORS.values() if fact.type in row.types)
    return f"`{name}` cannot test `{fact.path}` ({fact.type}), which takes {taken}"
