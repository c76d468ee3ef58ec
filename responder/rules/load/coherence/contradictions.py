"""Finds tests of one fact that no value passes together, so that what they guard never happens.

Only what is certain is found: tests of a fact that has one value, compared with literals. A field
with several values may pass `over: 50` by one of them and `below: 20` by another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations, product
from typing import NamedTuple

from responder.model import Unknown
from responder.rules.facts import registry, values, working_time
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import FileContext
from responder.rules.facts.registry import Fact
from responder.rules.yaml_positions import Items, Node, Scalar, Table

_LOWER = frozenset({"over", "at_least", "older_than"})
_UPPER = frozenset({"below", "at_most", "newer_than"})
_ENDS_BELONG = frozenset({"at_least", "at_most"})
_NEGATIONS: Mapping[str, str] = {
    "is_not": "is",
    "none_of": "one_of",
    "not_in_list": "in_list",
}
_Value = Decimal | timedelta | bool | str


class Clash(NamedTuple):
    """Two tests that no value passes: the names of their operators, the second one's node."""

    first: str
    second: str
    node: Scalar


class Apart(NamedTuple):
    """Two tests of one fact that stand apart and that no value passes: the keys of both."""

    first: Scalar
    second: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """The values that pass one test: only these, none of those, not past an end; or no value."""

    only: frozenset[_Value] | None = None
    never: frozenset[_Value] = frozenset()
    low: Decimal | timedelta | None = None
    high: Decimal | timedelta | None = None
    includes_ends: bool = True
    is_empty: bool = False

    def admits(self, value: _Value) -> bool:
        """Return whether a value that is not empty passes."""
        if self.is_empty or value in self.never:
            return False
        if self.only is not None:
            return value in self.only
        at_least, at_most = _Allowed(low=self.low), _Allowed(high=self.high)
        exact = _Allowed(low=_measure(value), high=_measure(value))
        if exact.low is None:
            return True
        ends = self.includes_ends
        return not _apart(at_least, exact, meet=ends) and not _apart(exact, at_most, meet=ends)


def clashes(
    fact: Fact, tests: Sequence[tuple[Scalar, Node]], context: FileContext
) -> Iterator[Clash]:
    """Yield the first two tests of one fact, given as operators and operands, that clash."""
    if fact.type is Type.ANY or "several values" in fact.description or fact.path == "event.name":
        return
    allowed = ((key, _allowed(fact, key.text, operand, context)) for key, operand in tests)
    known = [(key, found) for key, found in allowed if found is not None]
    for (key, one), (other_key, other) in combinations(known, 2):
        if _exclude_each_other(one, other):
            yield Clash(key.text, other_key.text, other_key)
            return


def _allowed(fact: Fact, name: str, operand: Node, context: FileContext) -> _Allowed | None:
    """Return the values that pass a test; None where that is not known."""
    if name == "exists" and isinstance(operand, Scalar):
        return _Allowed() if operand.text.lower() == "true" else _Allowed(is_empty=True)
    if name in _NEGATIONS:
        positive = _allowed(fact, _NEGATIONS[name], operand, context)
        return None if positive is None or positive.only is None else _Allowed(never=positive.only)
    nodes = _literals(name, operand, context)
    found = [_value(fact, name, node) for node in nodes]
    if not found or any(value is None for value in found):
        return None
    known = tuple(value for value in found if value is not None)
    if name in ("is", "one_of", "in_list"):
        return _Allowed(only=frozenset(known))
    return _interval(name, known)


def _interval(name: str, ends: tuple[_Value, ...]) -> _Allowed | None:
    low, high = _measure(ends[0]), _measure(ends[-1])
    if low is None or high is None:
        return None
    if name == "between":
        return _Allowed(low=low, high=high)
    if name in _LOWER:
        return _Allowed(low=low, includes_ends=name in _ENDS_BELONG)
    if name in _UPPER:
        return _Allowed(high=high, includes_ends=name in _ENDS_BELONG)
    return None


def _literals(name: str, operand: Node, context: FileContext) -> Sequence[Node]:
    if name == "in_list" and isinstance(operand, Scalar):
        return context.lists.get(operand.text, ())
    return operand.items if isinstance(operand, Items) else (operand,)


def _value(fact: Fact, name: str, node: Node) -> _Value | None:
    if not isinstance(node, Scalar) or node.kind in ("null", "broken"):
        return None
    if fact.type is Type.DURATION and (days := working_time.written(node.text)) is not None:
        return Decimal(days)
    if name in ("older_than", "newer_than") or fact.type is Type.DURATION:
        return values.duration(node.text)
    if fact.type in (Type.DATE, Type.DAY):
        return None
    if fact.type in (Type.NUMBER, Type.REFERENCE):
        read = values.number(node.text)
        return read if isinstance(read, Decimal) else None
    if fact.type is Type.TRUTH:
        flag = values.truth(node.text)
        return None if isinstance(flag, Unknown) else bool(flag)
    return node.text


def _measure(value: _Value) -> Decimal | timedelta | None:
    return value if isinstance(value, Decimal | timedelta) else None


