"""Writes rules in English: each as a sentence or two that people who do not program can check.

The words of a test are its operator's own. This module adds the nouns (the names of facts), joins
the tests, and adds the trigger, the action, and what holds the rule back.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from responder.model import Action, Mode
from responder.rules.facts import links
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.facts.registry import Fact, is_of_a_list
from responder.rules.facts.values import duration_in_words
from responder.rules.keep import GROUPS, Keep
from responder.rules.load.limit_parser import Limit
from responder.rules.rule import Rule
from responder.rules.triggers import Trigger

# Operators whose words begin with a verb; the others are what a fact *is*.
_VERBS = frozenset({"is", "is_not", "contains", "starts_with", "ends_with", "matches", "exists"})
_NAMES: Mapping[str, str] = {
    "assigned_by_id": "responsible user",
    "category_id": "pipeline",
    "created_by": "creator",
    "id": "number",
    "opportunity": "amount",
    "updated_by": "last editor",
    "moved_by": "last mover",
    "document.running": "number of running workflows",
    "workflow.id": "id",
    "workflow.idle": "idle time",
    "workflow.modified": "last activity",
    "workflow.started": "start",
    "workflow.started_by": "starter",
    "workflow.tasks": "number of open tasks",
    "starter.id": "id",
    "waiting_for.id": "id",
}
_MEANINGS: Mapping[tuple[str, str], str] = {
    ("stage_semantic_id", "P"): "P (under way)",
    ("stage_semantic_id", "S"): "S (won)",
    ("stage_semantic_id", "F"): "F (lost)",
}
# Tests of yes and no that would be clumsy in the general form.
_PHRASES: Mapping[tuple[str, str], str] = {
    ("document.exists", "is true"): "the document exists",
    ("document.exists", "is false"): "the document is gone",
    ("workflow.stuck", "is true"): "the workflow is stuck",
    ("workflow.stuck", "is false"): "the workflow is not stuck",
    ("template.known", "is true"): "the portal lists its template",
    ("template.known", "is false"): "its template is none that the portal lists (a robot's)",
    ("starter.active", "is true"): "the user who started it is active",
    ("starter.active", "is false"): "the user who started it is dismissed",
    ("waiting_for.active", "is true"): "it waits for someone who is active",
    ("waiting_for.active", "is false"): "it waits for someone who is dismissed",
}
_POSSESSORS: Mapping[str, str] = {
    "document": "the document's",
    "event": "the event's",
    "template": "its template's",
    "starter": "its starter's",
    "waiting_for": "the awaited user's",
    "workflow": "the workflow's",
}
_LINKS: Mapping[str, str] = {
    "company": "company",
    "contact": "contact",
    "assigned_by": "responsible user",
    "responsible": "responsible user",
    "created_by": "creator",
}
_STATES = {"is true": "active", "is false": "dismissed"}
_DONE = {"added": "is added", "updated": "changes", "deleted": "is deleted"}
_CODE = re.compile(r"[A-Z0-9_:.-]+")
_ACTIONS: Mapping[Action, tuple[str, str]] = {
    Action.KILL: ("kill each running workflow", ""),
    Action.TERMINATE: ("terminate each running workflow", ", keeping its data"),
    Action.LEAVE: ("leave each running workflow", " alone"),
}
_TEMPLATES = frozenset({"workflow.template_id", "template.id"})


def sentence(rule: Rule) -> str:
    """Return a rule as one sentence: trigger, conditions, action, exceptions."""
    about_workflows, others = _split_by_subject(rule.condition.parts)
    its = _is_of_its_kind(rule)
    conditions = [_part(part, _Pronouns(its=its)) for part in others]
    lead = _lead(rule)
    condition = f" if {_joined(conditions, 'and')}," if conditions else ""
    verb, ending = _ACTIONS[rule.then]
    whose = _workflows(about_workflows) or (" of any template" if rule.every_template else "")
    but = _spared_in_words(rule.keep) if rule.keep else ""
    exceptions = [_part(part, _Pronouns()) for part in rule.exception.parts]
    unless = f", unless {_joined(exceptions, 'or')}" if exceptions else ""
    return f"{lead}:{condition} {verb}{whose}{but}{ending}{unless}."


def remarks(rule: Rule) -> Iterator[str]:
    """Yield the other properties of a rule, each as a sentence."""
    if rule.robots is not None:
        yield "Robots' runs are spared."
    yield from _restraints(rule)
    if rule.portals is not None:
        yield f"Only in {_joined(sorted(rule.portals), 'and')}."
    if rule.expires_at is not None:
        yield f"It ends at {rule.expires_at.isoformat(sep=' ', timespec='minutes')}."
    if rule.disabled is not None:
        yield f"It is switched off: {_with_full_stop(rule.disabled)}"
    elif rule.mode is Mode.OBSERVE:
        yield "It only observes."
    elif rule.mode is Mode.APPROVE:
        yield "It asks first: nothing is done until somebody approves it."


def _restraints(rule: Rule) -> Iterator[str]:
    if rule.wait is not None:
        yield f"It acts only if all of this still holds {duration_in_words(rule.wait)} later."
    if rule.during is not None:
        yield f"Outside the hours of {rule.during.name} it waits."
    if rule.acts and rule.limit != Limit():
        yield f"At most {_joined(list(_limits(rule.limit)), 'and')}."


def _limits(limit: Limit) -> Iterator[str]:
    yield f"{limit.per_hour} an hour"
    yield f"{limit.per_document} a day on one document"
    if limit.per_run is not None:
        yield f"{limit.per_run} a run"
    if limit.percent_of_running is not None:
        yield f"{limit.percent_of_running} percent of all that run"


def paragraph(rule: Rule) -> str:
    """Return a rule as a paragraph: its sentence, then its remarks."""
    return " ".join([sentence(rule), *remarks(rule)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pronouns:
    """The pronouns that may stand for a fact's owner.

    `its` is used where the document was just named, `whose` where the workflow was.
    """

    its: bool = False
    whose: bool = False

    def of(self, fact: Fact) -> str:
        """Return the words for a fact: `its amount`, `the deal's amount`, `whose age`."""
        owner, _, name = fact.path.partition(".")
        link, dot, inner = name.partition(".")
        noun = f"{_LINKS[link]}'s {_noun(fact.path, inner)}" if dot else _noun(fact.path, name)
        if fact.kind:
            return f"its {noun}" if self.its else f"the {kind_in_words(owner)}'s {noun}"
        if self.whose and owner == "workflow":
            return f"whose {noun}"
        return f"{_POSSESSORS[owner]} {noun}"


def _noun(path: str, name: str) -> str:
    if path in _NAMES or name in _NAMES:
        return _NAMES.get(path) or _NAMES[name]
    if name.startswith(("uf_", "property_")):
        return f"field {name}"
    return name.removesuffix("_id").removesuffix("_ids").replace("_", " ")


def kind_in_words(kind: str) -> str:
    """Return the words for a kind of document: `deal`, `item of smart process 147`."""
    if is_of_a_list(kind):
        return f"element of list {kind.removeprefix('list_')}"
    number = kind.removeprefix("item_")
    return kind if number == kind else f"item of smart process {number}"


def a_kind(kind: str) -> str:
    """Return the words for one document of a kind, with the article."""
    words = kind_in_words(kind)
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def part_in_words(part: Part) -> str:
    """Return one test, or a group of them, in words of its own: `the deal's amount is over 5`."""
    return _part(part, _Pronouns())


def _test(test: FactTest, pronouns: _Pronouns) -> str:
    linked = links.parse(test.fact.path)
    if linked is not None and linked.name == "active":
        return _whether_active(test, pronouns)
    phrase = _PHRASES.get((test.fact.path, test.wording))
    return phrase or f"{pronouns.of(test.fact)} {_predicate(test)}"


def _whether_active(test: FactTest, pronouns: _Pronouns) -> str:
    """Return `its responsible user is dismissed`, where a plain test says so."""
    who = pronouns.of(test.fact).removesuffix("'s active")
    state = _STATES.get(test.wording)
    return f"{who} is {state}" if state else f"whether {who} is active {_predicate(test)}"


def _predicate(test: FactTest) -> str:
    other = test.operand.other
    if other is not None:
        words = _Pronouns().of(other)
    elif test.operator.name in ("one_of", "none_of"):
        return _choice(test)
    else:
        words = _meaning(test.fact, test.operand.words)
    said = test.operator.english.format(words)
    return said if test.operator.name in _VERBS else f"is {said}"


def _choice(test: FactTest) -> str:
    """Return `is 0 or 2`, unless a value could be mistaken for two."""
    values = test.operand.words.split(", ")
    if not all(map(_CODE.fullmatch, values)):
        return f"is {test.wording}"
    words = [_meaning(test.fact, value) for value in values]
    if test.operator.name == "one_of":
        return f"is {_joined(words, 'or')}"
    return f"is neither {_joined(words, 'nor')}" if len(words) > 1 else f"is not {words[0]}"


def _meaning(fact: Fact, value: str) -> str:
    return _MEANINGS.get((fact.path.partition(".")[2], value), value)


def _part(part: Part, pronouns: _Pronouns) -> str:
    match part:
        case FactTest():
            return _test(part, pronouns)
        case Not(inner):
            return f"it is not so that {_part(inner, pronouns)}"
        case All(parts) if _of_one_fact(parts):
            return _several_tests(parts, pronouns)
        case All(parts) | AnyOf(parts):
            word = "and" if isinstance(part, All) else "or"
            said = _joined([_part(one, pronouns) for one in parts], word)
            return f"({said})" if len(parts) > 1 else said


def _of_one_fact(parts: Sequence[Part]) -> bool:
    tests = [part for part in parts if isinstance(part, FactTest)]
    return len(tests) == len(parts) > 1 and len({test.place for test in tests}) == 1


def _several_tests(parts: Sequence[Part], pronouns: _Pronouns) -> str:
    tests = [part for part in parts if isinstance(part, FactTest)]
    return f"{pronouns.of(tests[0].fact)} {_joined([_predicate(test) for test in tests], 'and')}"


def _split_by_subject(parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Split a rule's conditions into those about the workflow alone, and all others."""
    about = [part for part in parts if _is_about_workflows_alone(part)]
    return about, [part for part in parts if part not in about]


