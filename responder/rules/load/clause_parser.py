"""Parses `if` and `unless`: maps of tests, and `any`, `all` and `not` within them.

Every mistake is recorded with its place and parsing goes on, so that all are reported at once. The
result of a clause with a mistake must not be evaluated; the file is then not loaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from responder.rules.facts import closed_values, contradictions, registry
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part, fact_test
from responder.rules.facts.literals import FileContext, MisfitError
from responder.rules.facts.operators import OPERATORS
from responder.rules.facts.registry import Fact
from responder.rules.load import plain_words, synonyms
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

GROUPS = ("any", "all", "not")
_BESIDE = ("if", "unless", "when", "then", "mode", "wait", "during", "keep", "limit")


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
        if said is not None:
            self.mistakes.error(node, said.message, said.suggestion)
        else:
            message = f"`{place}` is a map of tests, such as deal.stage_id: NEW"
            self.mistakes.error(shown, message)

    def _in_one(self, table: Table) -> Iterator[tuple[Scalar, Node]]:
        """Yield the pairs of a map; those below a mere owner, `deal:`, with their whole path."""
        for key, value in table.pairs:
            if not isinstance(value, Table) or not registry.of_kind(key.text):
                yield key, value
                continue
            first = next((f"{key.text}.{name.text}" for name, _ in value.pairs), None)
            self.mistakes.error(key, "the path of a fact is written in one", first)
            for name, tests in value.pairs:
                yield replace(name, text=f"{key.text}.{name.text}"), tests

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
            if not value.pairs:
                self.mistakes.error(value, f"`{key.text}` has no test")
            for operator, operand in value.pairs:
                yield from self._test(fact, operator, operator.text, operand, place)
            for clash in contradictions.clashes(fact, value.pairs, self.context):
                message = f"no value passes both `{clash.first}` and `{clash.second}` here"
                self.mistakes.error(clash.node, f"{message}, so this never holds", new=True)
        elif isinstance(value, Items):
            yield from self._test(fact, key, "one_of", value, place)
        else:
            yield from self._test(fact, key, "is", value, place)

    def _fact(self, key: Scalar) -> Fact | None:
        fact = registry.find(key.text)
        if fact is None and key.text in _BESIDE:
            self.mistakes.error(key, f"`{key.text}` stands beside `if`, not within it")
        elif fact is None:
            self.mistakes.error(key, f"there is no fact `{key.text}`", self._meant(key.text))
        return fact

    def _meant(self, path: str) -> str | None:
        """Return the fact or the group that is probably meant by a wrong name."""
        if "." in path:
            return registry.nearest_fact(path)
        fact = f"{self.kind}.{path}"
        if self.kind and registry.find(fact):
            return fact
        return synonyms.meant(path, GROUPS, synonyms.GROUPS)

    def _test(
        self, fact: Fact, key: Scalar, name: str, operand: Node, place: str
    ) -> Iterator[FactTest]:
        """Parse one test. `key` is the node of its operator, or of the fact in the short form."""
        operator = OPERATORS.get(name)
        if operator is None:
            self._no_operator(key)
        elif fact.type not in operator.types:
            self.mistakes.error(key, _does_not_take(fact, name))
        else:
            impossible = tuple(closed_values.in_test(fact, name, operand, self.context))
            try:
                prepared = operator.prepare(operand, fact, self.context)
            except MisfitError as misfit:
                for wrong in impossible or (_in_plain_words(misfit),):
                    self.mistakes.error(wrong.node, wrong.message, wrong.suggestion)
                return
            # Older versions loaded these, so the test is made all the same, as they made it.
            for wrong in impossible:
                self.mistakes.error(wrong.node, wrong.message, wrong.suggestion, new=True)
            if not impossible:
                self._curly_quotes(operand)
            if prepared.other is not None:
                self.uses.append(Use(prepared.other, operand))
            yield fact_test(self.rule, fact, place, operator, prepared)

    def _curly_quotes(self, operand: Node) -> None:
        for item in operand.items if isinstance(operand, Items) else (operand,):
            if isinstance(item, Scalar) and plain_words.without_curly_quotes(item.text) is not None:
                self.mistakes.error(item, plain_words.CURLY_SAID, new=True)

    def _no_operator(self, key: Scalar) -> None:
        if key.text == "fact":
            self.mistakes.error(key, "a fact is compared by an operator: {is: {fact: …}}", "is")
            return
        message, negated = f"there is no test `{key.text}`", synonyms.negated_test(key.text)
        if negated and key.text not in synonyms.OPERATORS:
            message += f": write `{negated}` below `unless`, or below `not`"
            self.mistakes.error(key, message)
        else:
            meant = synonyms.meant(key.text, OPERATORS, synonyms.OPERATORS)
            self.mistakes.error(key, message, meant)


def _in_plain_words(misfit: MisfitError) -> MisfitError:
    """Return what is wrong with an operand, said of a comparison where it is one: `< 50`."""
    node = misfit.node
    meant = plain_words.as_a_map(node.text) if isinstance(node, Scalar) else None
    if meant is None or not isinstance(node, Scalar):
        return misfit
    return MisfitError(node, f"`{node.text}` is not a number: a comparison is a map", meant)


def _does_not_take(fact: Fact, name: str) -> str:
    taken = ", ".join(row.name for row in OPERATORS.values() if fact.type in row.types)
    return f"`{name}` cannot test `{fact.path}` ({fact.type}), which takes {taken}"
