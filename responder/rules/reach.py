"""Finds rules that are never reached, because a rule above ends the reading wherever they apply.

A rule is reported only where this is certain: the rule above has no `keep` or `expires`, all that
sets the lower one off sets it off too, and no facts are such that the lower one would end the
reading and the upper one does not (`logic.worlds`). A `leave` rule ends it where it is unknown,
too: it protects in doubt, and is not reported where it alone does so.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from responder.model import ACTING_MODES
from responder.rules.facts import registry
from responder.rules.facts.conditions import AnyOf, FactTest, Not, Part, fact_test
from responder.rules.facts.literals import FileContext
from responder.rules.facts.operators import OPERATORS
from responder.rules.facts.registry import Fact
from responder.rules.logic import answers, bonds
from responder.rules.logic.worlds import Demand, Wanted, may_be
from responder.rules.rule import Rule
from responder.rules.schedules import Every
from responder.rules.triggers import Trigger
from responder.rules.yaml_positions import Scalar

# A lower rule is compared with so many rules above at most, and all of a file so often, so that ten
# thousand rules need not be compared in pairs.
_MOST_ABOVE = 50
_MOST = 2000
_EXISTS = "document.exists"
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
    guards: list[Rule] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """Add a rule, under the values of the fact that fewest others are found under."""
        if not rule.acts:
            self.guards.append(rule)
        named = _named(rule.condition.parts)
        if not named:
            self.of_any.append(rule)
            return
        path = min(named, key=lambda one: max(len(self._under(one, v)) for v in named[one]))
        for value in named[path]:
            self.by_value.setdefault((path, value), []).append(rule)

    def that_ask_less(self, lower: Rule) -> list[Rule]:
        """Return rules above that look at nothing that a lower rule does not look at."""
        asked = _asked(lower)
        paths = _paths(asked)
        under = [one for path, some in _named(asked).items() for one in self._under(path, some[0])]
        found = [one for one in (*self.of_any, *under) if _paths(_whole(one)) <= paths]
        if _EXISTS in paths:  # which says of all other facts of the document that they are unknown
            found += self.guards
        return [one for one in found if _covers(one, lower)]

    def _under(self, path: str, value: str) -> list[Rule]:
        return self.by_value.get((path, value), [])


def _paths(parts: Iterable[Part]) -> frozenset[str]:
    """Return the facts that decide about conditions."""
    return frozenset(test.path for part in parts for test in part.tests())


def _whole(rule: Rule) -> tuple[Part, ...]:
    """Return all that must hold for a rule to hold."""
    robots = () if rule.robots is None else (rule.robots,)
    return (*rule.condition.parts, Not(AnyOf(rule.exception.parts)), *robots)


def _asked(rule: Rule) -> tuple[Part, ...]:
    """Return all that holds where a rule holds, the kind of document included if that is known."""
    return (*_whole(rule), *_kind_asked(rule))


def _named(parts: Iterable[Part]) -> dict[str, list[str]]:
    """Return the values that conditions name for facts, of which each must have one."""
    return {
        part.path: [repr(value) for value in part.operand.compared]
        for part in parts
        if isinstance(part, FactTest) and part.operator.name in _NAMING and part.operand.compared
    }


def _is_implied(upper: Rule, lower: Rule) -> bool:
    """Return whether the upper rule ends the reading wherever the lower one would."""
    # A `leave` rule that is unknown ends it too.
    reads_on = Wanted.NOT_TRUE if upper.acts else Wanted.FALSE
    ends = Wanted.TRUE if lower.acts else Wanted.NOT_FALSE
    asked = [Demand(part, ends) for part in _whole(lower)]
    asked += [Demand(part, Wanted.TRUE) for part in _kind_asked(lower)]
    # what the lower one asks too has the same answer; if that is unknown, only a `leave` rule ends
    may_pass = upper.acts and not lower.acts
    same = set() if may_pass else {answers.identity(one.part) for one in asked}
    return all(
        answers.identity(part) in same
        or not may_be(*_demands_beside(part, asked), Demand(part, reads_on))
        for part in _whole(upper)
    )


def _demands_beside(part: Part, asked: Sequence[Demand]) -> Iterator[Demand]:
    """Yield those of some demands that say something of another condition."""
    facts = {test.fact for test in part.tests()}
    for one in asked:
        tests = one.part.tests()
        if any(test.fact in facts or _says_of_some(test, facts) for test in tests):
            yield one


def _says_of_some(test: FactTest, facts: Collection[Fact]) -> bool:
    return any(bonds.says_of(test.fact, fact) for fact in facts)


def kind_of(rule: Rule) -> str | None:
    """Return the kind of all documents that a rule is read for; None where there may be several."""
    kinds = {rule.kind} if rule.kind else {one.brings for one in rule.triggers or ()}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return kind if registry.is_kind(kind) else None


def _kind_asked(rule: Rule) -> Iterator[FactTest]:
    """Yield the test of the kind of document, where all that a rule is read for is of one."""
    kind, fact, operator = kind_of(rule), registry.find("document.kind"), OPERATORS["is"]
    assert fact is not None
    if kind is not None:
        node = Scalar(line=1, column=1, length=1, last_line=1, text=kind, kind="text")
        prepared = operator.prepare(node, fact, FileContext())
        yield fact_test(rule.id, fact, fact.path, operator, prepared)


def _ends_always(rule: Rule) -> bool:
    """Return whether a rule ends the reading of every workflow that passes its tests, for ever."""
    ends = not rule.acts or rule.mode in ACTING_MODES
    return ends and rule.keep is None and rule.expires_at is None


def _covers(upper: Rule, lower: Rule) -> bool:
    """Return whether all that sets the lower rule off sets off the upper one, in all portals."""
    if upper.kind not in (None, kind_of(lower)):
        return False
    if upper.portals is not None and not (lower.portals and lower.portals <= upper.portals):
        return False
    if upper.triggers is None:
        return True
    if not upper.acts and lower.acts:
        return upper.guards_against(lower)  # and then it is read in every run of the lower one
    # The upper one must bring the same kinds too: events of one name bring many kinds of document.
    theirs = lower.triggers
    if theirs is None or not all(
        any(_sets_off(one, other) for one in upper.triggers) for other in theirs
    ):
        return False
    return upper.sweep or not lower.sweep


def _sets_off(one: Trigger, other: Trigger) -> bool:
    """Return whether a trigger is there whenever another one is, with the same documents."""
    if isinstance(one.schedule, Every) and isinstance(other.schedule, Every):
        return not other.schedule.length % one.schedule.length
    return (one.name, one.brings) == (other.name, other.brings)
