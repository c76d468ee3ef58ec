"""Restores the situation of a recorded decision, and writes it as a test case.

A fact that was not recorded is unknown, and never guessed.
"""

from collections.abc import Collection, Mapping, Sequence

import yaml

from responder.authoring.backtest import past_situation as record
from responder.authoring.backtest.verdict import choices_then
from responder.authoring.expectations import WAITING, Actual, waits_for
from responder.authoring.explain import Explanation, explain
from responder.journal.reading.history import Past
from responder.model import KILLING, Action, Situation, Unknown, Workflow
from responder.rules.facts import registry
from responder.rules.facts.derived import OF_JUDGEMENT
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths

Decision = Mapping[str, object]


class NothingToJudgeError(Exception):
    """The error for a decision without a situation: it had no document, or its facts are erased."""


def explanation(decision: Decision, past: Past, ruleset: Ruleset) -> Explanation:
    """Explain a decision by the rules that its evaluation asked, and whom `keep` spared then.

    Gone through is its workflow alone, or all that no decision names. `past` is its evaluation.
    Raise NothingToJudgeError where nothing is known.
    """
    whole = _situation(decision, past, ruleset)
    return _explained(past, ruleset, whole, _chosen(decision, past, whole))


def _explained(
    past: Past, ruleset: Ruleset, whole: Situation, shown: Collection[str]
) -> Explanation:
    asked = _asked(past, ruleset, whole)
    choices = choices_then(asked, whole, ruleset, record.condemned(past))
    return explain(ruleset, whole, past.at, asked=asked, choices=choices, shown=shown)


def _asked(past: Past, ruleset: Ruleset, whole: Situation) -> tuple[Rule, ...]:
    """Return the rules that an evaluation asked, with their guards."""
    named = past.body.get("asked")
    if named is None:
        return record.in_question(ruleset, past, whole.document, ruleset)
    return ruleset.with_guards(named, whole.document.kind, past.portal)


def _situation(decision: Decision, past: Past, ruleset: Ruleset) -> Situation:
    """Return the situation of an evaluation, with all workflows that are recorded."""
    document = record.document_of(past)
    if document is None:
        raise NothingToJudgeError(f"{decision['id']} speaks of no document")
    if past.content is None:
        raise NothingToJudgeError(f"the facts that {decision['id']} rested on were erased")
    return record.situation(past, document, paths(ruleset.rules), frozenset())


def _chosen(decision: Decision, past: Past, whole: Situation) -> list[str]:
    """Return the id of a decision's workflow, or of all that no decision names."""
    if isinstance(whole.workflows, Unknown):
        return []
    only, own = record.only_of(past), _workflow_of(decision)
    named = {one["workflow"]["id"] for one in past.body["decisions"] if one["workflow"]}
    return [
        one.id
        for one in whole.workflows
        if one.id == own or (own is None and one.id not in named and only in (None, one.id))
    ]


def _workflow_of(decision: Decision) -> str | None:
    row = decision["workflow"]
    return str(row["id"]) if isinstance(row, Mapping) else None


def as_test(decision: Decision, past: Past, ruleset: Ruleset) -> str:
    """Return a recorded decision as a test, in YAML.

    Where a rule with `keep` was asked, the test has all workflows, for it chooses among them.
    """
    rested_on = _situation(decision, past, ruleset)
    unknown: dict[str, None] = {}
    workflows: Sequence[Workflow] = ()
    expected = _expected(decision, past, ruleset)
    if isinstance(rested_on.workflows, Unknown):
        unknown = {"workflows": None}
    elif any(rule.keep for rule in _asked(past, ruleset, rested_on)):
        workflows = rested_on.workflows
        others = {one.id for one in workflows}.difference(_chosen(decision, past, rested_on))
        expected |= _of_others(_explained(past, ruleset, rested_on, others))
    else:
        chosen = _chosen(decision, past, rested_on)
        workflows = [one for one in rested_on.workflows if one.id in chosen]
    case: dict[str, object] = {
        "name": f"as decided in {decision['id']}",
        "event": list(rested_on.events) or rested_on.trigger,
        "at": decision["at"],
        "portal": rested_on.portal,
        "document": rested_on.document.ref,
        "facts": _nested(rested_on.facts, unknown),
        "workflows": [_workflow_row(one, unknown) for one in workflows],
        "expect": expected or Action.NONE.value,
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


def _expected(decision: Decision, past: Past, ruleset: Ruleset) -> dict[str, object]:
    """Return what is expected of a decision's workflow; nothing where it condemned and left none.

    A test says of a rule that waits first, or for its hours, that it waits.
    """
    workflow_id, action = _workflow_of(decision), str(decision["action"])
    if workflow_id is None or action == Action.NONE:
        return {}
    rule = next((one for one in ruleset.rules if one.id == decision["rule"]), None)
    if action in KILLING and rule is not None and waits_for(rule, past.at) is not None:
        action = WAITING
    return {workflow_id: {action: str(decision["rule"])}}


def _of_others(explained: Explanation) -> dict[str, object]:
    """Return what is expected of workflows that a test has beside the one that it is about."""

    def results(actual: Sequence[Actual]) -> list[dict[str, str]]:
        return [{str(one.what): one.rule} for one in actual]

    return {one.workflow.id: results(one.actual) for one in explained.traces if one.actual}
