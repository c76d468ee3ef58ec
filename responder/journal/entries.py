"""Builds an evaluation's entry, its evidence, and its rows in the index of decisions.

The entry has what was decided and how each test came out. Every value that was read is in the
evidence, so that personal data can be erased without breaking the chain.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.journal.naming import names
from responder.model import (
    ABSENT,
    OPEN_OUTCOMES,
    Action,
    Condition,
    Document,
    Mode,
    Names,
    Outcome,
    Reason,
    Traced,
    Trigger,
    Unknown,
    Workflow,
)
from responder.store.canonical_json import canonical
from responder.store.inbox.second_looks import asked_text


@dataclass(frozen=True, slots=True)
class Spared:
    """The workflows that a rule spared when it condemned another: its `keep` in words, and ids.

    `group` is the mark of their common group, where facts make the groups (`keep.group_mark`).
    """

    keep: str
    ids: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A decision about one workflow, or, without one, about all the rest.

    `outcome` is an open one for what is to be done, a final one for what is settled with the
    decision (`would_kill`, `left`), None for the action `none`. `names` are for people alone, and
    read only where a workflow is condemned.
    """

    workflow: Workflow | None = None
    rule: str | None = None
    because: str | None = None
    action: Action = Action.NONE
    reason: Reason | None = None
    mode: Mode | None = None
    traced: tuple[Traced, ...] = ()
    outcome: Outcome | None = None
    detail: str | None = None
    due_at: datetime | None = None
    spared: Spared | None = None
    names: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvaluation:
    """One judgement of a document, with the deliveries that it concludes.

    `running` are the workflows that ran on it, or why they could not be listed; None where nothing
    was read. `only` is the id of the workflow that a call named, where no other was judged.

    `asked` are the rules that were asked, where trigger and events do not select them (a run). What
    one of them condemned is a set: that of this evaluation, or of the run whose `set_name` it has;
    `running_in_all` is how many workflows the run counted in the portal.
    """

    portal: str
    at: datetime
    trigger: Trigger
    ruleset: str
    event: str | None = None
    event_names: tuple[str, ...] = ()
    document: Document | None = None
    facts: Mapping[str, object]
    decisions: tuple[NewDecision, ...]
    deliveries: tuple[int, ...] = ()
    received_at: datetime | None = None
    running: tuple[Workflow, ...] | Unknown | None = None
    only: str | None = None
    asked: tuple[str, ...] | None = None
    set_name: str | None = None
    running_in_all: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """The intent of a call. `approval`: the entry in which somebody approved it, if needed."""

    decision_id: str
    evidence: Mapping[str, object]
    approval: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutcome:
    """The final outcome of an open decision."""

    decision_id: str
    outcome: Outcome
    receipt: bool | None = None
    detail: str | None = None
    verify_at: datetime | None = None
    perhaps_done: bool = False


def body(evaluation: NewEvaluation) -> dict[str, object]:
    """Return the body of the entry, which the chain covers."""
    document = evaluation.document
    of_run: dict[str, object] = {}
    if evaluation.asked is not None:
        of_run["asked"] = sorted(evaluation.asked)
    if evaluation.set_name is not None:
        of_run["set"] = evaluation.set_name
    return of_run | {
        "trigger": evaluation.trigger,
        "event": evaluation.event,
        "event_names": list(evaluation.event_names),
        "events": len(evaluation.deliveries),
        "received_at": evaluation.received_at,
        "document": None
        if document is None
        else {"kind": document.kind, "item_id": document.item_id, "triple": document.triple},
        "ruleset": evaluation.ruleset,
        "decisions": [_decision_body(decision) for decision in evaluation.decisions],
    }


def _decision_body(decision: NewDecision) -> dict[str, object]:
    workflow, spared = decision.workflow, decision.spared
    of_keep: dict[str, object] = {}
    if spared is not None:
        of_keep["spared"] = _spared_body(spared)
    return of_keep | {
        "workflow": None
        if workflow is None
        else {"id": workflow.id, "template_id": _template_id(workflow)},
        "rule": decision.rule,
        "because": decision.because,
        "action": decision.action.value,
        "reason": decision.reason,
        "mode": decision.mode,
        "outcome": decision.outcome,
        "detail": decision.detail,
        "conditions": [
            _condition_body(condition, traced.workflow)
            for traced in decision.traced
            for condition in traced.conditions
        ],
    }


def _condition_body(condition: Condition, workflow: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "rule": condition.rule,
        "path": condition.path,
        "test": condition.test,
        "holds": condition.holds,
    }
    if workflow is not None:
        body["workflow"] = workflow
    return body


