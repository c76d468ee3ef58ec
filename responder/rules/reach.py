"""Finds rules that are never reached, because a rule above ends the reading wherever they apply.

A rule is reported only where this is certain: the rule above has no test that the lower one lacks,
no `unless`, `keep` or `expires`, and everything that sets the lower one off sets it off too.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from responder.model import ACTING_MODES
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.rule import Rule

_FEW = 8


class Shadowed(NamedTuple):
    """A rule that is never reached, and the rule above that ends the reading before it."""

    rule: Rule
    by: Rule


def shadowed(rules: Sequence[Rule]) -> Iterator[Shadowed]:
    """Yield each rule that is never reached."""
    above: dict[frozenset[str], list[Rule]] = {}
    for rule in rules:
        if rule.disabled is not None:
            continue
        asked = _asked(rule.condition.parts)
        by = next((one for one in _asking_less(above, asked) if _covers(one, rule)), None)
        if by is not None:
            yield Shadowed(rule, by)
        elif _ends_always(rule):
            above.setdefault(asked, []).append(rule)


def _asking_less(
    above: Mapping[frozenset[str], list[Rule]], asked: frozenset[str]
) -> Iterator[Rule]:
    """Yield the rules above that have no test which is not among these."""
    if len(asked) > _FEW:
        yield from (rule for tests, some in above.items() if tests <= asked for rule in some)
        return
    # Each subset of the few tests is looked up, so that ten thousand rules need not be compared in
    # pairs.
    for count in range(len(asked) + 1):
        for tests in combinations(asked, count):
            yield from above.get(frozenset(tests), ())


def _asked(parts: Sequence[Part]) -> frozenset[str]:
    return frozenset(map(_key, parts))


def _key(part: Part) -> str:
    """Return a text that is the same for the same test, or the same group of tests."""
    match part:
        case FactTest():
            return f"{part.path} {part.wording}"
        case Not(inner):
            return f"not {_key(inner)}"
        case All(parts) | AnyOf(parts):
            word = "all" if isinstance(part, All) else "any"
            return f"{word} [{'; '.join(map(_key, parts))}]"


def _ends_always(rule: Rule) -> bool:
    """Return whether a rule ends the reading of every workflow that passes its tests, for ever."""
    ends = not rule.acts or rule.mode in ACTING_MODES
    return ends and not rule.exception.parts and rule.keep is None and rule.expires_at is None


def _covers(upper: Rule, lower: Rule) -> bool:
    """Return whether all that sets the lower rule off sets off the upper one, in all portals."""
    if upper.kind not in (None, lower.kind) or (upper.robots and not lower.robots):
        return False
    if upper.portals is not None and not (lower.portals and lower.portals <= upper.portals):
        return False
    if upper.triggers is None:
        return True
    # The upper one must bring the same kinds too: events of one name bring many kinds of document.
    ours = {(one.name, one.brings) for one in upper.triggers}
    if lower.triggers is None or not {(one.name, one.brings) for one in lower.triggers} <= ours:
        return False
    return upper.sweep or not lower.sweep
