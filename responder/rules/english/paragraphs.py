"""Writes rules in English: each as a sentence or two that people who do not program can check.

The words of a test are its operator's own. This module adds the nouns (the names of facts), joins
the tests, and adds the trigger, the action, and what holds the rule back.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from responder.model import Action, Audience, Mode
from responder.rules.english.clauses import Clause, Subject, clause
from responder.rules.english.kind_names import kind_in_words
from responder.rules.english.predicates import joined, length_in_words, noun
from responder.rules.facts.conditions import All, AnyOf, FactTest, Not, Part
from responder.rules.facts.derived import RUNNING
from responder.rules.facts.registry import Fact, find
from responder.rules.keep import GROUPS, Keep
from responder.rules.load.limit_parser import Limit
from responder.rules.rule import Rule
from responder.rules.schedules import Every, Schedule
from responder.rules.triggers import Trigger

_DONE = {"added": "is added", "updated": "changes", "deleted": "is deleted"}
_PORTALS_NAME = re.compile(r"ON[A-Z]+?(ADD|UPDATE|DELETE|MOVETOCATEGORY)(?:_[0-9]+)?")
_PORTALS_WORDS = {
    "ADD": "is added",
    "UPDATE": "changes",
    "DELETE": "is deleted",
    "MOVETOCATEGORY": "is moved to another pipeline",
}
_ACTIONS: Mapping[Action, tuple[str, str]] = {
    Action.KILL: ("kill each running workflow", ""),
    Action.TERMINATE: ("terminate each running workflow", ", keeping its data"),
    Action.LEAVE: ("leave each running workflow", " alone"),
}
_TEMPLATES = frozenset({"workflow.template_id", "template.id"})
_A_SECOND = timedelta(seconds=1)
_TOLD: Mapping[Audience, str] = {
    Audience.TIMELINE: "in the document's timeline",
    Audience.STARTER: "to whoever started it",
    Audience.RESPONSIBLE: "to whoever is responsible for the document",
    Audience.WAITING: "to those whose tasks it waits for",
}
# Where two tests of one fact are joined, the words up to one of these are said once.
_TURNS = frozenset(
    {
        *("more", "less", "fewer", "at", "before", "after", "over", "below", "between"),
        *("in", "outside", "on", "other", "not", "neither"),
    }
)


def sentence(rule: Rule) -> str:
    """Return a rule as one sentence: trigger, conditions, action, exceptions."""
    about_workflows, others = _split_by_subject(rule.condition.parts)
    its = _is_of_its_kind(rule)
    lead = _lead(rule)
    said = _joined_parts(others, _Pronouns(its=its), "and")
    condition = f" if {said}," if said else ""
    verb, ending = _ACTIONS[rule.then]
    whose = _workflows(about_workflows) or (" of any template" if rule.every_template else "")
    but = _spared_in_words(rule.keep) if rule.keep else ""
    excepted = _joined_parts(rule.exception.parts, _Pronouns(), "or")
    unless = f", unless {excepted}" if excepted else ""
    return f"{lead}:{condition} {verb}{whose}{but}{ending}{unless}."


def remarks(rule: Rule) -> Iterator[str]:
    """Yield the other properties of a rule, each as a sentence."""
    if rule.robots is not None:
        yield "Robots' runs are spared."
    yield from _restraints(rule)
    yield from _told(rule)
    if rule.portals is not None:
        yield f"Only in {joined(sorted(rule.portals), 'and')}."
    if rule.expires_at is not None:
        yield f"Its last day is {(rule.expires_at - _A_SECOND).date()}."
    if rule.disabled is not None:
        yield f"It is switched off: {_with_full_stop(rule.disabled)}"
    elif rule.mode is Mode.OBSERVE:
        yield "It only observes." if not rule.telling else "It only observes, and tells nobody."
    elif rule.mode is Mode.APPROVE:
        yield "It asks first: nothing is done until somebody approves it."


def _restraints(rule: Rule) -> Iterator[str]:
    if rule.wait is not None:
        yield f"It acts only if all of this still holds {length_in_words(rule.wait)} later."
    if rule.during is not None:
        yield f"Outside the hours of {rule.during.name} it waits."
    if rule.acts and rule.limit != Limit():
        yield from _limit(rule)


def _told(rule: Rule) -> Iterator[str]:
    """Yield whom the rule tells in the portal, beforehand and afterwards."""
    if rule.telling.warn:
        begins = "When approval is asked" if rule.wait is None else "When that time begins"
        yield f"{begins}, a warning is given {_audience(rule.telling.warn)}."
    if rule.telling.tell:
        yield f"What it stopped is told {_audience(rule.telling.tell)}."


def _audience(audience: Sequence[Audience]) -> str:
    return joined([_TOLD[one] for one in audience], "and")


def _limit(rule: Rule) -> Iterator[str]:
    limit = rule.limit
    in_runs_alone = all(one.schedule is not None for one in rule.triggers or ())
    if 0 in (limit.per_hour, limit.per_document) or (in_runs_alone and limit.per_run == 0):
        yield "Its limit is 0, so it never acts."
        return
    said = [f"{limit.per_hour} an hour", f"{limit.per_document} a day on one document"]
    if limit.per_run is not None:
        said.append(f"{limit.per_run or 'none'} a run")
    if limit.percent_of_running is not None:
        said.append(f"{limit.percent_of_running} percent of all that run")
    yield f"At most {joined(said, 'and')}."


def paragraph(rule: Rule) -> str:
    """Return a rule as a paragraph: its sentence, then its remarks."""
    return " ".join([sentence(rule), *remarks(rule)])


@dataclass(frozen=True, slots=True)
class _Pronouns:
    """The pronouns that stand for the owner of a fact.

    `its` is used where the document was just named, `whose` where the workflow was.
    """

    its: bool = False
    whose: bool = False

    def said(self, one: Clause, predicate: str | None = None) -> str:
        """Return a clause with its subject; `predicate` is what is said instead of its own."""
        said = one.predicate if predicate is None else predicate
        match one.subject:
            case Subject.NONE:
                return said
            case Subject.DOCUMENT:
                return f"{self._document(one.kind)} {said}"
            case Subject.WORKFLOW:
                return f"{'that' if self.whose else 'the workflow'} {said}"
            case Subject.OF_DOCUMENT | Subject.OF_WORKFLOW:
                return f"{one.some} {self._owner(one)} {one.noun} {said}".lstrip()

    def other(self, fact: Fact) -> str:
        """Return the words for a fact that another is compared with: `the deal's amount`."""
        if self.its if fact.kind else self.whose:
            return f"its {noun(fact)}"
        owner = self._document(fact.kind) if fact.kind else "the workflow"
        return f"{owner}'s {noun(fact)}"

    def _owner(self, one: Clause) -> str:
        if one.subject is Subject.OF_WORKFLOW:
            return "whose" if self.whose else "the workflow's"
        return "its" if self.its else f"{self._document(one.kind)}'s"

    def _document(self, kind: str | None) -> str:
        return "it" if self.its or kind is None else f"the {kind_in_words(kind)}"


def a_kind(kind: str) -> str:
    """Return the words for one document of a kind, with the article."""
    words = kind_in_words(kind)
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _part(part: Part, pronouns: _Pronouns, *, alone: bool = True) -> str:
    """Return a test or a group of them; `alone` is false where others stand beside it."""
    match part:
        case FactTest():
            return pronouns.said(clause(part, pronouns.other))
        case Not(inner):
            return f"it is not so that {_part(inner, pronouns)}"
        case All(parts) if _of_one_fact(parts):
            return _several_tests(parts, pronouns)
        case All(parts) if len(parts) == 1:
            return _part(parts[0], pronouns, alone=alone)
        case All(parts):
            return _in_brackets(_joined_parts(parts, pronouns, "and"), alone=alone)
        case AnyOf(parts):
            either = "either " if len(parts) > 1 else ""
            return _in_brackets(either + _joined_parts(parts, pronouns, "or"), alone=alone)


def _joined_parts(parts: Sequence[Part], pronouns: _Pronouns, word: str) -> str:
    return joined([_part(one, pronouns, alone=len(parts) == 1) for one in parts], word)


def _in_brackets(said: str, *, alone: bool) -> str:
    return said if alone else f"({said})"


def _of_one_fact(parts: Sequence[Part]) -> bool:
    tests = [part for part in parts if isinstance(part, FactTest)]
    return len(tests) == len(parts) > 1 and len({test.place for test in tests}) == 1


def _several_tests(parts: Sequence[Part], pronouns: _Pronouns) -> str:
    """Return the tests of one fact, whose subject is said once where it is the same for all."""
    made = [clause(part, pronouns.other) for part in parts if isinstance(part, FactTest)]
    subjects = {(one.subject, one.noun, one.some) for one in made}
    if len(subjects) > 1 or made[0].subject is Subject.NONE:
        return joined([pronouns.said(one) for one in made], "and")
    first, *others = (one.predicate for one in made)
    said = joined([first, *(_without_head(one, first) for one in others)], "and")
    return pronouns.said(made[0], said)


def _without_head(said: str, first: str) -> str:
    """Return words without those that they begin with as others did: `is over 5 and below 9`."""
    words, others = said.split(" "), first.split(" ")
    same = 0
    for one, other in zip(words, others, strict=False):
        if one != other or one in _TURNS:
            break
        same += 1
    rest = words[same:]
    negated = {"not", "neither"} & {*rest[:1], *others[same : same + 1]}
    return said if negated or not rest or rest[0] not in _TURNS else " ".join(rest)


def _split_by_subject(parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Split a rule's conditions into those about the workflow alone, and all others."""
    about = [part for part in parts if _is_about_workflows_alone(part)]
    return about, [part for part in parts if part not in about]


