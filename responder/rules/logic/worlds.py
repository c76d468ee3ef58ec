"""Answers whether some facts can make conditions come out as asked, each true, false or unknown.

What is searched is all that the tests can answer (`answers`), less what one fact forbids to another
(`bonds`). More is searched than can ever be, so "no" is certain, and "yes" is not. A search that
becomes long ends with "yes".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.facts.operators import OPERATORS
from responder.rules.logic import answers, bonds
from responder.rules.logic.answers import Variable
from responder.rules.logic.bonds import Bond

_STEPS = 500
_MANY = 20  # values of a list that are looked at one by one
_MEMBERSHIP = frozenset({"is", "is_not", "one_of", "none_of", "in_list", "not_in_list"})


class Wanted(Enum):
    """How a condition is to come out: the answers that will do."""

    TRUE = (True,)
    FALSE = (False,)
    NOT_TRUE = (False, None)
    NOT_FALSE = (True, None)

    @property
    def opposite(self) -> "Wanted":
        """Return how a condition must come out so that its negation comes out so."""
        return _OPPOSITE[self]


_OPPOSITE = {
    Wanted.TRUE: Wanted.FALSE,
    Wanted.FALSE: Wanted.TRUE,
    Wanted.NOT_TRUE: Wanted.NOT_FALSE,
    Wanted.NOT_FALSE: Wanted.NOT_TRUE,
}


class Demand(NamedTuple):
    """A condition, and how it is to come out."""

    part: Part
    wanted: Wanted

    @property
    def is_of_all(self) -> bool:
        """Return whether all demands within must be fulfilled, and not just one of them."""
        if isinstance(self.part, Not):
            return True
        return isinstance(self.part, All) is (self.wanted in (Wanted.TRUE, Wanted.NOT_FALSE))

    def within(self) -> "list[Demand]":
        """Return the demands on what a group, or `not`, has within."""
        match self.part:
            case Not(part):
                return [Demand(part, self.wanted.opposite)]
            case All(parts) | AnyOf(parts):
                return [Demand(part, self.wanted) for part in parts]
            case FactTest():
                return []


def may_be(*demands: Demand) -> bool:
    """Return whether some facts may fulfil all these demands at once; a false one is certain."""
    plain = [Demand(_taken_apart(part), wanted) for part, wanted in demands]
    variables = answers.of_tests(test for part, _ in plain for test in part.tests())
    search = _Search([one for some in variables.values() for one in some])
    box = [(1 << len(one.cells)) - 1 for one in search.variables]
    return search.finds(plain, box)


def _taken_apart(part: Part) -> Part:
    """Return a condition in which a list of values is as many tests, where there are not many.

    It is needed only of facts of which one test says nothing about another.
    """
    match part:
        case Not(inner):
            return Not(_taken_apart(inner))
        case All(parts):
            return All(tuple(map(_taken_apart, parts)))
        case AnyOf(parts):
            return AnyOf(tuple(map(_taken_apart, parts)))
        case FactTest():
            several = 1 < len(part.operand.compared) <= _MANY
            if (
                part.operator.name not in _MEMBERSHIP
                or not several
                or answers.has_one_value(part.fact)
            ):
                return part
            any_of = AnyOf(tuple(_single(part, one) for one in part.operand.compared))
            return Not(any_of) if part.negated else any_of


def _single(test: FactTest, value: object) -> FactTest:
    operand = test.operand._replace(compared=(value,))
    return replace(test, operator=OPERATORS["is"], operand=operand, negated=False)


@dataclass(slots=True)
class _Search:
    variables: list[Variable]
    steps: int = 0
    _bonds: list[Bond] = field(default_factory=list)
    _leaves: dict[tuple[int, Wanted], tuple[int, int]] = field(default_factory=dict)
    _places: dict[answers.Asked, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bonds = list(bonds.between(self.variables))
        for place, variable in enumerate(self.variables):
            self._places |= {answers.asked_by(test): place for test in variable.tests}

    def finds(
        self, demands: Iterable[Demand], box: list[int], choices: Sequence[Sequence[Demand]] = ()
    ) -> bool:
        """Return whether cells of a box fulfil all demands, and one demand of each choice.

        A box has the cells that are left of each variable, as bits.
        """
        self.steps += 1
        if self.steps > _STEPS:
            return True
        open_choices = list(choices)
        todo = list(demands)
        while todo:
            demand = todo.pop()
            if isinstance(demand.part, FactTest):
                place, cells = self._leaf(demand.part, demand.wanted)
                box[place] &= cells
                if not box[place]:
                    return False
            elif demand.is_of_all:
                todo += demand.within()
            else:
                open_choices.append(demand.within())
        if not bonds.narrow(box, self._bonds):
            return False
        if not open_choices:
            return True
        first, *rest = sorted(open_choices, key=len)
        return any(self.finds([one], box.copy(), rest) for one in first)

    def _leaf(self, test: FactTest, wanted: Wanted) -> tuple[int, int]:
        """Return the variable of a test, and its cells in which the test comes out as wanted."""
        key = (id(test), wanted)
        if key not in self._leaves:
            place = self._places[answers.asked_by(test)]
            cells = 0
            for answer in wanted.value:
                cells |= self.variables[place].where(test, answer)
            self._leaves[key] = (place, cells)
        return self._leaves[key]
