"""Restores the situation of a recorded evaluation, for the rules that decided it and for others.

A record holds the facts that some rule in question needed then, so other rules may need a fact that
nobody read: such a fact is `NOT_RECORDED`. That differs from one that could not be read (`Unknown`,
and no rule acts on it) and from one that the portal's answer lacked. Workflows that ran on the
document are recorded with their rows, those that no decision names in `rest`. The version before
this one did not write `rest`: of such a workflow only the values in tests are known.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from responder.journal.entries import document_named
from responder.journal.reading.history import Past
from responder.model import Condition, Document, Reason, Situation, Unknown, Workflow
from responder.rules.facts import registry
from responder.rules.facts.derived import RUNNING, SOURCES, STARTED_BY
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths

NOT_RECORDED = Unknown("it was not recorded")
_OF_ANY_KIND = ("document.exists", RUNNING)
_FOLLOWING = frozenset({*SOURCES, "template.id", "starter.id"})
_Json = Mapping[str, Any]


def document_of(past: Past) -> Document | None:
    """Return the document that was judged; None where events were concluded without a reading."""
    return document_named(past.body["document"])


def situation(
    past: Past, document: Document, wanted: frozenset[str], asked: frozenset[str]
) -> Situation:
    """Return the situation of an evaluation, for rules that need the facts `wanted`.

    `asked` are the facts that were asked of the portal then. The evidence must not be erased.
    """
    assert past.content is not None
    known = past.content["facts"]
    found: dict[str, object] = {
        path: NOT_RECORDED
        for path in wanted
        if path not in known and path not in asked and _is_of(path, document.kind)
    }
    found |= known
    found |= {path: Unknown(why) for path, why in past.content["unknown"].items()}
    return Situation(
        portal=past.portal,
        trigger=past.body["trigger"],
        events=tuple(past.body["event_names"]),
        document=document,
        facts=found,
        workflows=_workflows(past, past.content, wanted, asked),
    )


def only_of(past: Past) -> str | None:
    """Return the id of the one workflow that was judged, where a call named it."""
    only = (past.content or {}).get("only")
    return only if isinstance(only, str) else None


def is_repetition(past: Past) -> bool:
    """Return whether an evaluation only found that earlier decisions still hold."""
    rest = (past.content or {}).get("rest")
    return rest is None and any(
        decided["reason"] == Reason.UNCHANGED for decided in past.body["decisions"]
    )


def condemned(past: Past) -> list[tuple[str, str]]:
    """Return which workflows were condemned or left: pairs of rule and workflow."""
    named = [one for one in past.body["decisions"] if one["workflow"] is not None]
    return [(decided["rule"], decided["workflow"]["id"]) for decided in named]


def conditions(past: Past, workflow_id: str) -> list[Condition]:
    """Return the recorded tests that were made for a workflow, with their values."""
    return [one for workflow, one in _conditions(past) if workflow in (workflow_id, None)]


def _conditions(past: Past) -> Iterator[tuple[str | None, Condition]]:
    """Yield the recorded tests, each with the id of its workflow (None: it was made for none)."""
    for place, decided in enumerate(past.body["decisions"]):
        rows = decided["conditions"]
        seen = past.content["values"][place] if past.content else [(None, None)] * len(rows)
        for condition, (value, why) in zip(rows, seen, strict=True):
            made = Condition(
                rule=condition["rule"],
                path=condition["path"],
                test=condition["test"],
                value=value,
                holds=condition["holds"],
                why=why,
            )
            yield condition.get("workflow"), made


@cache
def _is_of(path: str, kind: str) -> bool:
    return path.partition(".")[0] == kind or path in _OF_ANY_KIND


@cache
def _about_workflow(path: str) -> bool:
    return path.partition(".")[0] in registry.ABOUT_WORKFLOWS


@cache
def _of_workflows(wanted: frozenset[str]) -> frozenset[str]:
    return frozenset(path for path in wanted if _about_workflow(path)) - _FOLLOWING


def _workflows(
    past: Past, content: _Json, wanted: frozenset[str], asked: frozenset[str]
) -> tuple[Workflow, ...] | Unknown:
    rest = content.get("rest")
    if rest is not None and "ids" not in rest:
        return Unknown(rest["unknown"])
    if rest is None and (why := _unlisted(past)) is not None:
        return Unknown(why)
    known: dict[str, Mapping[str, object]] = {}
    for decided, row in zip(past.body["decisions"], content["workflows"], strict=True):
        if row is not None:
            known[decided["workflow"]["id"]] = _read(row)
    missing = _of_workflows(wanted)
    found = [_workflow(name, row, missing - asked) for name, row in known.items()]
    if rest is None:
        seen = _seen(past).items()
        found += [_workflow(name, row, missing) for name, row in seen if name not in known]
    else:
        for name, values in zip(rest["ids"], rest["rows"], strict=True):
            row = _read(dict(zip(rest["paths"], values, strict=True)))
            found.append(_workflow(name, row, missing - asked))
    return tuple(sorted(found, key=lambda one: one.id))


def _workflow(name: str, known: Mapping[str, object], missing: frozenset[str]) -> Workflow:
    found: dict[str, object] = dict.fromkeys(missing, NOT_RECORDED)
    found["workflow.id"] = name
    found |= known
    if found.get(STARTED_BY) is NOT_RECORDED:
        found["starter.id"] = NOT_RECORDED
    return Workflow(id=name, facts=found)


def _read(row: Mapping[str, object]) -> Mapping[str, object]:
    """Return recorded facts, with `Unknown` and its reason for each that could not be read."""
    if not any(type(value) is dict for value in row.values()):
        return row
    return {path: _value(value) for path, value in row.items()}


def _value(value: object) -> object:
    if isinstance(value, Mapping) and set(value) == {"unknown"}:
        return Unknown(str(value["unknown"]))
    return value


def _unlisted(past: Past) -> str | None:
    """Return why the workflows could not be listed, as the version before wrote it."""
    for _, one in _conditions(past):
        if one.path == "workflows":
            return one.why or "they could not be listed"
    return None


def _seen(past: Past) -> dict[str, dict[str, object]]:
    """Return the values that tests were made on, for the workflows that no decision names."""
    seen: dict[str, dict[str, object]] = {}
    for workflow, one in _conditions(past):
        if workflow is None:
            continue
        known = seen.setdefault(workflow, {})
        path = ".".join(one.path.split(".")[-2:])
        if _about_workflow(path) and path not in SOURCES:
            known[path] = one.value if one.why is None else Unknown(one.why)
    return seen


def in_question(ruleset: Ruleset, past: Past, document: Document, then: Ruleset | None) -> "Rules":
    """Return the rules of a ruleset that the trigger of an evaluation sets off, guards among them.

    For a sweep these are the rules that sweeps read. For a run of schedules, those that it asked
    then, as far as the ruleset has them, and those that share a schedule with one of them. Older
    entries do not name the rules asked, but those that decided.
    """
    trigger, kind = past.body["trigger"], document.kind
    if trigger in ("event", "robot"):
        events = tuple(past.body["event_names"])
        return ruleset.in_question(trigger, events, kind, past.portal)
    named = set(past.body.get("asked") or ())
    named |= {decided["rule"] for decided in past.body["decisions"]}
    named |= {one.rule for _, one in _conditions(past)}
    before = [rule for rule in (then.rules if then else ()) if rule.id in named and rule.acts]
    swept = {rule.id for rule in ruleset.swept(kind, past.portal)} if trigger == "sweep" else set()
    due = [
        rule.id
        for rule in ruleset.rules
        if rule.acts and (rule.id in swept or _runs(rule, trigger, named, before))
    ]
    return ruleset.with_guards(due, kind, past.portal)


Rules = tuple[Rule, ...]


def _runs(rule: Rule, trigger: str, named: set[str], before: list[Rule]) -> bool:
    if trigger == "schedule":
        shared = {schedule for one in before for schedule in one.schedules}
        return bool(rule.schedules) and (rule.id in named or not shared.isdisjoint(rule.schedules))
    return rule.id in named and any(one.id == rule.id and not one.sweep for one in before)


def asked_then(then: Ruleset | None, past: Past, document: Document) -> frozenset[str]:
    """Return the facts that were asked of the portal, as far as that is known."""
    return frozenset() if then is None else paths(in_question(then, past, document, then))
