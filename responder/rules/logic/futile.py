"""Finds what in the tests of one rule is futile: they never hold, or a part of them does nothing.

Only what is certain is found, whatever the facts are.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.facts.fields import Type
from responder.rules.facts.registry import Fact
from responder.rules.logic.bonds import says_of
from responder.rules.logic.worlds import Demand, Wanted, may_be


class Exclusion(NamedTuple):
    """Parts of `if`, by their places, that never hold together, and would without one of them."""

    places: tuple[int, ...]


class Alternative(NamedTuple):
    """An item of an `any`, by both places, that never holds where all the rest of `if` does."""

    place: int
    item: int


def may_exclude(parts: Iterable[Part]) -> bool:
    """Return whether one of these may say anything of another, so that it is worth to look closer.

    Two ends of one measure, such as `{over: 5, below: 9}`, count as one: they are looked at before.
    """
    found = list(_facts_tested(parts))
    facts = set(found)
    return len(facts) < len(found) or any(
        says_of(one, other) for one in facts for other in facts if one is not other
    )


def _facts_tested(parts: Iterable[Part]) -> Iterator[Fact]:
    for part in parts:
        match part:
            case FactTest(fact=fact):
                yield fact
            case All(inner) if _are_of_one_measure(inner):
                yield next(part.tests()).fact
            case Not(inner):
                yield from _facts_tested((inner,))
            case All(inner) | AnyOf(inner):
                yield from _facts_tested(inner)


def _are_of_one_measure(parts: Sequence[Part]) -> bool:
    facts = {part.fact if isinstance(part, FactTest) else None for part in parts}
    fact = next(iter(facts)) if len(facts) == 1 else None
    return fact is not None and fact.type in (Type.NUMBER, Type.DURATION)


def exclusion(condition: All) -> Exclusion | None:
    """Return the parts that never hold together; None where all may hold."""
    if _may_hold(condition.parts):
        return None
    needed = list(range(len(condition.parts)))
    for place in range(len(condition.parts)):
        fewer = [one for one in needed if one != place]
        if not _may_hold([condition.parts[one] for one in fewer]):
            needed = fewer
    return Exclusion(tuple(needed))


def _may_hold(parts: Sequence[Part]) -> bool:
    return may_be(*(Demand(part, Wanted.TRUE) for part in parts))


def excepts_all(condition: All, exception: Part) -> bool:
    """Return whether an exception holds wherever a condition does."""
    return not may_be(Demand(condition, Wanted.TRUE), Demand(exception, Wanted.FALSE))


def what_it_excepts(condition: All, exception: Part) -> int | None:
    """Return the place of the one part of a condition wherever which an exception holds."""
    places = range(len(condition.parts))
    return next((n for n in places if excepts_all(All((condition.parts[n],)), exception)), None)


def excepts_nothing(condition: All, exception: Part) -> bool:
    """Return whether an exception is false wherever a condition holds."""
    return not may_be(Demand(condition, Wanted.TRUE), Demand(exception, Wanted.NOT_FALSE))


def never_false(part: Part) -> AnyOf | None:
    """Return an `any`, alone or among all that must hold, that holds whatever is known of facts."""
    match part:
        case AnyOf():
            return None if may_be(Demand(part, Wanted.FALSE)) else part
        case All(parts):
            return next(filter(None, map(never_false, parts)), None)
        case _:
            return None


def dead_alternatives(condition: All) -> Iterator[Alternative]:
    """Yield the alternatives that do nothing, of a condition that may hold."""
    for place, part in enumerate(condition.parts):
        for item, one in enumerate(part.parts if isinstance(part, AnyOf) else ()):
            if not may_be(Demand(condition, Wanted.TRUE), Demand(one, Wanted.TRUE)):
                yield Alternative(place, item)
