"""Finds out which templates a rule means: some by name, or all but those of robots."""

from collections.abc import Sequence

from responder.model import KILLING, Action
from responder.rules.facts import registry
from responder.rules.facts.conditions import All, AnyOf, FactTest, Part, fact_test
from responder.rules.facts.literals import FileContext
from responder.rules.facts.operators import OPERATORS
from responder.rules.yaml_positions import Scalar

NAMING_FACTS = frozenset({"workflow.template_id", "template.id", "workflow.id"})
KNOWN = "template.known"
_NAMING = frozenset({"is", "one_of", "in_list"})


def is_tested_by(test: FactTest) -> bool:
    """Return whether a test looks at the workflow's template."""
    return any(
        fact.path.startswith("template.") or fact.path in NAMING_FACTS for fact in test.facts
    )


def spares_robots(
    rule: str, action: Action | None, condition: All, tests: Sequence[FactTest]
) -> FactTest | None:
    """Return the test that spares robots' runs, for a rule that names no template by its id.

    A template named by its id is meant, whether the portal lists it or not; a test that only
    excludes templates may still match a robot's.
    """
    if action not in KILLING or _names_one(condition):
        return None
    if any(test.fact.path == KNOWN for test in tests):
        return None
    fact = registry.find(KNOWN)
    assert fact is not None
    yes = Scalar(line=1, column=1, length=1, last_line=1, text="true", kind="truth")
    operator = OPERATORS["is"]
    prepared = operator.prepare(yes, fact, FileContext(lists={}))
    return fact_test(rule, fact, KNOWN, operator, prepared)


def _names_one(part: Part) -> bool:
    match part:
        case All(parts):
            return any(map(_names_one, parts))
        case AnyOf(parts):
            return bool(parts) and all(map(_names_one, parts))
        case FactTest():
            return (
                part.fact.path in NAMING_FACTS
                and part.operator.name in _NAMING
                and part.operand.other is None
            )
        case _:
            return False
