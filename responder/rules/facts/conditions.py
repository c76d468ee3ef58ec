"""Evaluates one test of one fact, and groups of tests: true, false or unknown.

The logic is Kleene's. A test of a fact that could not be read is unknown; false and unknown is
false, true or unknown is true, and `not` leaves unknown. Evaluation ends where the answer is
certain and goes on past an unknown, and records each test that it made, so that the log shows what
was known. An empty value is known: equality is false for it, order is unknown.

The same tree answers a second question: could a workflow that is not listed yet make the rule hold?
For that, a `View` has `assumed` set: each test of a workflow returns it instead of testing, and
`Not` inverts it for the part within.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from responder.model import ABSENT, Condition, Unknown
from responder.rules.facts.moments import Holds, any_of
from responder.rules.facts.operators import Operator, Prepared
from responder.rules.facts.registry import Fact
from responder.rules.facts.values import duration_in_words, is_empty

Kleene = bool | None
Facts = Mapping[str, object]


# Portals send the same few values over and over. A test caches so many answers, then starts anew,
# and caches none for a text longer than this.
_REMEMBERED = 32
_LONG = 100


@dataclass(slots=True, kw_only=True)
class View:
    """The input of rules for one workflow (facts and time), and the record of the tests made.

    Where `assumed` is set, nothing is recorded. `failed_on_document` collects the ids of rules that
    a test of the document made false, so that no workflow on that document can make them hold.
    """

    facts: Facts
    now: datetime
    assumed: bool | None = None
    trace: list[Condition] = field(default_factory=list)
    failed_on_document: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTest:
    """One test of one fact, in a rule. `place` is its position in the rule: `if.deal.stage_id`.

    `answers` caches the conditions for texts and whole numbers, unless an answer depends on more
    than the value (`remembers`).
    """

    rule: str
    fact: Fact
    place: str
    operator: Operator
    operand: Prepared
    wording: str
    negated: bool
    path: str
    about_workflow: bool
    remembers: bool
    answers: dict[str | int, Condition] = field(default_factory=dict, compare=False, repr=False)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Return the facts that this test reads."""
        return (self.fact, self.operand.other) if self.operand.other else (self.fact,)

    def holds(self, view: View) -> Kleene:
        """Make the test, record it in the view, and return its result."""
        assumed = view.assumed
        if assumed is not None and self.about_workflow:
            return assumed
        value = view.facts.get(self.path, ABSENT)
        if type(value) is str or type(value) is int:
            made = self.answers.get(value)
            if made is not None:
                if assumed is None:
                    view.trace.append(made)
                return made.holds
        return self._evaluate(value, view)

    def answer_for(self, value: object, now: datetime) -> Kleene:
        """Return the answer for a value of the fact, which no view knows and no trace records.

        Not for tests that compare two facts.
        """
        found = (
            value if isinstance(value, Unknown) else self._answer(value, View(facts={}, now=now))
        )
        return None if isinstance(found, Unknown) else found is not self.negated

    def _evaluate(self, value: object, view: View) -> Kleene:
        """Make a test whose answer is not cached, and cache the answer where that is possible."""
        found = value if isinstance(value, Unknown) else self._answer(value, view)
        made = Condition(
            rule=self.rule,
            path=self.place,
            test=self.wording if self.operand.other is None else self._pair_wording(view),
            value=_shown(value),
            holds=None if isinstance(found, Unknown) else found is not self.negated,
            why=found.why if isinstance(found, Unknown) else None,
        )
        if view.assumed is None:
            view.trace.append(made)
        if self.remembers and made.holds is not None and type(value) in (str, int):
            self._remember(value, made)
        return made.holds

    def _remember(self, value: object, made: Condition) -> None:
        assert isinstance(value, str | int)
        if len(self.answers) >= _REMEMBERED:
            self.answers.clear()
        if not isinstance(value, str) or len(value) <= _LONG:
            self.answers[value] = made

    def tests(self) -> Iterator["FactTest"]:
        """Yield this test, as a group yields its own."""
        yield self

    def _answer(self, value: object, view: View) -> Holds:
        """Return the answer before negation."""
        if self.operand.other is not None:
            return self._answer_for_pair(value, view)
        if isinstance(value, list | tuple | dict):
            return self._answer_for_several(_values_of(value), view.now)
        return self._answer_for_one(value, view.now)

    def _answer_for_one(self, value: object, now: datetime) -> Holds:
        if is_empty(value, self.fact.type):
            return self.operator.empty
        assert self.operand.check is not None
        return self.operand.check(value, now)

    def _answer_for_several(self, several: Sequence[object], now: datetime) -> Holds:
        """Return whether the test holds for one of several values; all empty count as one empty."""
        if all(is_empty(value, self.fact.type) for value in several):
            return self.operator.empty
        return any_of(self._answer_for_one(value, now) for value in several)

    def _answer_for_pair(self, value: object, view: View) -> Holds:
        other, pair = self.operand.other, self.operand.pair
        assert other is not None
        assert pair is not None
        against = view.facts.get(other.path, ABSENT)
        if isinstance(against, Unknown):
            return against
        left = [one for one in _values_of(value) if not is_empty(one, self.fact.type)]
        right = [one for one in _values_of(against) if not is_empty(one, other.type)]
        if not left or not right:
            return self.operator.empty
        return any_of(pair(one, two) for one in left for two in right)

    def _pair_wording(self, view: View) -> str:
        assert self.operand.other is not None
        against = view.facts.get(self.operand.other.path, ABSENT)
        shown = "unknown" if isinstance(against, Unknown) else against
        return f"{self.wording} ({shown})"


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of parts. The first part whose result is `settled_by` decides the group's."""

    parts: tuple["Part", ...]

    settled_by: ClassVar[bool]

    @property
    def about_workflow(self) -> bool:
        """Return whether any test within is about a workflow."""
        return any(part.about_workflow for part in self.parts)

    def holds(self, view: View) -> Kleene:
        """Return `settled_by` at the first such part; unknown if another was unknown."""
        result: Kleene = not self.settled_by
        for part in self.parts:
            found = part.holds(view)
            if found is self.settled_by:
                return found
            if found is None:
                result = None
        return result

    def tests(self) -> Iterator[FactTest]:
        """Yield every test within."""
        for part in self.parts:
            yield from part.tests()