def evidence(evaluation: NewEvaluation) -> dict[str, object]:
    """Return every value that was read, kept apart from the entry."""
    facts = evaluation.facts
    content: dict[str, object] = {
        "facts": {path: value for path, value in facts.items() if not isinstance(value, Unknown)},
        "unknown": {path: value.why for path, value in facts.items() if isinstance(value, Unknown)},
        "workflows": [
            None if decision.workflow is None else decision.workflow.facts
            for decision in evaluation.decisions
        ],
        "values": [
            [
                [condition.value, condition.why]
                for traced in decision.traced
                for condition in traced.conditions
            ]
            for decision in evaluation.decisions
        ],
    }
    if evaluation.running is not None:
        content["rest"] = _rest(evaluation, evaluation.running)
    if evaluation.only is not None:
        content["only"] = evaluation.only
    if any(decision.names is not None for decision in evaluation.decisions):
        content["names"] = [names.to_json(decision.names) for decision in evaluation.decisions]
    return content


def _rest(
    evaluation: NewEvaluation, running: tuple[Workflow, ...] | Unknown
) -> Mapping[str, object] | Unknown:
    """Return the workflows that no decision names, so that other rules can be tried on them.

    They form a table (the paths of facts once, and a row for each workflow), as a busy document has
    many workflows.
    """
    if isinstance(running, Unknown):
        return running
    named = {one.workflow.id for one in evaluation.decisions if one.workflow is not None}
    rest = [workflow for workflow in running if workflow.id not in named]
    paths = sorted({path for workflow in rest for path in workflow.facts})
    return {
        "ids": [workflow.id for workflow in rest],
        "paths": paths,
        "rows": [[workflow.facts.get(path, ABSENT) for path in paths] for workflow in rest],
    }


def index_row(
    evaluation: NewEvaluation, decision: NewDecision, seq: int, n: int
) -> dict[str, object]:
    """Return a decision's row in the index."""
    document, workflow = evaluation.document, decision.workflow
    is_open = decision.outcome in OPEN_OUTCOMES
    acts = is_open and decision.mode is not Mode.OBSERVE
    return {
        "portal": evaluation.portal,
        "seq": seq,
        "n": n,
        "at": evaluation.at,
        "received_at": evaluation.received_at,
        "trigger": evaluation.trigger,
        "event": evaluation.event,
        "event_names": canonical(evaluation.event_names),
        "document": None if document is None else document.ref,
        "triple": document_text(document),
        "workflow_id": None if workflow is None else workflow.id,
        "template_id": None if workflow is None else _template_id(workflow),
        "rule": decision.rule,
        "action": decision.action.value,
        "ruleset": evaluation.ruleset,
        "outcome": None if decision.outcome is None else decision.outcome.value,
        "receipt": None,
        "detail": decision.detail,
        "concluded_at": None if is_open else evaluation.at,
        "due_at": decision.due_at if is_open else None,
        "tries": 0,
        "calls": 0,
        "shadow": is_open and decision.mode is Mode.OBSERVE,
        "unknown_id": False,
        "changed": seq,
        "asked": asked_text(evaluation.asked) if is_open else None,
        "alone": evaluation.only is not None if is_open else None,
        "spared": _spared_text(decision.spared) if is_open else None,
        "set_name": (evaluation.set_name or f"{evaluation.portal}-{seq}") if acts else None,
        "begun": False if acts else None,
        "running": evaluation.running_in_all if acts else None,
        "postponed_at": evaluation.at if is_open else None,
        "names": names.to_text(decision.names),
    }


def _spared_text(spared: Spared | None) -> str | None:
    return None if spared is None else canonical(_spared_body(spared))


def _spared_body(spared: Spared) -> dict[str, object]:
    group = {} if spared.group is None else {"group": spared.group}
    return {"keep": spared.keep, "ids": list(spared.ids), **group}


def spared_in(text: str | None) -> Spared | None:
    """Parse the workflows that a rule spared, as a row of the index has them."""
    if text is None:
        return None
    parsed = json.loads(text)
    return Spared(parsed["keep"], tuple(parsed["ids"]), parsed.get("group"))


def document_named(named: Mapping[str, Any] | None) -> Document | None:
    """Return the document that an evaluation's entry names, or None."""
    if named is None:
        return None
    return _document(named["kind"], named["item_id"], *named["triple"])


def document_text(document: Document | None) -> str | None:
    """Return the column's text for a document."""
    if document is None:
        return None
    return canonical((document.kind, document.item_id, *document.triple))


def document_in(text: str) -> Document:
    """Parse what `document_text` wrote."""
    return _document(*json.loads(text))


def _document(kind: str, item_id: str, module: str, entity: str, document_id: str) -> Document:
    return Document(kind=kind, item_id=item_id, module=module, entity=entity, id=document_id)


def _template_id(workflow: Workflow) -> str | None:
    value = workflow.facts.get("workflow.template_id")
    return None if value is None or isinstance(value, Unknown) else str(value)
