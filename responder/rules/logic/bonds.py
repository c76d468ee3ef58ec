"""Knows what the value of one fact says of another: a document that is gone has no facts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from responder.rules.facts import links
from responder.rules.facts.derived import STARTED_BY, STARTER
from responder.rules.facts.registry import Fact
from responder.rules.logic.answers import UNKNOWN, Variable

_EXISTS, _TASKS = "document.exists", "workflow.tasks"


class Bond(NamedTuple):
    """Where one variable has some of these cells and no others, another has some of those."""

    place: int
    cells: int
    other: int
    others: int


def between(variables: Sequence[Variable]) -> Iterator[Bond]:
    """Yield the bonds between variables, which are named by their places."""
    for place, one in enumerate(variables):
        for other, two in enumerate(variables):
            if other == place:
                continue
            facts = one.tests[0].fact, two.tests[0].fact
            for name, value in _values_that_say(*facts):
                if cells := one.of_value(name):
                    yield Bond(place, cells, other, two.may_be(value))


def says_of(one: Fact, other: Fact) -> bool:
    """Return whether some value of one fact says what the other one is."""
    return any(True for _ in _values_that_say(one, other))


def _values_that_say(one: Fact, other: Fact) -> Iterator[tuple[str, object]]:
    """Yield values of one fact, by their names, that another is unknown or empty for."""
    if one.path == other.path:
        yield "empty", None
        yield "unknown", UNKNOWN
    elif one.path == _EXISTS and other.kind is not None:
        yield "no", UNKNOWN
    elif one.path == _TASKS and other.path.startswith("waiting_for."):
        yield "none", None
    elif one.path == STARTED_BY and other.path in STARTER:
        yield "empty", None
    elif one.kind is not None and one.kind == other.kind:
        linked = links.parse(other.path)
        if linked is not None and one.path == f"{one.kind}.{linked.link.field}":
            yield "empty", None


def narrow(box: list[int], bonds: Sequence[Bond]) -> bool:
    """Take from a box what the bonds exclude; return whether something is left of all of it."""
    before = None
    while before != box:
        before = box.copy()
        for place, cells, other, others in bonds:
            if not box[place] & ~cells:
                box[other] &= others
            elif not box[other] & others:
                box[place] &= ~cells
        if not all(box):
            return False
    return True