class All(_Group):
    """A group that holds when all its parts do: one false part decides it."""

    __slots__ = ()
    settled_by = False


class AnyOf(_Group):
    """A group that holds when one of its parts does: one true part decides it."""

    __slots__ = ()
    settled_by = True


@dataclass(frozen=True, slots=True)
class Not:
    """A part that holds when the part within does not."""

    part: "Part"

    @property
    def about_workflow(self) -> bool:
        """Return whether the test within is about a workflow."""
        return self.part.about_workflow

    def holds(self, view: View) -> Kleene:
        """Return the opposite of the part within, and unknown for unknown."""
        view.assumed = None if view.assumed is None else not view.assumed
        found = self.part.holds(view)
        view.assumed = None if view.assumed is None else not view.assumed
        return None if found is None else not found

    def tests(self) -> Iterator[FactTest]:
        """Yield every test within."""
        yield from self.part.tests()


Part = FactTest | All | AnyOf | Not


def fact_test(rule: str, fact: Fact, place: str, operator: Operator, operand: Prepared) -> FactTest:
    """Build the test of a fact from an operator and its prepared operand."""
    other = operand.other
    return FactTest(
        rule=rule,
        fact=fact,
        place=place,
        operator=operator,
        operand=operand,
        wording=operator.english.format(operand.words),
        negated=operator.negates or operand.negated,
        path=fact.path,
        about_workflow=fact.about_workflow or (other is not None and other.about_workflow),
        remembers=other is None and operand.timeless,
    )


def _values_of(value: object) -> Sequence[object]:
    """Return the values of a field as a sequence; a single value as a sequence of one."""
    if isinstance(value, list | tuple):
        return value
    # PHP sends a list whose numbering has holes as an object.
    if isinstance(value, dict) and all(str(key).isdigit() for key in value):
        return list(value.values())
    return (value,)


def _shown(value: object) -> object:
    if isinstance(value, Unknown):
        return None
    return duration_in_words(value) if isinstance(value, timedelta) else value
