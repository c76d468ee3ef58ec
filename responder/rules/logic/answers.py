"""Lists the answers that the tests of one fact can give together, whatever the fact is.

Two tests of one fact are not free of each other: where `over: 30` holds, so does `over: 14`. A
`Variable` has a cell for each combination of answers that may come; two values of the fact with the
same answers share one. A cell too many is harmless, for then less is found; one that is missing
would be a lie. So the cells of a fact with one value come from the tests themselves, which are made
of values between and beside all that they compare it with (`samples`), and where that is not
enough (several values, fields of unknown types, patterns), the tests are taken apart and each may
give any answer; of tests of order only that the stricter one implies the weaker one is known.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple

from responder.model import Unknown
from responder.rules.facts.conditions import All, AnyOf, FactTest, Kleene, Not, Part
from responder.rules.facts.fields import Type
from responder.rules.facts.moments import Moment
from responder.rules.facts.registry import Fact
from responder.rules.facts.values import is_empty
from responder.rules.logic import samples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNKNOWN = Unknown("")
_ANY_ANSWER: tuple[Kleene, ...] = (True, False, None)
_POSITIVE = {
    "is": "one of",
    "is_not": "one of",
    "one_of": "one of",
    "none_of": "one of",
    "in_list": "one of",
    "not_in_list": "one of",
    "outside": "within",
}
_RISING = frozenset({"over", "at_least", "older_than"})
_FALLING = frozenset({"below", "at_most", "newer_than"})
_STRICT = frozenset({"over", "below", "older_than", "newer_than"})
_TEXTUAL = frozenset({"contains", "starts_with", "ends_with", "matches"})
_MANY = 200  # literals: no more are tried
_FEW = 4  # so many tests that give any answer are looked at together


class Asked(NamedTuple):
    """What makes two tests the same, but for a negation."""

    path: str
    operator: str
    words: str
    compared: tuple[str, ...]


class Cell(NamedTuple):
    """One combination of answers, in the order of the variable's tests; what value gives it.

    `value` is `empty`, `unknown`, `no` (of yes or no), `none` (0), or another word.
    """

    answers: tuple[Kleene, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Variable:
    """Some tests of one fact, and the combinations of answers that they may give."""

    path: str
    tests: tuple[FactTest, ...]
    cells: tuple[Cell, ...]

    def where(self, test: FactTest, answer: Kleene) -> int:
        """Return the cells in which one of the tests has an answer, as bits.

        A test that is the negation of one of these has the opposite answer.
        """
        asked = asked_by(test)
        place = next(n for n, one in enumerate(self.tests) if asked_by(one) == asked)
        if answer is not None and test.negated is not self.tests[place].negated:
            answer = not answer
        return self.bits(cell.answers[place] is answer for cell in self.cells)

    def of_value(self, *names: str) -> int:
        """Return the cells that come of such values, as bits."""
        return self.bits(cell.value in names for cell in self.cells)

    def may_be(self, value: object) -> int:
        """Return the cells that may come of a value, as bits."""
        told = [None if t.operand.other else t.answer_for(value, NOW) for t in self.tests]
        free = [test.operand.other is not None for test in self.tests]
        return self.bits(
            all(
                is_free or got is wanted
                for got, wanted, is_free in zip(cell.answers, told, free, strict=True)
            )
            for cell in self.cells
        )

    @staticmethod
    def bits(some: Iterable[bool]) -> int:
        """Return a number with a bit for each of these that is true."""
        return sum(1 << place for place, one in enumerate(some) if one)


def asked_by(test: FactTest) -> Asked:
    """Return what a test asks, whether it is negated or not."""
    name, operand = test.operator.name, test.operand
    compared = tuple(sorted(map(repr, operand.compared)))
    words = "" if compared or name == "exists" else operand.words
    if operand.other is not None:
        words = f"{{fact: {operand.other.path}}}"
    return Asked(test.path, _POSITIVE.get(name, name), f"{words}{operand.unit}", compared)


def identity(part: Part) -> object:
    """Return what is the same for the same test, or the same group of tests."""
    match part:
        case FactTest():
            return asked_by(part), part.negated
        case Not(inner):
            return "not", identity(inner)
        case All(parts) | AnyOf(parts):
            return isinstance(part, All), tuple(map(identity, parts))


def variables(path_tests: Sequence[FactTest]) -> Iterator[Variable]:
    """Yield variables that together have all these tests of one fact, each test in one."""
    tests = list({asked_by(test): test for test in path_tests}.values())
    together = _of_one_value(tests)
    if together:
        yield _of_samples(together)
        tests = [test for test in tests if test not in together]
    for chain in _chains(tests):
        yield chain
        tests = [test for test in tests if test not in chain.tests]
    for test in tests:
        cells = (Cell((one,), _value_for(test, answer=one)) for one in _ANY_ANSWER)
        yield Variable(test.path, (test,), tuple(cells))


def _value_for(test: FactTest, *, answer: Kleene) -> str:
    """Return the name of the value that gives an answer to a test, where there is only one."""
    exists = answer is not test.negated
    return "empty" if test.operator.name == "exists" and answer is not None and not exists else ""


def has_one_value(fact: Fact) -> bool:
    """Return whether a fact has one value, of a type that is known."""
    several = "several values" in fact.description or fact.path == "event.name"
    return fact.type is not Type.ANY and not several


def _of_one_value(tests: Sequence[FactTest]) -> tuple[FactTest, ...]:
    """Return the tests that tell apart values which are known, and so can be tried."""
    if not tests or not has_one_value(tests[0].fact):
        return ()
    some = [test for test in tests if test.operand.other is None and not test.operand.unit]
    lengths = [test for test in some if isinstance(next(iter(test.operand.compared), 0), timedelta)]
    values = [one for one in some if one not in lengths and _has_samples(one)]
    if tests[0].fact.type is not Type.DAY and lengths:
        values = lengths
    existing = [one for one in some if one.operator.name == "exists"]
    if not (values or existing) or sum(len(one.operand.compared) for one in values) > _MANY:
        return ()
    beside = [test for test in some if test.operator.name in _TEXTUAL][:_FEW]
    return (*values, *beside, *existing)


def _has_samples(test: FactTest) -> bool:
    compared = test.operand.compared
    if not compared or test.operator.name in _TEXTUAL:
        return False
    if test.fact.type in (Type.DATE, Type.DAY):
        return all(isinstance(one, Moment) and one.whole for one in compared)
    return True


def _of_samples(tests: tuple[FactTest, ...]) -> Variable:
    fact = tests[0].fact
    compared = [one for test in tests for one in test.operand.compared]
    cells = {
        Cell(tuple(test.answer_for(value, NOW) for test in tests), _name(value, fact)): None
        for value in (*samples.of(fact, compared, NOW), None, UNKNOWN)
    }
    for value in samples.others(fact, compared):
        # Another text may or may not have what a pattern looks for.
        told = [
            (True, False) if test.operator.name in _TEXTUAL else (test.answer_for(value, NOW),)
            for test in tests
        ]
        cells |= {Cell(answers, "other"): None for answers in product(*told)}
    return Variable(fact.path, tests, tuple(cells))


def _name(value: object, fact: Fact) -> str:
    if isinstance(value, Unknown):
        return "unknown"
    if is_empty(value, fact.type):
        return "empty"
    if value is False and fact.type is Type.TRUTH:
        return "no"
    return "none" if fact.type is Type.NUMBER and value == 0 and value is not False else "other"


def _chains(tests: Sequence[FactTest]) -> Iterator[Variable]:
    """Yield tests of order, of which the stricter implies the weaker, also of several values."""
    found: dict[tuple[bool, str, type], list[FactTest]] = {}
    for test in tests:
        name, operand = test.operator.name, test.operand
        ordered = name in _RISING or name in _FALLING
        if ordered and operand.compared and not isinstance(operand.compared[0], Moment):
            key = (name in _RISING, operand.unit, type(operand.compared[0]))
            found.setdefault(key, []).append(test)
    for (rising, _, _), some in found.items():
        if 1 < len(some) <= _FEW:
            weakest_first = tuple(sorted(some, key=_strictness, reverse=not rising))
            yield Variable(some[0].path, weakest_first, tuple(_prefixes(len(some))))


def _strictness(test: FactTest) -> tuple[object, bool]:
    rising = test.operator.name in _RISING
    return test.operand.compared[0], (test.operator.name in _STRICT) is rising


def _prefixes(count: int) -> Iterator[Cell]:
    """Yield the answers of tests, weakest first, where one that holds implies those before it."""
    for held in range(count + 1):
        for rest in product((False, None), repeat=count - held):
            yield Cell((*(True,) * held, *rest), "")


def of_tests(tests: Iterable[FactTest]) -> Mapping[str, tuple[Variable, ...]]:
    """Return the variables of all these tests, by the paths of their facts."""
    by_path: dict[str, list[FactTest]] = {}
    for test in tests:
        by_path.setdefault(test.path, []).append(test)
    return {path: tuple(variables(some)) for path, some in by_path.items()}