def _exclude_each_other(one: _Allowed, other: _Allowed) -> bool:
    if one.is_empty or other.is_empty:
        return not (one.is_empty and other.is_empty) and not (one.never or other.never)
    for these, those in ((one, other), (other, one)):
        if these.only is not None:
            return not any(those.admits(value) for value in these.only)
    meet = one.includes_ends and other.includes_ends
    return _apart(one, other, meet=meet) or _apart(other, one, meet=meet)


def _apart(lower: _Allowed, upper: _Allowed, *, meet: bool) -> bool:
    """Return whether one interval lies above the other; ends that meet may belong to both."""
    low, high = lower.low, upper.high
    if isinstance(low, Decimal) and isinstance(high, Decimal):
        return low > high or (low == high and not meet)
    if isinstance(low, timedelta) and isinstance(high, timedelta):
        return low > high or (low == high and not meet)
    return False


def apart(clause: Node, context: FileContext, *, all_hold: bool) -> Iterator[Apart]:
    """Yield tests of one fact that clash though they stand in different maps, once for each fact.

    `all_hold` is true where all parts of the clause must hold: in `if`, and not in `unless`.
    """
    together: dict[str, list[tuple[Scalar, Node]]] = {}
    for key, value in _together(clause) if all_hold else ():
        together.setdefault(key.text, []).append((key, value))
    for path, some in together.items():
        fact = registry.find(path)
        if fact is not None and (found := _first_clash(fact, some, context)) is not None:
            yield found
    for inner in _groups_within(clause, all_hold=all_hold):
        yield from apart(inner, context, all_hold=True)


def _together(node: Node) -> Iterator[tuple[Scalar, Node]]:
    """Yield the facts and their tests that must all hold: those of a map and of its `all`."""
    if isinstance(node, Items):
        for item in node.items:
            yield from _together(item)
    for key, value in node.pairs if isinstance(node, Table) else ():
        if key.text == "all":
            yield from _together(value)
        elif key.text == "not":
            yield from _negated(value)
        else:
            yield key, value


def _negated(node: Node) -> Iterator[tuple[Scalar, Node]]:
    """Yield the one test below `not` as a test that must hold, where it is of certain values."""
    if not isinstance(node, Table) or len(node.pairs) != 1:
        return
    key, value = node.pairs[0]
    tests = _tests_of(key, value)
    turned = {positive: negated for negated, positive in _NEGATIONS.items()}
    if len(tests) == 1 and tests[0][0].text in turned:
        name, operand = tests[0]
        yield key, replace(node, pairs=((replace(name, text=turned[name.text]), operand),))


def _groups_within(node: Node, *, all_hold: bool) -> Iterator[Node]:
    """Yield the parts of a clause in which all must hold, whatever holds around them."""
    for item in node.items if isinstance(node, Items) else ():
        yield from _groups_within(item, all_hold=all_hold)
    for key, value in node.pairs if isinstance(node, Table) else ():
        if key.text == "any" and isinstance(value, Items):
            yield from value.items
        elif key.text == "not" or (key.text == "all" and not all_hold):
            yield value
        elif key.text == "all":
            yield from _groups_within(value, all_hold=True)


def _first_clash(
    fact: Fact, some: Sequence[tuple[Scalar, Node]], context: FileContext
) -> Apart | None:
    for (key, one), (other_key, other) in combinations(some, 2):
        for test, other_test in product(_tests_of(key, one), _tests_of(other_key, other)):
            if any(clashes(fact, (test, other_test), context)):
                return Apart(key, other_key)
    return None


def _tests_of(key: Scalar, value: Node) -> Sequence[tuple[Scalar, Node]]:
    """Return the tests of a fact as operators and operands, also where only a value stands."""
    if isinstance(value, Table):
        return value.pairs
    return ((replace(key, text="one_of"), value),)


class KindAsked(NamedTuple):
    """A kind of document that a rule asks for, and the node that names it or the list it is in."""

    kind: str
    node: Node


def kinds_asked(clause: Node | None, context: FileContext) -> Iterator[KindAsked]:
    """Yield the kinds that `document.kind` must be one of, where all of a clause must hold."""
    if isinstance(clause, Items):
        for item in clause.items:
            yield from kinds_asked(item, context)
    for key, value in clause.pairs if isinstance(clause, Table) else ():
        if key.text == "all":
            yield from kinds_asked(value, context)
        elif key.text == "document.kind":
            tests = value.pairs if isinstance(value, Table) else ()
            for name, operand in tests:
                yield from _kinds_in(name.text, operand, context)
            if not isinstance(value, Table):
                yield from _kinds_in("one_of", value, context)


def _kinds_in(test: str, operand: Node, context: FileContext) -> Iterator[KindAsked]:
    if test == "in_list" and isinstance(operand, Scalar):
        items: Sequence[Node] = context.lists.get(operand.text, ())
    elif test in ("is", "one_of"):
        items = operand.items if isinstance(operand, Items) else (operand,)
    else:
        return
    for item in items:
        if isinstance(item, Scalar) and registry.is_kind(item.text):
            yield KindAsked(item.text, operand if test == "in_list" else item)
