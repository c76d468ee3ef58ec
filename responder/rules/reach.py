"""Finds rules that are never reached, because a rule above ends the reading wherever they apply.

A rule is reported only where this is certain: the rule above has no `keep` or `expires`, all that
sets the lower one off sets it off too, and no facts are such that the lower one holds and the upper
one does not (`logic.worlds`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from responder.model import ACTING_MODES
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.logic import answers
from responder.rules.logic.worlds import Demand, Wanted, may_be
from responder.rules.rule import Rule

# A lower rule is compared with so many rules above at most, and all of a file so often, so that ten
# thousand rules need not be compared in pairs.
_MOST_ABOVE = 50
_MOST = 2000
_NAMING = frozenset({"is", "one_of", "in_list"})


class Shadowed(NamedTuple):
    """A rule that is never reached, and the rule above that ends the reading before it."""

    rule: Rule
    by: Rule


def shadowed(rules: Sequence[Rule]) -> Iterator[Shadowed]:
    """Yield each rule that is never reached."""
    above = _Above()
    left = _MOST
    for rule in rules:
        if rule.disabled is not None:
            continue
        by = None
        for one in above.that_ask_less(rule)[: min(left, _MOST_ABOVE)]:
            left -= 1
            if _is_implied(one, rule):
                by = one
                break
        if by is not None:
            yield Shadowed(rule, by)
        elif _ends_always(rule):
            above.add(rule)


@dataclass(slots=True)
class _Above:
    """The rules above that end the reading, by a value that one of their facts must have."""

    by_value: dict[tuple[str, str], list[Rule]] = field(default_factory=dict)
    of_any: list[Rule] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """Add a rule, under the values of the fact that fewest others are found under."""
        named = _named(rule)
        if not named:
            self.of_any.append(rule)
            return
        path = min(named, key=lambda one: max(len(self._under(one, v)) for v in named[one]))
        for value in named[path]:
            self.by_value.setdefault((path, value), []).append(rule)

    def that_ask_less(self, lower: Rule) -> list[Rule]:
        """Return rules above that look at nothing that a lower rule does not look at."""
        asked = _paths(lower)
        found = list(self.of_any)
        for path, values in _named(lower).items():
            found += self._under(path, values[0])
        return [one for one in found if _paths(one) <= asked and _covers(one, lower)]

    def _under(self, path: str, value: str) -> list[Rule]:
        return self.by_value.get((path, value), [])


def _paths(rule: Rule) -> frozenset[str]:
    """Return the facts that decide about a rule."""
    return frozenset(test.path for test in _whole(rule).tests())


def _whole(rule: Rule) -> All:
    """Return all that must hold for a rule to hold, as one condition."""
    robots = () if rule.robots is None else (rule.robots,)
    return All((*rule.condition.parts, Not(AnyOf(rule.exception.parts)), *robots))


def _named(rule: Rule) -> dict[str, list[str]]:
    """Return the values that a rule names for facts, of which each must have one."""
    return {
        part.path: [repr(value) for value in part.operand.compared]
        for part in rule.condition.parts
        if isinstance(part, FactTest) and part.operator.name in _NAMING and part.operand.compared
    }


def _is_implied(upper: Rule, lower: Rule) -> bool:
    """Return whether the upper rule ends the reading wherever the lower one holds."""
    # A `leave` rule that is unknown ends it too.
    reads_on = Wanted.NOT_TRUE if upper.acts else Wanted.FALSE
    asked = _whole(lower).parts
    same = set(map(_key, asked))
    return all(
        _key(part) in same or not may_be(*_demands_beside(part, asked), Demand(part, reads_on))
        for part in _whole(upper).parts
    )


def _demands_beside(part: Part, asked: Sequence[Part]) -> Iterator[Demand]:
    """Yield the demand that those of some parts hold which look at what another part looks at."""
    paths = {test.path for test in part.tests()}
    for one in asked:
        if not paths.isdisjoint(test.path for test in one.tests()):
            yield Demand(one, Wanted.TRUE)


def _key(part: Part) -> object:
    """Return what is the same for the same test, or the same group of tests."""
    match part:
        case FactTest():
            return answers.asked_by(part), part.negated
        case Not(inner):
            return "not", _key(inner)
        case All(parts) | AnyOf(parts):
            return isinstance(part, All), tuple(map(_key, parts))


def _ends_always(rule: Rule) -> bool:
    """Return whether a rule ends the reading of every workflow that passes its tests, for ever."""
    ends = not rule.acts or rule.mode in ACTING_MODES
    return ends and rule.keep is None and rule.expires_at is None


def _covers(upper: Rule, lower: Rule) -> bool:
    """Return whether all that sets the lower rule off sets off the upper one, in all portals."""
    if upper.kind not in (None, lower.kind):
        return False
    if upper.portals is not None and not (lower.portals and lower.portals <= upper.portals):
        return False
    if not upper.acts:
        return upper.guards_against(lower)  # and then it is read in every run of the lower one
    # The upper one must bring the same kinds too: events of one name bring many kinds of document.
    ours = {(one.name, one.brings) for one in upper.triggers or ()}
    if lower.triggers is None or not {(one.name, one.brings) for one in lower.triggers} <= ours:
        return False
    return upper.sweep or not lower.sweep