def _is_about_workflows_alone(part: Part) -> bool:
    plain = isinstance(part, FactTest) or (isinstance(part, All) and _of_one_fact(part.parts))
    return plain and all(_is_about_one_workflow(test.fact) for test in part.tests())


def _is_about_one_workflow(fact: Fact) -> bool:
    return fact.about_workflow and fact.path != RUNNING  # which is said of the document


def _workflows(parts: Sequence[Part]) -> str:
    """Return which workflows are meant: ` of template 61 that started more than 30 days ago`."""
    named = [part for part in parts if _names_templates(part)]
    said = [_of_template(part) for part in named if isinstance(part, FactTest)]
    others = [_part(part, _Pronouns(whose=True)) for part in parts if part not in named]
    that = [one.removeprefix("that ") for one in others if one.startswith("that ")]
    whose = [one for one in others if one.startswith("whose ")]
    where = [f"where {one}" for one in others if not one.startswith(("that ", "whose "))]
    clauses = [*([f"that {joined(that, 'and')}"] if that else []), *whose, *where]
    return "".join(f" {words}" for words in [*said, *([joined(clauses, "and")] if clauses else [])])


def _names_templates(part: Part) -> bool:
    return (
        isinstance(part, FactTest)
        and part.fact.path in _TEMPLATES
        and part.operator.name in ("is", "one_of")
        and part.operand.other is None
    )


