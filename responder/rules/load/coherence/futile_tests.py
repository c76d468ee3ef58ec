"""Reports tests of a rule that can never hold, and parts of them that do nothing."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from responder.rules.facts import registry
from responder.rules.facts.conditions import All, AnyOf, FactTest, Part
from responder.rules.logic import bonds, futile
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

_EXISTS = "document.exists"
_NEVER = "so this never holds"


class _Clause(NamedTuple):
    """The parts of `if` or `unless`, and the pairs of the map that they were read from."""

    parts: tuple[Part, ...]
    pairs: Sequence[tuple[Scalar, Node]]


def report(
    node: Table, condition: All, exception: AnyOf, mistakes: Mistakes, *, protects: bool
) -> None:
    """Report what is futile in the tests of a rule at a node, which have no other mistakes."""
    if not futile.may_exclude((*condition.parts, *exception.parts)):
        return
    asked, excepted = _clause(node, "if", condition.parts), _clause(node, "unless", exception.parts)
    if asked is None or excepted is None:
        return
    found = futile.exclusion(condition)
    if found is not None:
        _report_exclusion(asked, found, mistakes, protects=protects)
    elif futile.excepts_all(condition, exception):
        _report_exceptions(node, asked, excepted, mistakes)
    else:
        for place, message in _doing_nothing(asked, excepted):
            mistakes.warn(place, message)


def _clause(node: Table, name: str, parts: tuple[Part, ...]) -> _Clause | None:
    value = node.get(name)
    pairs = value.pairs if isinstance(value, Table) else ()
    return _Clause(parts, pairs) if len(pairs) == len(parts) else None


def _report_exclusion(
    asked: _Clause, found: futile.Exclusion, mistakes: Mistakes, *, protects: bool
) -> None:
    some = [(asked.parts[place], asked.pairs[place][0]) for place in found.places]
    # A `leave` rule that is unknown protects too, and of what is gone most is unknown.
    if protects and any(test.path == _EXISTS for part, _ in some for test in part.tests()):
        return
    # What says of others that they are empty stands first.
    some.sort(key=lambda one: -sum(_says_of(one[0], other) for other, _ in some))
    *others, (part, last) = some
    mistakes.error(last, _exclusion_in_words(others, part, last), new=True)


def _exclusion_in_words(others: Sequence[tuple[Part, Scalar]], part: Part, last: Scalar) -> str:
    if not others and _is_fact(last):
        return f"no value of `{last.text}` passes all of these tests, {_NEVER}"
    if not others:
        return f"none of these can hold, {_NEVER}"
    lines = " and ".join(f"line {key.line}" for _, key in others)
    tests = [test for one in (part, *(one for one, _ in others)) for test in one.tests()]
    paths = {test.path for test in tests}
    if len(paths) == 1:
        return f"no value of `{tests[0].path}` passes both this and {lines}, {_NEVER}"
    other = others[0][0]
    if len(others) > 1 or not isinstance(other, FactTest) or not _is_fact(last):
        return f"this never holds together with {lines}"
    if other.path == _EXISTS:
        return f"a document that does not exist ({lines}) has no `{last.text}`, {_NEVER}"
    if not bonds.says_of(other.fact, tests[0].fact):
        return f"this never holds together with {lines}"
    value = "empty" if other.operator.name == "exists" else other.operand.words
    return f"`{last.text}` is empty where `{other.path}` is {value} ({lines}), {_NEVER}"


def _report_exceptions(node: Table, asked: _Clause, excepted: _Clause, mistakes: Mistakes) -> None:
    condition = All(asked.parts)
    for part, (key, _) in zip(excepted.parts, excepted.pairs, strict=True):
        if not futile.excepts_all(condition, part):
            continue
        place = futile.what_it_excepts(condition, part)
        if futile.excepts_all(All(()), part):
            message = "this exception always holds, so that the rule never does"
        elif place is None:
            message = "`unless` excepts all that `if` asks: this never holds"
        elif _is_gone(asked.parts[place]) and _is_fact(key):
            message = f"`{key.text}` cannot be read of a document that does not exist, and what is"
            message += " unknown is excepted: this never holds"
        else:
            of = asked.pairs[place][0]
            what = f"what `if` asks of `{of.text}`" if _is_fact(of) else f"what line {of.line} asks"
            message = f"`unless` excepts {what}: this never holds"
            message += _as_implied(asked.parts[place], part)
        mistakes.error(key, message, new=True)
        return
    unless = node.key("unless") or node
    mistakes.error(
        unless, "these exceptions leave nothing that `if` asks: this never holds", new=True
    )


def _is_gone(part: Part) -> bool:
    return isinstance(part, FactTest) and part.path == _EXISTS


def _as_implied(asked: Part, excepted: Part) -> str:
    """Return how an exception that is worded differently includes what is asked."""
    if not isinstance(asked, FactTest) or not isinstance(excepted, FactTest):
        return ""
    if asked.wording == excepted.wording or asked.path != excepted.path:
        return ""
    one, two = (test.wording.removeprefix("is ") for test in (asked, excepted))
    return f", for what is {one} is {two} too"


def _doing_nothing(asked: _Clause, excepted: _Clause) -> Iterator[tuple[Node, str]]:
    condition = All(asked.parts)
    for part, (key, _) in zip(excepted.parts, excepted.pairs, strict=True):
        if futile.excepts_nothing(condition, part):
            yield key, "this exception excepts nothing: where `if` holds, it never does"
    dead = set(futile.dead_alternatives(condition))
    for place, (part, (key, value)) in enumerate(zip(asked.parts, asked.pairs, strict=True)):
        always = futile.never_false(part)
        if always is not None:
            yield key, f"one of these always holds, so `any` asks nothing{_if_none_of(always)}"
            continue
        for item in (one.item for one in dead if one.place == place):
            at = value.items[item] if isinstance(value, Items) else value
            yield _first_key(at), "this never holds beside the other tests of `if`"


def _if_none_of(part: Part) -> str:
    """Return what is meant by several values of one fact that it is not one of."""
    tests = tuple(part.tests())
    paths = {test.path for test in tests}
    if len(paths) > 1 or not all(test.negated and test.operand.compared for test in tests):
        return ""
    values = ", ".join(test.operand.words for test in tests)
    return f": none of several is `{tests[0].path}: {{none_of: [{values}]}}`"


def _first_key(node: Node) -> Node:
    return node.pairs[0][0] if isinstance(node, Table) and node.pairs else node


def _says_of(part: Part, other: Part) -> bool:
    """Return whether a test says of another, which is of another fact, how it comes out."""
    if not isinstance(part, FactTest):
        return False
    return any(
        part.path != test.path and bonds.says_of(part.fact, test.fact) for test in other.tests()
    )


def _is_fact(key: Scalar) -> bool:
    return registry.find(key.text) is not None