def _is_about_workflows_alone(part: Part) -> bool:
    plain = isinstance(part, FactTest) or (isinstance(part, All) and _of_one_fact(part.parts))
    return plain and all(test.fact.about_workflow for test in part.tests())


def _workflows(parts: Sequence[Part]) -> str:
    """Return which workflows are meant: ` of template 61 whose age is over 30d`."""
    named = [part for part in parts if _names_templates(part)]
    said = [_of_template(part) for part in named if isinstance(part, FactTest)]
    whose = [_part(part, _Pronouns(whose=True)) for part in parts if part not in named]
    # A condition that does not begin with `whose` is a clause of its own, at the end.
    whose.sort(key=lambda words: not words.startswith("whose"))
    joined = [words if words.startswith("whose") else f"where {words}" for words in whose]
    return "".join(f" {words}" for words in [*said, *([" and ".join(joined)] if joined else [])])


def _names_templates(part: Part) -> bool:
    return (
        isinstance(part, FactTest)
        and part.fact.path in _TEMPLATES
        and part.operator.name in ("is", "one_of")
        and part.operand.other is None
    )


def _of_template(test: FactTest) -> str:
    return f"of template {_joined(test.operand.words.split(', '), 'or')}"


def _spared_in_words(keep: Keep) -> str:
    which = "newest" if keep.newest else "oldest"
    groups = [name for name in GROUPS if name in keep.per]
    return f" but the {which}" + (f" of each {_joined(groups, 'and')}" if groups else "")


def _lead(rule: Rule) -> str:
    if rule.triggers is None:
        return f"Whatever happens to {a_kind(rule.kind)}" if rule.kind else "Whatever happens"
    scheduled = [one.name for one in rule.triggers if one.schedule is not None]
    happening = [_trigger(one) for one in rule.triggers if one.schedule is None]
    when = [f"when {_joined(happening, 'or')}"] if happening else []
    lead = _joined([*scheduled, *when], "and")
    return lead[0].upper() + lead[1:]


def _trigger(trigger: Trigger) -> str:
    if trigger.is_robot:
        return "a robot calls"
    kind, dot, done = trigger.name.partition(".")
    if dot and done in _DONE:
        return f"{a_kind(kind)} {_DONE[done]}"
    return f"the portal sends {trigger.name}"


def _is_of_its_kind(rule: Rule) -> bool:
    """Return whether every trigger of a rule brings the document that its tests are about."""
    if rule.kind is None:
        return False
    return rule.triggers is None or all(
        trigger.name.partition(".")[0] == rule.kind for trigger in rule.triggers
    )


def _joined(words: Sequence[str], last: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _with_full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
