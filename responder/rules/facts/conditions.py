"""One test of one fact, and how tests join: true, false or unknown.

The logic is Kleene's. A test of a fact that could not be read is unknown; false and unknown is
false, true or unknown is true, and `not` leaves unknown. Evaluation ends where the answer is
certain and goes on past an unknown, writing down every test it made on the way, so that the log
can say what was known. What is empty is known: equality is false for it, order is unknown.

The same tree answers a second question: could a workflow that is not listed yet make this hold? For
that a `View` carries a `wish`, which tests of workflows return instead of looking; `Not` turns the
wish round with everything else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from responder.model import Condition, Unknown
from responder.rules.facts.derived import ABSENT
from responder.rules.facts.moments import Holds, any_of
from responder.rules.facts.operators import Operator, Prepared
from responder.rules.facts.registry import Fact
from responder.rules.facts.values import duration_in_words, is_empty

Kleene = bool | None
Facts = Mapping[str, object]


# How many answers a test remembers before it begins anew.
_REMEMBERED = 32
_LONG = 100
_new_tuple = tuple.__new__


@dataclass(slots=True, kw_only=True)
class View:
    """What rules see when they are read for one workflow, and the trace that they leave.

    With a `wish` nothing is traced. `hopeless` has the ids of rules that were found not to hold by
    a test of the document, so that no other workflow on it could make them.
    """

    facts: Facts
    now: datetime
    workflow: str | None = None
    wish: bool | None = None
    trace: list[Condition] = field(default_factory=list)
    hopeless: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTest:
    """One test of one fact, in a rule. `place` is where the rule has it: `if.deal.stage_id`.

    Portals send the same few values over and over, so a test remembers its answers to texts and
    whole numbers in `answers`, unless they also depend on something else.
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
    answers: dict[str | int, bool] = field(default_factory=dict, compare=False, repr=False)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Return the facts that this test looks at."""
        return (self.fact, self.operand.other) if self.operand.other else (self.fact,)

    def holds(self, view: View) -> Kleene:
        """Make the test and write down how it came out."""
        wish = view.wish
        if wish is not None and self.about_workflow:
            return wish
        value = view.facts.get(self.path, ABSENT)
        if type(value) is str or type(value) is int:
            known: Kleene = self.answers.get(value)
            if known is not None:
                if wish is None:
                    view.trace.append(
                        _new_tuple(
                            Condition,
                            (
                                self.rule,
                                self.place,
                                self.wording,
                                value,
                                known,
                                None,
                                view.workflow,
                            ),
                        )
                    )
                return known
        return self._asked(value, view)

    def _asked(self, value: object, view: View) -> Kleene:
        """Make a test whose answer is not remembered, and remember it where that is possible."""
        found = value if isinstance(value, Unknown) else self._of(value, view)
        known = None if isinstance(found, Unknown) else found is not self.negated
        if view.wish is None:
            view.trace.append(
                Condition(
                    rule=self.rule,
                    path=self.place,
                    test=self.wording if self.operand.other is None else self._pair_wording(view),
                    value=_shown(value),
                    holds=known,
                    why=found.why if isinstance(found, Unknown) else None,
                    workflow=view.workflow,
                )
            )
        if self.remembers and known is not None and type(value) in (str, int):
            self._remember(value, known)
        return known

    def _remember(self, value: object, known: bool) -> None:  # noqa: FBT001  # an answer
        assert isinstance(value, str | int)
        if len(self.answers) >= _REMEMBERED:
            self.answers.clear()
        if not isinstance(value, str) or len(value) <= _LONG:
            self.answers[value] = known

    def tests(self) -> Iterator["FactTest"]:
        """Yield this test, as a group yields its own."""
        yield self

    def _of(self, value: object, view: View) -> Holds:
        """Answer before negation."""
        if self.operand.other is not None:
            return self._of_pair(value, view)
        if isinstance(value, list | tuple | dict):
            return self._of_several(_several(value), view.now)
        return self._of_one(value, view.now)

    def _of_one(self, value: object, now: datetime) -> Holds:
        if is_empty(value, self.fact.type):
            return self.operator.empty
        assert self.operand.check is not None
        return self.operand.check(value, now)

    def _of_several(self, several: Sequence[object], now: datetime) -> Holds:
        """Hold if it holds for one of them; nothing but empty ones are empty together."""
        if all(is_empty(value, self.fact.type) for value in several):
            return self.operator.empty
        return any_of(self._of_one(value, now) for value in several)

    def _of_pair(self, value: object, view: View) -> Holds:
        other, pair = self.operand.other, self.operand.pair
        assert other is not None
        assert pair is not None
        against = view.facts.get(other.path, ABSENT)
        if isinstance(against, Unknown):
            return against
        left = [one for one in _several(value) if not is_empty(one, self.fact.type)]
        right = [one for one in _several(against) if not is_empty(one, other.type)]
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
    """Parts that hold together. The first one that comes out as `settled_by` settles it."""

    parts: tuple["Part", ...]

    settled_by: ClassVar[bool]

    @property
    def about_workflow(self) -> bool:
        """Tell whether any test within looks at a workflow."""
        return any(part.about_workflow for part in self.parts)

    def holds(self, view: View) -> Kleene:
        """Read the parts up to the one that settles it; without one, unknown if a part was."""
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
    """Holds when all its parts do: a false one settles it."""

    __slots__ = ()
    settled_by = False


class AnyOf(_Group):
    """Holds when one of its parts does: a true one settles it."""

    __slots__ = ()
    settled_by = True


@dataclass(frozen=True, slots=True)
class Not:
    """Holds when its part does not."""

    part: "Part"

    @property
    def about_workflow(self) -> bool:
        """Tell whether the test within looks at a workflow."""
        return self.part.about_workflow

    def holds(self, view: View) -> Kleene:
        """Return the opposite, and unknown for unknown."""
        view.wish = None if view.wish is None else not view.wish
        found = self.part.holds(view)
        view.wish = None if view.wish is None else not view.wish
        return None if found is None else not found

    def tests(self) -> Iterator[FactTest]:
        """Yield every test within."""
        yield from self.part.tests()


Part = FactTest | All | AnyOf | Not


def fact_test(rule: str, fact: Fact, place: str, operator: Operator, operand: Prepared) -> FactTest:
    """Join a fact, an operator and what it was prepared with."""
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


def _several(value: object) -> Sequence[object]:
    """Return the values of a field that may have several.

    PHP sends a list whose numbering has holes as an object.
    """
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict) and all(str(key).isdigit() for key in value):
        return list(value.values())
    return (value,)


def _shown(value: object) -> object:
    if isinstance(value, Unknown):
        return None
    return duration_in_words(value) if isinstance(value, timedelta) else value
