"""Reads the tests of a rule where they were probably meant to stand."""

from dataclasses import replace

from responder.rules.facts import registry
from responder.rules.yaml_positions import Mistakes, Scalar, Table


def with_indented_tests(node: Table, mistakes: Mistakes) -> Table:
    """Return a rule in which the tests of an `if` that is empty stand below it, where they should.

    They are read there, so that a mistake in indenting has no consequences.
    """
    facts = tuple(pair for pair in node.pairs if registry.find(pair[0].text) is not None)
    for name in ("if", "unless"):
        value = node.get(name)
        if facts and isinstance(value, Scalar) and value.kind == "null":
            first = facts[0][0]
            message = f"the tests of `{name}` are indented further than `{name}` itself"
            mistakes.error(first, message)
            place = {"line": first.line, "column": first.column, "length": 1}
            tests = Table(pairs=facts, last_line=facts[-1][1].last_line, **place)
            rest = (pair for pair in node.pairs if pair not in facts)
            pairs = ((key, tests if key.text == name else other) for key, other in rest)
            return replace(node, pairs=tuple(pairs))
    return node
