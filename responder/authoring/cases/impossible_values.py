"""Finds values in the facts of a test that the portal would never send for them.

A rule compares them with nothing, so that a test of it passes or fails for no reason of the rule's.
"""

from collections.abc import Iterator

from responder.model import Unknown
from responder.rules.facts import closed_values, values
from responder.rules.facts.closed_values import Complaint
from responder.rules.facts.fields import Type
from responder.rules.facts.operators import OPERATORS
from responder.rules.facts.registry import Fact
from responder.rules.load.suggestions import impossible_days, written_values, yaml_text
from responder.rules.load.suggestions.synonyms import TRUTHS
from responder.rules.yaml_positions import Node, Scalar, Table

_NUMBERS = (Type.NUMBER, Type.REFERENCE)
_DATES = (Type.DATE, Type.DAY)


def in_facts(fact: Fact, node: Node) -> Iterator[Complaint]:
    """Yield those of the values given for a fact in a test that the fact can never have."""
    if (wrong := _tests(fact, node)) is not None:
        yield wrong
        return
    if isinstance(node, Table) and (closed_values.meanings(fact.path) or fact.type is Type.TRUTH):
        yield Complaint(node, f"`{fact.path}` has a value, and no map of values", None)
    closed = tuple(closed_values.in_values(fact, node))
    yield from closed
    said = {wrong.node for wrong in closed}
    for scalar in closed_values.scalars(node):
        if scalar.kind != "null" and scalar.text and scalar not in said:
            yield from _of_one(fact, scalar)


def _tests(fact: Fact, node: Node) -> Complaint | None:
    """Return what is wrong with tests that stand where a test case gives a value."""
    pairs = node.pairs if isinstance(node, Table) else ()
    if not pairs or not all(key.text in OPERATORS for key, _ in pairs):
        return None
    (first, value), *others = pairs
    is_one = first.text == "is" and not others and isinstance(value, Scalar)
    message = f"`{fact.path}` has a value in a test case, and no map of tests"
    return Complaint(node, message, yaml_text.written(value) if is_one else None)


def _of_one(fact: Fact, scalar: Scalar) -> Iterator[Complaint]:
    written = scalar.text
    if fact.type is Type.TRUTH and isinstance(values.truth(written), Unknown):
        message = f"`{fact.path}` is yes or no: write `true` or `false`"
        yield Complaint(scalar, message, TRUTHS.get(written.lower()))
    elif fact.type in _NUMBERS and isinstance(values.number(written), Unknown):
        message = f"`{written}` is no number as the portal sends it"
        meant = written_values.number(written) or written_values.reference(written)
        yield Complaint(scalar, message, meant)
    elif fact.type in _DATES and isinstance(values.date_and_time(written), Unknown):
        wrong = impossible_days.of_moment(written)
        if wrong is not None:
            yield Complaint(scalar, wrong.message, wrong.suggestion)
            return
        meant = written_values.moment(written)
        message = f"`{written}` is no date as the portal sends it"
        if meant is None:
            message += ", such as 2026-09-24T10:00:00+03:00"
        yield Complaint(scalar, message, meant)
