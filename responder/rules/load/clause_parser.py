"""Parses `if` and `unless`: maps of tests, and `any`, `all` and `not` within them.

Every mistake is recorded with its place and parsing goes on, so that all are reported at once. The
result of a clause with a mistake must not be evaluated; the file is then not loaded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from responder.rules.calendars import Calendar
from responder.rules.facts import amounts, literals, registry, working_time
from responder.rules.facts.amounts import AMOUNTS
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part, fact_test
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import FileContext, MisfitError, Units
from responder.rules.facts.operators import OPERATORS, Operator, Prepared
from responder.rules.facts.registry import Fact
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest

GROUPS = ("any", "all", "not")
# They stand beside tests, and are none themselves:
HOURS = "in"  # the calendar of the working days that a duration is compared with
CURRENCY = "currency"  # that of the amounts that a user field is compared with
UNITS = (HOURS, CURRENCY)

_CURRENCY = re.compile("[A-Za-z]{3}")


class Use(NamedTuple):
    """A fact that a rule tests, and the node that names it."""

    fact: Fact
    node: Node


@dataclass(slots=True)
class ClauseReader:
    """A parser of the clauses of one rule, which collects the facts that they use."""

    rule: str
    mistakes: Mistakes
    context: FileContext
    uses: list[Use] = field(default_factory=list)

    def read(self, node: Node, place: str) -> tuple[Part, ...]:
        """Parse a map of tests, which is at `place` in its rule."""
        if not isinstance(node, Table):
            self.mistakes.error(node, f"`{place}` is a map of tests, such as deal.stage_id: NEW")
            return ()
        if not node.pairs:
            self.mistakes.error(node, f"`{place}` has no tests")
        return tuple(self._parts(node, place))

    def _parts(self, table: Table, place: str) -> Iterator[Part]:
        for key, value in table.pairs:
            if key.text in GROUPS:
                yield self._group(key, value, f"{place}.{key.text}")
            else:
                tests = tuple(self._tests(key, value, f"{place}.{key.text}"))
                # Several tests of one fact are one condition, also where `unless` asks for any.
                yield tests[0] if len(tests) == 1 else All(tests)

    def _group(self, key: Scalar, value: Node, place: str) -> Part:
        if key.text == "not":
            return Not(All(self.read(value, place)))
        if not isinstance(value, Items) or not value.items:
            message = f"`{key.text}` takes a list of maps of tests"
            self.mistakes.error(value if isinstance(value, Items) else key, message)
            return AnyOf(())
        parts = tuple(
            All(self.read(item, f"{place}[{number}]")) for number, item in enumerate(value.items)
        )
        return AnyOf(parts) if key.text == "any" else All(parts)

    def _tests(self, key: Scalar, value: Node, place: str) -> Iterator[FactTest]:
        fact = self._fact(key)
        if fact is None:
            return
        self.uses.append(Use(fact, key))
        if isinstance(value, Table):
            tests = [pair for pair in value.pairs if pair[0].text not in UNITS]
            if not tests:
                self.mistakes.error(value, f"`{key.text}` has no test")
                return
            context = replace(self.context, units=self._units(fact, value))
            for operator, operand in tests:
                yield from self._test(fact, operator, operator.text, operand, place, context)
        elif isinstance(value, Items):
            yield from self._test(fact, key, "one_of", value, place)
        else:
            yield from self._test(fact, key, "is", value, place)

    def _fact(self, key: Scalar) -> Fact | None:
        fact = registry.find(key.text)
        if fact is None:
            meant = (
                registry.nearest_fact(key.text) if "." in key.text else nearest(key.text, GROUPS)
            )
            self.mistakes.error(key, f"there is no fact `{key.text}`", meant)
        return fact

    def _units(self, fact: Fact, tests: Table) -> Units:
        """Parse what stands beside the tests of one fact: `in` and `currency`."""
        return Units(hours=self._hours(fact, tests), currency=self._currency(fact, tests))

    def _hours(self, fact: Fact, tests: Table) -> Calendar | None:
        """Parse the calendar of the working days that a duration is compared with."""
        node, key = tests.get(HOURS), tests.key(HOURS)
        if node is None or key is None:
            return None
        if fact.type is not Type.DURATION:
            self.mistakes.error(key, f"`in` is for durations, and `{fact.path}` is none")
        elif not any(_means_working_days(operand) for _, operand in tests.pairs):
            message = "`in` names the calendar of working days, such as 3wd, and here are none"
            self.mistakes.error(key, message)
        try:
            return literals.calendar(node, self.context)
        except MisfitError as misfit:
            self.mistakes.error(misfit.node, misfit.message, misfit.suggestion)
            # So that the mistake is reported once: the tests are read as if it were known.
            return Calendar(name="")

    def _currency(self, fact: Fact, tests: Table) -> str | None:
        """Parse the currency of the amounts that a user field is compared with."""
        key, node = tests.key(CURRENCY), tests.get(CURRENCY)
        if key is None or node is None:
            return None
        if fact.type is not Type.ANY:
            field = fact.path.removesuffix("opportunity") + "currency_id"
            meant = field if fact.path.endswith(".opportunity") else None
            message = f"`currency` is for amounts in user fields, and `{fact.path}` is none"
            self.mistakes.error(key, message, meant)
        elif not isinstance(node, Scalar) or not _CURRENCY.fullmatch(node.text):
            self.mistakes.error(node, "a currency is three letters, such as RUB")
        else:
            return node.text.upper()
        return None

    def _test(
        self,
        fact: Fact,
        key: Scalar,
        name: str,
        operand: Node,
        place: str,
        context: FileContext | None = None,
    ) -> Iterator[FactTest]:
        """Parse one test. `key` is the node of its operator, or of the fact in the short form."""
        operator, context = OPERATORS.get(name), context or self.context
        if operator is None:
            self._no_operator(key)
        elif fact.type not in operator.types:
            self.mistakes.error(key, _does_not_take(fact, name))
        elif context.units.currency is not None and name not in (*AMOUNTS, "exists"):
            message = f"`{name}` compares no amounts: `currency` goes with {', '.join(AMOUNTS)}"
            self.mistakes.error(key, message)
        else:
            try:
                prepared = _prepared(operator, operand, fact, context)
            except MisfitError as misfit:
                self.mistakes.error(misfit.node, misfit.message, misfit.suggestion)
                return
            if prepared.other is not None:
                self.uses.append(Use(prepared.other, operand))
            yield fact_test(self.rule, fact, place, operator, prepared)

    def _no_operator(self, key: Scalar) -> None:
        if key.text == "fact":
            self.mistakes.error(key, "a fact is compared by an operator: {is: {fact: …}}", "is")
        else:
            meant = nearest(key.text, OPERATORS)
            self.mistakes.error(key, f"there is no test `{key.text}`", meant)


def _prepared(operator: Operator, operand: Node, fact: Fact, context: FileContext) -> Prepared:
    currency = context.units.currency
    if currency is None or operator.name not in AMOUNTS:
        return operator.prepare(operand, fact, context)
    return amounts.prepare(operator.name, operand, fact, currency)


def _means_working_days(operand: Node) -> bool:
    several = operand.items if isinstance(operand, Items) else (operand,)
    return any(isinstance(one, Scalar) and working_time.is_meant(one.text) for one in several)


def _does_not_take(fact: Fact, name: str) -> str:
    taken = ", ".join(row.name for row in OPERATORS.values() if fact.type in row.types)
    return f"`{name}` cannot test `{fact.path}` ({fact.type}), which takes {taken}"
