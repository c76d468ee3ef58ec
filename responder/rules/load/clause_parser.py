"""Parses `if` and `unless`: maps of tests, and `any`, `all` and `not` within them.

Every mistake is recorded with its place and parsing goes on, so that all are reported at once. The
result of a clause with a mistake must not be evaluated; the file is then not loaded.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from responder.rules.calendars import Calendar
from responder.rules.facts import amounts, closed_values, literals, registry, working_time
from responder.rules.facts.amounts import AMOUNTS
from responder.rules.facts.closed_values import Complaint
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part, fact_test
from responder.rules.facts.fields import Type
from responder.rules.facts.literals import FileContext, MisfitError, Units
from responder.rules.facts.operators import OPERATORS, Operator, Prepared
from responder.rules.facts.registry import Fact
from responder.rules.load import plain_words, unknown_facts
from responder.rules.load.coherence import contradictions
from responder.rules.load.suggestions import (
    comparisons,
    misplaced_tests,
    synonyms,
    written_values,
    wrong_operands,
    yaml_text,
)
from responder.rules.load.suggestions.texts import misleading_texts, wildcards
from responder.rules.load.syntax.tree_builder import EXPRESSION
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

GROUPS = ("any", "all", "not")
_BESIDE = ("if", "unless", "when", "then", "mode", "wait", "during", "keep", "limit")
# They stand beside tests, and are none themselves:
HOURS = "in"  # the calendar of the working days that a duration is compared with
CURRENCY = "currency"  # that of the amounts that a user field is compared with
UNITS = (HOURS, CURRENCY)

AMOUNTS_OF_ITEMS = (".opportunity", ".revenue")
_CURRENCY = re.compile("[A-Za-z]{3}")


class Use(NamedTuple):
    """A fact that a rule tests, and the node that names it."""

    fact: Fact
    node: Node


@dataclass(slots=True)
class ClauseReader:
    """A parser of the clauses of one rule, which collects the facts that they use.

    `kind` is the kind of document that is probably at hand, for a fact that does not name it.
    """

    rule: str
    mistakes: Mistakes
    context: FileContext
    kind: str | None = None
    uses: list[Use] = field(default_factory=list)
    meant: set[str] = field(default_factory=set)  # the facts that wrong names are said to mean
    is_whole: bool = True  # False where an operand was reported before it came here

    def read(self, node: Node, place: str) -> tuple[Part, ...]:
        """Parse a map of tests, which is at `place` in its rule."""
        if not isinstance(node, Table):
            self.no_map(node, node, place)
            return ()
        if not node.pairs:
            self.mistakes.error(node, f"`{place}` has no tests")
        return tuple(self._parts(node, place))

    def no_map(self, node: Node, shown: Node, place: str) -> None:
        """Record that there is no map of tests at a node, to be shown at that node or another."""
        said = plain_words.of_sentence(node.text) if isinstance(node, Scalar) else None
        if isinstance(node, Items):
            message = f"the tests of `{place}` stand below each other, without dashes or brackets"
            self.mistakes.error(shown, message, yaml_text.in_one_map(node))
        elif said is not None:
            self.mistakes.error(node, said.message, said.suggestion)
        elif isinstance(node, Scalar) and registry.find(node.text.partition(" ")[0]) is not None:
            said = misplaced_tests.as_a_map(node.text, self.context.lists)
            # A map in the line of its key stands in braces.
            in_line = shown is not node and shown.line == node.line
            meant = f"{{{said.suggestion}}}" if said.suggestion and in_line else said.suggestion
            self.mistakes.error(node, said.message, meant)
        else:
            message = f"`{place}` is a map of tests, such as deal.stage_id: NEW"
            self.mistakes.error(shown, message)

    def _in_one(self, table: Table) -> Iterator[tuple[Scalar, Node]]:
        """Yield the pairs of a map; those below a mere owner, `deal:`, with their whole path."""
        for key, value in table.pairs:
            below = tuple(_below(key, value))
            if [name.text for name, _ in below] != [key.text]:
                pairs = [f"{name.text}: {yaml_text.written(tests)}" for name, tests in below]
                meant = "\n".join(pairs) or None
                self.mistakes.error(key, "the path of a fact is written in one", meant)
            yield from below

    def _parts(self, table: Table, place: str) -> Iterator[Part]:
        for key, value in self._in_one(table):
            if key.text in GROUPS:
                yield self._group(key, value, f"{place}.{key.text}")
            else:
                tests = tuple(self._tests(key, value, f"{place}.{key.text}"))
                # Several tests of one fact are one condition, also where `unless` asks for any.
                yield tests[0] if len(tests) == 1 else All(tests)

    def _group(self, key: Scalar, value: Node, place: str) -> Part:
        if key.text == "not":
            return Not(All(self.read(value, place)))
        if isinstance(value, Table) and value.pairs:
            value = misplaced_tests.alternatives(key, value, self.mistakes)
        if not isinstance(value, Items) or not value.items:
            message = f"`{key.text}` is a list: each of its tests begins with a dash"
            self.mistakes.error(value if isinstance(value, Items) else key, message)
            return AnyOf(())
        parts = tuple(
            All(self.read(item, f"{place}[{number}]")) for number, item in enumerate(value.items)
        )
        return AnyOf(parts) if key.text == "any" else All(parts)

    def _tests(self, key: Scalar, value: Node, place: str) -> Iterator[FactTest]:
        key, value = misplaced_tests.apart(key, value, self.mistakes)
        fact = self._fact(key, value)
        if fact is None:
            return
        self.uses.append(Use(fact, key))
        if isinstance(value, Scalar) and value.kind == "broken":
            self.is_whole = False
        elif isinstance(value, Table):
            yield from self._of_map(fact, key, value, place)
        elif isinstance(value, Items):
            yield from self._test(fact, key, "one_of", value, place)
        else:
            yield from self._test(fact, key, "is", value, place)

    def _of_map(self, fact: Fact, key: Scalar, value: Table, place: str) -> Iterator[FactTest]:
        tests = [
            (operator, operand)
            for operator, operand in value.pairs
            if not _stands_beside(operator.text, operand, fact, value)
        ]
        if not tests:
            self.mistakes.error(value, f"`{key.text}` has no test")
            return
        if (values := misplaced_tests.values_in_braces(tests)) is not None:
            message = "values stand without braces, and several of them in square brackets"
            self.mistakes.error(value, message, values)
            self.is_whole = False
            return
        if (span := comparisons.span(tests)) is not None:
            self.mistakes.error(tests[0][0], "two ends are those of `between`", span)
            self.is_whole = False
            return
        context = replace(self.context, units=self._units(fact, key, value))
        for operator, operand in tests:
            yield from self._test(fact, operator, operator.text, operand, place, context)
        for clash in contradictions.clashes(fact, tests, self.context):
            message = f"no value passes both `{clash.first}` and `{clash.second}` here"
            self.mistakes.error(clash.node, f"{message}, so this never holds", new=True)

    def _fact(self, key: Scalar, value: Node) -> Fact | None:
        fact = registry.find(key.text)
        if fact is None and key.text in _BESIDE:
            self.mistakes.error(key, f"`{key.text}` stands beside `if`, not within it")
        elif fact is None and "." in key.text:
            unknown = unknown_facts.said(key.text, value, self.kind)
            self.meant |= {unknown.fact} if unknown.fact else set()
            self.mistakes.error(key, unknown.message, unknown.suggestion)
        elif fact is None:
            meant = self._meant(key.text)
            self.meant |= {meant} if meant else set()
            self.mistakes.error(key, f"there is no fact `{key.text}`", meant)
        return fact

    def _meant(self, path: str) -> str | None:
        """Return the fact or the group that is probably meant by a name without a kind."""
        called = unknown_facts.named(path, self.kind)
        if called is not None:
            return called
        fact = f"{self.kind}.{path.lower()}"
        if self.kind and registry.find(fact):
            return fact
        group = synonyms.meant(path, GROUPS, synonyms.GROUPS)
        return group or (registry.nearest_fact(fact) if self.kind else None)

    def _units(self, fact: Fact, path: Scalar, tests: Table) -> Units:
        """Parse what stands beside the tests of one fact: `in` and `currency`."""
        return Units(hours=self._hours(fact, tests), currency=self._currency(fact, path, tests))

    def _hours(self, fact: Fact, tests: Table) -> Calendar | None:
        """Parse the calendar of the working days that a duration is compared with."""
        node, key = tests.get(HOURS), tests.key(HOURS)
        if node is None or key is None or not _stands_beside(HOURS, node, fact, tests):
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

    def _currency(self, fact: Fact, path: Scalar, tests: Table) -> str | None:
        """Parse the currency of the amounts that a user field is compared with."""
        key, node = tests.key(CURRENCY), tests.get(CURRENCY)
        if key is None or node is None:
            return None
        if fact.type is not Type.ANY:
            field = fact.path.rpartition(".")[0] + ".currency_id"
            message = f"`currency` is for amounts in user fields, and `{fact.path}` is none"
            meant = None
            if fact.path.endswith(AMOUNTS_OF_ITEMS):
                self.meant |= {field}
                rest = (pair for pair in tests.pairs if pair[0] is not key)
                pairs = (f"{one.text}: {yaml_text.written(it)}" for one, it in rest)
                meant = f"{path.text}: {yaml_text.in_braces(pairs)}"
                if field not in {use.fact.path for use in self.uses}:
                    meant += f"\n{field}: {yaml_text.written(node)}"
                message += f": `{field}` is a test of its own"
            self.mistakes.error(key, message, meant)
        elif not isinstance(node, Scalar) or not _CURRENCY.fullmatch(node.text):
            meant = closed_values.currency_meant(node.text) if isinstance(node, Scalar) else None
            self.mistakes.error(node, "a currency is three letters, such as RUB", meant)
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
            self._no_operator(key, operand)
        elif fact.type not in operator.types:
            self._wrong_kind(fact, key, name, operand)
        elif context.units.currency is not None and name not in (*AMOUNTS, "exists"):
            message = f"`{name}` compares no amounts: `currency` goes with {', '.join(AMOUNTS)}"
            self.mistakes.error(key, message)
        else:
            is_short = key.text != name
            prepared = self._prepared(operator, operand, fact, context, is_short=is_short)
            if prepared is None:
                return
            if prepared.other is not None:
                self.uses.append(Use(prepared.other, operand))
            yield fact_test(self.rule, fact, place, operator, prepared)

    def _prepared(
        self,
        operator: Operator,
        operand: Node,
        fact: Fact,
        context: FileContext,
        *,
        is_short: bool,
    ) -> Prepared | None:
        """Prepare a test for its operand, or record what is wrong with that and return None.

        `is_short` is true where the operand stands beside its fact: `deal.stage_id: NEW`.
        """
        impossible = tuple(closed_values.in_test(fact, operator.name, operand, context))
        try:
            prepared = _prepare(operator, operand, fact, context)
        except MisfitError as misfit:
            refused = wrong_operands.Operand(fact, operator.name, operand, is_short, context.lists)
            of_items = wrong_operands.in_the_list(refused, context)
            plain = (wrong_operands.in_plain_words(misfit, refused),)
            self._record(impossible or of_items or plain)
            return None
        # Older versions loaded these, so the test is made all the same, as they made it.
        self._record(impossible, new=True)
        if not impossible:
            self._curly_quotes(operand)
            for said in misleading_texts.warnings(
                operator.name, operand, fact, context.lists, is_short=is_short
            ):
                self.mistakes.warn(said.node, said.message, said.suggestion)
        return prepared

    def _record(self, wrongs: Iterable[Complaint | MisfitError], *, new: bool = False) -> None:
        """Record what is wrong with operands; an item of a list once, for all rules that use it."""
        for wrong in wrongs:
            node = wrong.node
            said = {(one.line, one.column, one.message) for one in self.mistakes.found}
            if (node.line, node.column, wrong.message) in said:
                self.is_whole = False
            else:
                self.mistakes.error(node, wrong.message, wrong.suggestion, new=new)

    def _curly_quotes(self, operand: Node) -> None:
        for item in operand.items if isinstance(operand, Items) else (operand,):
            if isinstance(item, Scalar) and plain_words.without_curly_quotes(item.text) is not None:
                self.mistakes.error(item, plain_words.CURLY_SAID, new=True)

    def _wrong_kind(self, fact: Fact, key: Scalar, name: str, operand: Node) -> None:
        """Record a test that a fact of this type does not take."""
        written = operand.text if isinstance(operand, Scalar) else ""
        if fact.type is Type.DURATION and key.text != name and written:
            message = f"`{fact.path}` is a duration, which is compared: over, at_least, below, …"
            meant = comparisons.of_duration(written)
            self.mistakes.error(operand, message, meant)
        else:
            meant = comparisons.fitting_test(fact.type, name, written)
            self.mistakes.error(key, wrong_operands.does_not_take(fact, name), meant)

    def _no_operator(self, key: Scalar, operand: Node) -> None:
        if key.text == "fact":
            fact = f"is: {{fact: {yaml_text.written(operand)}}}"
            message = "a fact is compared by an operator: {is: {fact: …}}"
            self.mistakes.error(key, message, fact)
            return
        if key.text.startswith("=") and key.text not in synonyms.OPERATORS:
            self.mistakes.error(key, EXPRESSION)
            return
        in_a_list = key.text == HOURS and isinstance(operand, Scalar)
        message, negated = f"there is no test `{key.text}`", synonyms.negated_test(key.text)
        signs = wildcards.read(operand.text) if isinstance(operand, Scalar) else None
        if negated and key.text not in synonyms.OPERATORS:
            written = f"{negated}: {yaml_text.written(operand)}"
            pair = signs.pair if signs else written
            message += f": write `{pair}` below `unless`, or below `not`"
            self.mistakes.error(key, message)
        else:
            meant = synonyms.meant(key.text, OPERATORS, synonyms.OPERATORS)
            meant = "none_of" if meant == "is_not" and isinstance(operand, Items) else meant
            is_glob = isinstance(operand, Scalar) and wildcards.of_test(meant or "", operand.text)
            if signs is not None and is_glob:
                message += f", and {wildcards.SAID.format(signs.sign)}"
                meant = signs.pair
            if in_a_list and isinstance(operand, Scalar) and set(",;|") & set(operand.text):
                meant = f"one_of: {written_values.several_of(operand.text)}"
                in_a_list = False
            self.mistakes.error(key, message, "in_list" if in_a_list else meant)


def _below(key: Scalar, value: Node) -> Iterator[tuple[Scalar, Node]]:
    """Yield a pair of a map, or what is below it if its key is a mere owner or link of facts."""
    if isinstance(value, Table) and _is_an_owner(key.text, value):
        for name, tests in value.pairs:
            yield from _below(replace(name, text=f"{key.text}.{name.text}"), tests)
    else:
        yield key, value


def _is_an_owner(path: str, value: Table) -> bool:
    if registry.of_kind(path):
        return True
    # Some links are facts too, of which there may be tests: `deal.created_by`.
    names = [name.text for name, _ in value.pairs]
    facts = any(registry.find(f"{path}.{name}") for name in names)
    # Others are written for the number that they hold: `deal.company` for `deal.company_id`.
    tests = registry.find(path) is not None or any(name in OPERATORS for name in names)
    return registry.is_link(path) and (facts or not tests)


def _stands_beside(name: str, operand: Node, fact: Fact, tests: Table) -> bool:
    """Return whether a key stands beside the tests of a fact, and is none itself.

    In other languages `in` is a test of several values, and so is meant where no duration is.
    """
    if name != HOURS or fact.type is Type.DURATION:
        return name in UNITS
    return not isinstance(operand, Items) and len(tests.pairs) > 1


def _prepare(operator: Operator, operand: Node, fact: Fact, context: FileContext) -> Prepared:
    currency = context.units.currency
    if currency is None or operator.name not in AMOUNTS:
        return operator.prepare(operand, fact, context)
    return amounts.prepare(operator.name, operand, fact, currency)


def _means_working_days(operand: Node) -> bool:
    several = operand.items if isinstance(operand, Items) else (operand,)
    return any(
        isinstance(one, Scalar)
        and (working_time.is_meant(one.text) or written_values.is_of_working_days(one.text))
        for one in several
    )
