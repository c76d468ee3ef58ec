"""Writes one test of a fact as a clause in English: a subject, and what is said of it.

Some facts have a verb of their own (`workflow.age` is when the workflow *started*, `deal.closed`
whether the deal *is closed*), so that the document or the workflow itself is the subject. Of all
others the subject is the fact: *its amount is below 1000*. Of a linked fact the subject is what the
link leads to, or a noun of that: *its company's industry is IT*.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from responder.model import Unknown
from responder.rules.english.fact_names import A_TRUTH, DATES, LINKS, MANY, STAGES
from responder.rules.english.predicates import (
    ORDER,
    OtherInWords,
    joined,
    neither,
    noun,
    predicate,
    when,
)
from responder.rules.facts import links, registry, values
from responder.rules.facts.conditions import FactTest
from responder.rules.facts.derived import RUNNING
from responder.rules.facts.fields import Type
from responder.rules.facts.links import Linked
from responder.rules.facts.registry import Fact


class Subject(StrEnum):
    """The subject of a clause: the document, the workflow, a noun of one of them, or its own."""

    DOCUMENT = "document"
    WORKFLOW = "workflow"
    OF_DOCUMENT = "of document"
    OF_WORKFLOW = "of workflow"
    NONE = "none"


class Clause(NamedTuple):
    """A test in English. `noun` is what is of the document or workflow; `some` is `one of` or so.

    `kind` is the kind of document, where a clause is about one.
    """

    subject: Subject
    predicate: str
    noun: str = ""
    some: str = ""
    kind: str | None = None


_NEGATIVE = frozenset({"is_not", "none_of", "not_in_list"})
# How many there are of something that is counted.
_FEW: Mapping[str, str] = {**ORDER, "below": "fewer than {}"}
# Verbs of durations and dates, for which the time follows: `started more than 3 days ago`.
_VERBS: Mapping[str, str] = {
    "workflow.age": "started",
    "workflow.started": "started",
    "workflow.idle": "was last active",
    "workflow.modified": "was last active",
}


def clause(test: FactTest, other: OtherInWords) -> Clause:
    """Return a test in English; `other` gives the words for a fact that it is compared with."""
    linked = links.parse(test.fact.path)
    if linked is not None:
        return _of_link(test, linked, other)
    for write in (_of_workflow, _of_people, _of_yes_and_no, _of_dates, _of_stage):
        found = write(test, other)
        if found is not None:
            return found
    return _of_noun(test, other)


def _subject(fact: Fact) -> Subject:
    return Subject.DOCUMENT if fact.kind else Subject.WORKFLOW


def _about(test: FactTest, predicate: str) -> Clause:
    return Clause(_subject(test.fact), predicate, kind=test.fact.kind)


def _truth_of(test: FactTest) -> bool | None:
    """Return whether a test of yes or no asks for yes; None if it is another test."""
    if test.operand.other is not None or test.operator.name not in ("is", "is_not"):
        return None
    found = values.truth(_truth_word(test.operand.words))
    return None if isinstance(found, Unknown) else found is not test.negated


def _truth_word(words: str) -> object:
    return {"true": True, "false": False}.get(words.lower(), words)


# --- the workflow itself -----------------------------------------------------------------------


def _of_workflow(test: FactTest, other: OtherInWords) -> Clause | None:
    path = test.fact.path
    if path in _VERBS:
        said = when(test)
        return None if said is None else _about(test, f"{_VERBS[path]} {said}")
    if path == "workflow.tasks":
        return _of_tasks(test)
    if path == RUNNING:
        return _of_running(test, other)
    if path == "document.exists" and test.operator.name != "exists":
        exists = _truth_of(test)
        said = "the document is there" if exists else "the document is gone"
        return None if exists is None else Clause(Subject.NONE, said)
    if path == "template.known":
        known = _truth_of(test)
        said = "is one that the portal lists" if known else "is none that the portal lists"
        return None if known is None else Clause(Subject.OF_WORKFLOW, said, "template")
    if path in ("document.kind", "document.id", "event.name"):
        names = {"document.kind": "the kind of document", "document.id": "the document's number"}
        return Clause(Subject.NONE, f"{names.get(path, 'the event')} {predicate(test, other)}")
    return None


def _of_running(test: FactTest, other: OtherInWords) -> Clause:
    words, pattern = test.operand.words, {**_FEW, "is": "{}"}.get(test.operator.name)
    if pattern is not None and test.operand.other is None:
        run = "workflow runs" if words == "1" else "workflows run"
        return Clause(Subject.NONE, f"{pattern.format(words)} {run} on the document")
    said = _filled_in(test) if test.operator.name == "exists" else predicate(test, other)
    return Clause(Subject.NONE, f"the number of workflows that run on the document {said}")


def _of_tasks(test: FactTest) -> Clause | None:
    words, name = test.operand.words, test.operator.name
    if test.operand.other is not None:
        return None
    pattern = {**_FEW, "is": "{}", "is_not": "other than {}"}.get(name)
    if pattern is None:
        return None
    if (name, words) in (("is", "0"), ("below", "1"), ("at_most", "0")):
        return _about(test, "has no open task")
    if (name, words) in (("at_least", "1"), ("over", "0"), ("is_not", "0")):
        return _about(test, "has an open task")
    task = "open task" if words == "1" else "open tasks"
    return _about(test, f"has {pattern.format(words)} {task}")


# --- people ------------------------------------------------------------------------------------


def _of_people(test: FactTest, other: OtherInWords) -> Clause | None:
    path = test.fact.path
    if path in ("workflow.started_by", "starter.id"):
        return _of_starter(test, other)
    if path == "starter.active":
        active = _truth_of(test)
        said = "is active" if active else "is dismissed"
        return None if active is None else Clause(Subject.OF_WORKFLOW, said, "starter")
    if path == "starter.department":
        return _of_department(test)
    if path.startswith("waiting_for."):
        return _of_awaited(test, other)
    return None


def _of_department(test: FactTest) -> Clause | None:
    said = _works_in(test)
    return None if said is None else Clause(Subject.OF_WORKFLOW, said, "starter")


def _works_in(test: FactTest) -> str | None:
    if test.operand.other or test.operator.name not in ("is", "is_not", "one_of", "none_of"):
        return None
    verb = "does not work" if test.negated else "works"
    return f"{verb} in department {joined(test.operand.words.split(', '), 'or')}"


def _of_starter(test: FactTest, other: OtherInWords) -> Clause | None:
    if test.operator.name == "exists":
        return _about(test, "was started by " + ("nobody" if test.negated else "a person"))
    people = _people(test, other)
    not_ = "not " if test.negated else ""
    return None if people is None else _about(test, f"was {not_}started by {people}")


def _of_awaited(test: FactTest, other: OtherInWords) -> Clause | None:
    path = test.fact.path
    if test.operator.name == "exists":
        return _about(test, "waits for " + ("nobody" if test.negated else "somebody"))
    if path == "waiting_for.active":
        active = _truth_of(test)
        if active is None:
            return None
        state = "is active" if active != test.negated else "is dismissed"
        verb = "does not wait" if test.negated else "waits"
        return _about(test, f"{verb} for someone who {state}")
    people = _people(test, other)
    if people is None:
        return None
    verb = "does not wait" if test.negated else "waits"
    if path == "waiting_for.department":
        people = "someone of " + people.replace("user ", "department ", 1)
        people = people.replace("someone of someone in", "someone of a department in")
    return _about(test, f"{verb} for {people}")


def _people(test: FactTest, other: OtherInWords) -> str | None:
    """Return which people a test names: `user 7 or 9`, `someone in the list vip`."""
    words, name = test.operand.words, test.operator.name
    if test.operand.other is not None:
        return other(test.operand.other)
    if name in ("is", "is_not", "one_of", "none_of"):
        return f"user {joined(words.split(', '), 'or')}"
    return f"someone in the list {words}" if name in ("in_list", "not_in_list") else None


# --- the document ------------------------------------------------------------------------------


def _of_yes_and_no(test: FactTest, _other: OtherInWords) -> Clause | None:
    name = test.fact.path.partition(".")[2]
    said = A_TRUTH.get(test.fact.path) or A_TRUTH.get(name)
    wanted = _truth_of(test) if test.fact.type is Type.TRUTH else None
    if wanted is None:
        return None
    if said is None:
        return _about(test, f"{'has' if wanted else 'does not have'} the mark “{noun(test.fact)}”")
    return _about(test, said[0] if wanted else said[1])


def _of_dates(test: FactTest, _other: OtherInWords) -> Clause | None:
    name = test.fact.path.partition(".")[2]
    if name not in DATES or test.fact.kind is None:
        return None
    if test.operator.name == "exists":
        ever = "was never" if test.negated else "has been"
        return _about(test, f"{ever} {DATES[name].removeprefix('last ')}")
    said = when(test)
    return None if said is None else _about(test, f"was {DATES[name]} {said}")


def _of_stage(test: FactTest, _other: OtherInWords) -> Clause | None:
    if not test.fact.path.endswith(".stage_semantic_id") or test.operand.other is not None:
        return None
    words = [STAGES.get(one, "") for one in test.operand.words.split(", ")]
    if not all(words) or test.operator.name not in ("is", "is_not", "one_of", "none_of"):
        return None
    if not test.negated:
        return _about(test, f"is {joined(words, 'or')}")
    return _about(test, f"is not {words[0]}" if len(words) == 1 else neither(words))


# --- what the document is linked to ------------------------------------------------------------


def _of_link(test: FactTest, linked: Linked, other: OtherInWords) -> Clause:
    """Return a test of what a link leads to: `its company is …`, `its company's industry is …`."""
    kind, there = test.fact.kind, LINKS[linked.link.name]
    if linked.name == "id" and test.operator.name == "exists":
        return _about(test, f"has no {there}" if test.negated else f"has {_a(there)}")
    if linked.link.target == links.USER:
        return _of_linked_user(test, linked, other)
    fact = registry.find(f"{linked.link.target}.{linked.name}")
    assert fact is not None
    inner = clause(replace(test, fact=fact), other)
    said = f"{there}'s {inner.noun}" if inner.noun else there
    return Clause(Subject.OF_DOCUMENT, inner.predicate, said, inner.some, kind)


def _of_linked_user(test: FactTest, linked: Linked, other: OtherInWords) -> Clause:
    there, said = LINKS[linked.link.name], None
    if linked.name == "active":
        active = _truth_of(test)
        said = None if active is None else "is active" if active else "is dismissed"
    elif linked.name == "department":
        said = _works_in(test)
    if said is not None:
        return Clause(Subject.OF_DOCUMENT, said, there, kind=test.fact.kind)
    filled = test.operator.name == "exists"
    said = _filled_in(test) if filled else predicate(test, other)
    return Clause(Subject.OF_DOCUMENT, said, noun(test.fact), kind=test.fact.kind)


# --- a noun of the document or the workflow ----------------------------------------------------


def _of_noun(test: FactTest, other: OtherInWords) -> Clause:
    fact = test.fact
    subject = Subject.OF_DOCUMENT if fact.kind else Subject.OF_WORKFLOW
    several = fact.path.partition(".")[2] in MANY
    said = noun(fact)
    if test.operator.name == "exists":
        return _of_existence(test, said, several=several)
    if not several:
        return Clause(subject, predicate(test, other), said, kind=fact.kind)
    some = "none of" if test.operator.name in _NEGATIVE else "one of"
    return Clause(subject, predicate(test, other, negate=False), said, some, fact.kind)


def _of_existence(test: FactTest, said: str, *, several: bool) -> Clause:
    fact = test.fact
    if several:
        return _about(test, f"has no {said}" if test.negated else f"has {said}")
    if fact.type is Type.REFERENCE and fact.kind:
        return _about(test, f"has no {said}" if test.negated else f"has {_a(said)}")
    subject = Subject.OF_DOCUMENT if fact.kind else Subject.OF_WORKFLOW
    return Clause(subject, _filled_in(test), said, kind=fact.kind)


def _filled_in(test: FactTest) -> str:
    return "is empty" if test.negated else "is filled in"


def _a(said: str) -> str:
    return f"an {said}" if said[0] in "aeio" else f"a {said}"