def _of_template(test: FactTest) -> str:
    return f"of template {joined(test.operand.words.split(', '), 'or')}"


def _spared_in_words(keep: Keep) -> str:
    which = "newest" if keep.newest else "oldest"
    number = "" if keep.count == 1 else f"{keep.count} "
    groups = [*(name for name in GROUPS if name in keep.per), *map(_group, keep.facts)]
    return f" but the {number}{which}" + (f" of each {joined(groups, 'and')}" if groups else "")


def _group(path: str) -> str:
    """Return the words for what has the same value of a fact: `starter`, `company`."""
    fact = find(path)
    assert fact is not None
    return noun(fact)


def _lead(rule: Rule) -> str:
    if rule.triggers is None:
        return f"Whatever happens to {a_kind(rule.kind)}" if rule.kind else "Whatever happens"
    scheduled = [_schedule(one.schedule) for one in rule.triggers if one.schedule is not None]
    happening = _happening([one for one in rule.triggers if one.schedule is None])
    when = [f"when {happening}"] if happening else []
    lead = joined([*scheduled, *when], "and")
    return lead[0].upper() + lead[1:]


def _schedule(schedule: Schedule) -> str:
    if isinstance(schedule, Every):
        said = length_in_words(schedule.length)
        return f"every {said.removeprefix('1 ')}" if " " not in said[2:] else f"every {said}"
    return f"every day at {schedule.at:%H:%M} ({schedule.zone})"


def _happening(triggers: Sequence[Trigger]) -> str:
    """Return what happens to what: `a deal is added or changes, or a lead changes`."""
    by_subject: dict[str, list[str]] = {}
    for trigger in triggers:
        subject, verb = _subject_and_verb(trigger)
        verbs = by_subject.setdefault(subject, [])
        if verb not in verbs:
            verbs.append(verb)
    said = [f"{subject} {_verbs(verbs)}" for subject, verbs in by_subject.items()]
    if any(len(verbs) > 1 for verbs in by_subject.values()) and len(said) > 1:
        return f"{', '.join(said[:-1])}, or {said[-1]}"
    return joined(said, "or")


def _verbs(verbs: Sequence[str]) -> str:
    """Return verbs joined by `or`: `is added or changes`, `is added or deleted`."""
    if all(one.startswith("is ") for one in verbs):
        return f"is {joined([one.removeprefix('is ') for one in verbs], 'or')}"
    return joined(verbs, "or")


def _subject_and_verb(trigger: Trigger) -> tuple[str, str]:
    if trigger.is_robot:
        return "a robot", "calls"
    kind, dot, done = trigger.name.partition(".")
    if dot and done in _DONE:
        return a_kind(kind), _DONE[done]
    found = _PORTALS_NAME.fullmatch(trigger.name)
    if found is None or trigger.brings == "*":
        return "the portal", f"sends {trigger.name}"
    of_any = trigger.brings == "item_*"
    return "an item of a smart process" if of_any else a_kind(trigger.brings), _PORTALS_WORDS[
        found[1]
    ]


def _is_of_its_kind(rule: Rule) -> bool:
    """Return whether every trigger of a rule brings the document that its tests are about."""
    if rule.kind is None:
        return False
    return rule.triggers is None or all(
        trigger.name.partition(".")[0] == rule.kind for trigger in rule.triggers
    )


def _with_full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
