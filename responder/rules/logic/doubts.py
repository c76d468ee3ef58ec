"""Finds rules that load, and whose keys and tests do not go together: what is certainly not meant.

Each is named with the key of the rule that it is about.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from responder.model import Mode
from responder.rules.facts import registry
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.logic.answers import NOW, identity
from responder.rules.reach import kind_of
from responder.rules.rule import Rule

_TEMPLATE_ID, _EXISTS = "workflow.template_id", "document.exists"
_SINCE_IT_BEGAN = ("workflow.age", "workflow.started")
_SINCE_CREATED = (".created_time", ".created_date", ".date_create")
_GROWS_OUT_OF = frozenset({"below", "at_most", "newer_than", "between"})
_GROWS_INTO = frozenset({"over", "at_least", "older_than"})
_MEANINGS = {"WON": "S", "LOSE": "F"}


class Doubt(NamedTuple):
    """What is doubtful about a rule, and the key that it is about: of a fact, or of the rule."""

    rule: Rule
    key: str
    message: str


def doubts(rules: Sequence[Rule]) -> Iterator[Doubt]:
    """Yield what is doubtful about rules that are not switched off."""
    some = [rule for rule in rules if rule.disabled is None]
    yield from _doubled(some)
    for rule in some:
        yield from _compared_with_itself(rule)
        yield from _of_stages(rule)
        if rule.acts:
            yield from _never_gone(rule)
            yield from _of_what_is_gone(rule)
            yield from _after_waiting(rule)
            yield from _without_template(rule)


def _doubled(rules: Sequence[Rule]) -> Iterator[Doubt]:
    """Yield rules that only observe, and observe what a rule above does."""
    seen: dict[object, Rule] = {}
    for rule in rules:
        if rule.mode is not Mode.OBSERVE:
            continue
        tests = frozenset(map(identity, rule.condition.parts)), identity(rule.exception)
        triggers = frozenset(one.name for one in rule.triggers or ())
        held_back = (rule.wait, rule.during, rule.keep, rule.limit, rule.expires_at, rule.sweep)
        whole = (tests, triggers, rule.then, rule.portals, held_back, rule.telling)
        above = seen.setdefault(whole, rule)
        if above is not rule:
            message = f"`{rule.id}` does what `{above.id}` above does: it asks the same"
            yield Doubt(rule, "if", message)


def _compared_with_itself(rule: Rule) -> Iterator[Doubt]:
    for test in (*rule.condition.tests(), *rule.exception.tests()):
        if test.operand.other == test.fact:
            yield Doubt(rule, test.path, f"`{test.path}` is compared with itself")


def _demanded(rule: Rule) -> Iterator[FactTest]:
    """Yield the tests that must hold, each by itself, for a rule to hold."""
    return _each(rule.condition)


def _each(part: Part) -> Iterator[FactTest]:
    match part:
        case FactTest():
            yield part
        case All(parts):
            for one in parts:
                yield from _each(one)
        case _:
            return


def _values(rule: Rule, path: str) -> frozenset[str] | None:
    """Return the values of which a fact must be one; None where it may have others."""
    for test in _demanded(rule):
        known = test.operator.name in ("is", "one_of", "in_list") and test.operand.compared
        if test.path == path and known:
            return frozenset(map(str, test.operand.compared))
    return None


def _of_stages(rule: Rule) -> Iterator[Doubt]:
    """Yield stages of deals that are of another pipeline, or mean something else, than asked.

    https://apidocs.bitrix24.com/api-reference/crm/status/: the stages of pipeline 2 begin with
    `C2:`, those of the general one with nothing; WON is won and LOSE is lost in each.
    """
    stages = _values(rule, "deal.stage_id")
    pipelines = _values(rule, "deal.category_id")
    meanings = _values(rule, "deal.stage_semantic_id")
    if stages is None:
        return
    theirs = {one.partition(":")[0].removeprefix("C") if ":" in one else "0" for one in stages}
    meant = {_MEANINGS.get(one.rpartition(":")[2]) for one in stages}
    never = f"`deal.stage_id` is never {' or '.join(sorted(stages))}"
    if pipelines is not None and theirs.isdisjoint(pipelines):
        begin = " or ".join(f"C{one}:" if one != "0" else "no C0:" for one in sorted(pipelines))
        where = " or ".join(sorted(pipelines))
        said = f"{never} in pipeline {where}, whose stages begin with {begin}"
        yield Doubt(rule, "deal.stage_id", said)
    elif meanings is not None and None not in meant and meanings.isdisjoint(filter(None, meant)):
        asked = " or ".join(sorted(meanings))
        yield Doubt(rule, "deal.stage_id", f"{never} where its meaning is {asked}")


def _never_gone(rule: Rule) -> Iterator[Doubt]:
    """Yield tests that a task or an element of a list is gone, which the portal never says."""
    kind = kind_of(rule)
    if kind is None or not (kind == "task" or registry.is_of_a_list(kind)):
        return
    for test in _demanded(rule):
        if test.path == _EXISTS and test.answer_for(True, NOW) is not True:  # noqa: FBT003
            what = "task" if kind == "task" else "element of a list"
            message = f"the portal does not say of a {what} that it is gone: this never holds"
            yield Doubt(rule, _EXISTS, message)


def _of_what_is_gone(rule: Rule) -> Iterator[Doubt]:
    """Yield facts of a document that its deletion alone sets a rule off for."""
    triggers = rule.triggers or ()
    deleted = [one.events and all("DELETE" in event for event in one.events) for one in triggers]
    if not triggers or not all(deleted) or rule.sweep or _EXISTS in rule.paths:
        return
    # An exception that is unknown protects.
    excepted = (one for one in rule.exception.parts if isinstance(one, FactTest))
    test = next((one for one in (*_demanded(rule), *excepted) if one.fact.kind is not None), None)
    if test is not None:
        message = f"`{test.path}` cannot be read of what was deleted, so this never acts"
        yield Doubt(rule, test.path, message)


def _after_waiting(rule: Rule) -> Iterator[Doubt]:
    """Yield tests of age that nothing passes any more when `wait` is over, and exceptions."""
    if rule.wait is None:
        return
    for test in _demanded(rule):
        length = _length(test)
        if test.operator.name in _GROWS_OUT_OF and length is not None and length <= rule.wait:
            message = f"when `wait` is over, `{test.path}` is never {test.wording} any more"
            yield Doubt(rule, test.path, f"{message}: this is always cleared")
    for part in rule.exception.parts:
        if isinstance(part, FactTest) and part.operator.name in _GROWS_INTO:
            length = _length(part)
            if length is not None and length < rule.wait:
                message = f"when `wait` is over, `{part.path}` is always {part.wording}"
                yield Doubt(rule, part.path, f"{message}: this is always cleared")


def _length(test: FactTest) -> timedelta | None:
    """Return the age that a test compares with, where the fact is since when something is there."""
    fixed = test.path in _SINCE_IT_BEGAN or (
        test.fact.kind is not None
        and test.path.endswith(_SINCE_CREATED)
        and test.path.count(".") == 1
    )
    last = test.operand.compared[-1] if fixed and test.operand.compared else None
    return last if isinstance(last, timedelta) and not test.operand.unit else None


def _without_template(rule: Rule) -> Iterator[Doubt]:
    """Yield an `any` of which one test names a template, and another acts on every one."""
    if rule.every_template or any(map(_looks_at_template, _outside_of_any(rule.condition))):
        return
    for part in rule.condition.parts:
        if isinstance(part, AnyOf) and any(map(_looks_at_template, part.tests())):
            for one in part.parts:
                if not any(map(_looks_at_template, one.tests())):
                    path = next(one.tests()).path
                    message = f"where `{path}` holds, this acts on workflows of every template"
                    yield Doubt(rule, path, message)


def _outside_of_any(part: Part) -> Iterator[FactTest]:
    match part:
        case FactTest():
            yield part
        case Not(inner):
            yield from inner.tests()
        case All(parts):
            for one in parts:
                yield from _outside_of_any(one)
        case AnyOf():
            return


def _looks_at_template(test: FactTest) -> bool:
    return test.path.startswith("template.") or test.path in (_TEMPLATE_ID, "workflow.id")
