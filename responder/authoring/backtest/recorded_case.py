"""Restores the situation of a recorded decision, and writes it as a test case.

A fact that was not recorded is unknown, and never guessed.
"""

from collections.abc import Mapping
from dataclasses import replace

import yaml

from responder.authoring.backtest import past_situation as record
from responder.journal.reading.history import Past
from responder.model import Action, Situation, Unknown, Workflow
from responder.rules.facts import registry
from responder.rules.facts.derived import OF_JUDGEMENT
from responder.rules.ruleset import Ruleset, paths

Decision = Mapping[str, object]


class NothingToJudgeError(Exception):
    """The error for a decision without a situation: it had no document, or its facts are erased."""


def situation(decision: Decision, past: Past, ruleset: Ruleset) -> Situation:
    """Return the situation of a decision, with its workflow alone, or all that no decision names.

    `past` is its evaluation. Raise NothingToJudgeError where nothing is known.
    """
    document = record.document_of(past)
    if document is None:
        raise NothingToJudgeError(f"{decision['id']} speaks of no document")
    if past.content is None:
        raise NothingToJudgeError(f"the facts that {decision['id']} rested on were erased")
    whole = record.situation(past, document, paths(ruleset.rules), frozenset())
    if isinstance(whole.workflows, Unknown):
        return whole
    only, row = record.only_of(past), decision["workflow"]
    own = row["id"] if isinstance(row, Mapping) else None
    named = {one["workflow"]["id"] for one in past.body["decisions"] if one["workflow"]}
    chosen = (
        one
        for one in whole.workflows
        if one.id == own or (own is None and one.id not in named and only in (None, one.id))
    )
    return replace(whole, workflows=tuple(chosen))


def as_test(decision: Decision, past: Past, ruleset: Ruleset) -> str:
    """Return a recorded decision as a test, in YAML."""
    rested_on = situation(decision, past, ruleset)
    unknown: dict[str, None] = {}
    workflows = rested_on.workflows
    if isinstance(workflows, Unknown):
        workflows, unknown = (), {"workflows": None}
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
        elif path not in OF_JUDGEMENT and registry.find(path) is not None:
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
