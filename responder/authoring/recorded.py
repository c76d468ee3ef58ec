"""Makes a situation of a recorded decision again, and a test case of a situation.

A decision on a workflow has all that was known of it. One on the rest (`none`) names its workflows
in its tests alone, so of those is known what the tests saw. What was not recorded is unknown, and
never guessed.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import cast

import yaml

from responder.bitrix24 import documents
from responder.model import Action, Document, Situation, Trigger, Unknown, Workflow
from responder.rules import facts
from responder.rules.derived import SOURCES
from responder.rules.ruleset import Ruleset, paths

Decision = Mapping[str, object]

_NOT_RECORDED = Unknown("it was not recorded")
# What a judgement makes of other facts itself.
_FOLLOWING = frozenset({*SOURCES, "template.id", "starter.id"})
_OF_THE_CASE = ("document.kind", "document.id", "event.name")


class NothingToJudgeError(Exception):
    """A decision rests on no document: there is nothing to go through."""


def moment(decision: Decision) -> datetime:
    """Return the moment of a decision."""
    return datetime.fromisoformat(str(decision["at"]))


def situation(decision: Decision, ruleset: Ruleset) -> Situation:
    """Return what a decision rested on. Raise NothingToJudgeError where that is no document."""
    document = _document(decision)
    known = _mapping(decision["facts"])
    read = {path for path in paths(ruleset.rules) if not _about_workflow(path)}
    found: dict[str, object] = {
        path: _NOT_RECORDED for path in read if _is_of(path, document.kind) and path not in known
    }
    found |= {path: _value(value) for path, value in known.items()}
    return Situation(
        portal=str(decision["portal"]),
        trigger=cast("Trigger", decision["trigger"]),
        events=tuple(map(str, _list(decision["event_names"]))),
        document=document,
        facts=found,
        workflows=tuple(_workflows(decision, ruleset)),
    )


def _document(decision: Decision) -> Document:
    triple = decision["document"]
    if not isinstance(triple, list):
        raise NothingToJudgeError(f"{decision['id']} speaks of no document")
    return documents.from_triple(*map(str, triple))


def _is_of(path: str, kind: str) -> bool:
    owner = path.partition(".")[0]
    return owner == kind or path == "document.exists"


def _about_workflow(path: str) -> bool:
    return path.partition(".")[0] in facts.ABOUT_WORKFLOWS


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _value(value: object) -> object:
    """Read a fact as the log shows it: one that could not be read says why."""
    if isinstance(value, Mapping) and set(value) == {"unknown"}:
        return Unknown(str(value["unknown"]))
    return value


def _workflows(decision: Decision, ruleset: Ruleset) -> Iterator[Workflow]:
    read = {path for path in paths(ruleset.rules) if _about_workflow(path)}
    for name, known in _known(decision).items():
        found: dict[str, object] = dict.fromkeys(read - _FOLLOWING, _NOT_RECORDED)
        found |= {"workflow.id": name, **known}
        yield Workflow(id=name, facts=found)


def _known(decision: Decision) -> dict[str, dict[str, object]]:
    row = decision["workflow"]
    if isinstance(row, Mapping):
        return {str(row["id"]): dict(_of_row(row))}
    seen: dict[str, dict[str, object]] = {}
    for condition in map(_mapping, _list(decision["conditions"])):
        name, path = condition.get("workflow"), _fact_of(str(condition["path"]))
        if name is None:
            continue
        known = seen.setdefault(str(name), {})
        if _about_workflow(path) and path not in SOURCES:
            why = condition.get("why")
            known[path] = condition["value"] if why is None else Unknown(str(why))
    return seen


def _of_row(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if name in facts.ABOUT_WORKFLOWS:
            for field, inner in _mapping(value).items():
                yield f"{name}.{field}", _value(inner)
        else:
            yield f"workflow.{name}", _value(value)


def _fact_of(place: str) -> str:
    """Return the fact that is tested at a place in a rule: `if.any[0].deal.stage_id`."""
    return ".".join(place.split(".")[-2:])


def as_test(decision: Decision, ruleset: Ruleset) -> str:
    """Write a recorded decision as a test, in YAML."""
    rested_on = situation(decision, ruleset)
    workflows = [] if isinstance(rested_on.workflows, Unknown) else rested_on.workflows
    unknown: dict[str, None] = {}
    case: dict[str, object] = {
        "name": f"as decided in {decision['id']}",
        "event": list(rested_on.events) or rested_on.trigger,
        "at": decision["at"],
        "portal": rested_on.portal,
        "document": rested_on.document.ref,
        "facts": _nested(rested_on.facts, unknown),
        "workflows": [_workflow_row(one, unknown) for one in workflows],
        "expect": _expected(decision),
    }
    if unknown:
        case["unknown"] = list(unknown)
    return yaml.safe_dump(
        {"tests": [case]}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def _nested(known: Mapping[str, object], unknown: dict[str, None]) -> dict[str, object]:
    nested: dict[str, dict[str, object]] = {}
    for path, value in known.items():
        owner, _, name = path.partition(".")
        if isinstance(value, Unknown):
            unknown[path] = None
        elif path not in _OF_THE_CASE and facts.find(path) is not None:
            nested.setdefault(owner, {})[name] = value
    return dict(nested)


def _workflow_row(workflow: Workflow, unknown: dict[str, None]) -> dict[str, object]:
    nested = _nested(workflow.facts, unknown)
    own = nested.pop("workflow", {})
    assert isinstance(own, dict)
    return {"id": workflow.id, **own, **nested}


def _expected(decision: Decision) -> object:
    row = decision["workflow"]
    if not isinstance(row, Mapping) or decision["action"] == Action.NONE:
        return Action.NONE.value
    return {str(row["id"]): {str(decision["action"]): str(decision["rule"])}}
