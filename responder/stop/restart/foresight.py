"""Foretells whether the rules would condemn a workflow that is about to be started: no I/O.

The document is judged as if a workflow of that template had just begun on it. What nobody can know
of such a workflow (its id, whom it will wait for, which user of the portal starts it) is unknown,
and what is unknown condemns nothing. Each rule that acts is asked, with its guards, whatever sets
it off; the installation's mode is not looked at, for it may be another tomorrow.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from responder.bitrix24.fetch.lookup import Reading
from responder.model import ACTING_MODES, Document, Situation, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.facts.derived import OF_JUDGEMENT, RUNNING, STARTED_BY
from responder.rules.keep import DOCUMENT, spare_all
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.rules.triggers import Trigger

TEMPLATE_FACTS = frozenset({"template.known", "template.name"})
_ITS_ID = "restarted"
_NOT_YET = Unknown("it is not started yet")
_EVENT_NAME = OF_JUDGEMENT[0]
_ELSEWHERE = "it is chosen over all documents"


def rules_to_ask(ruleset: Ruleset, portal: str, kind: str) -> tuple[Rule, ...]:
    """Return the rules that may condemn a workflow on an existing document of this kind."""
    return tuple(
        rule
        for rule in ruleset.rules
        if rule.acts
        and rule.disabled is None
        and rule.may_see(kind, portal)
        and any(_may_set_off(one, kind) for one in rule.triggers or ())
    )


def _may_set_off(trigger: Trigger, kind: str) -> bool:
    """Return whether a trigger can set a rule off while the document exists."""
    deletes = bool(trigger.events) and all("DELETE" in event for event in trigger.events)
    return trigger.can_bring(kind) and not deletes


def paths_to_read(ruleset: Ruleset, portal: str, kind: str) -> frozenset[str]:
    """Return the facts to read of the document, so that the rules can be asked."""
    asked = {rule.id for rule in rules_to_ask(ruleset, portal, kind)}
    rules = ruleset.with_guards(asked, kind, portal)
    needed = frozenset[str]().union(*(rule.paths for rule in rules))
    return needed | TEMPLATE_FACTS | {"document.exists"}


def new_workflow(template_id: str, template_name: object, now: datetime) -> Workflow:
    """Return a workflow that has just begun, as far as it can be known."""
    instant = now.isoformat(timespec="seconds")
    facts: dict[str, object] = {
        "workflow.id": _NOT_YET,
        "workflow.template_id": template_id,
        "workflow.started": instant,
        "workflow.modified": instant,
        "workflow.owned_until": None,
        STARTED_BY: _NOT_YET,
        "template.known": True,
        "template.name": template_name,
    }
    return Workflow(id=_ITS_ID, facts=facts)


def condemned_by(
    ruleset: Ruleset,
    portal: str,
    document: Document,
    reading: Reading,
    workflow: Workflow,
    now: datetime,
) -> str | None:
    """Return the id of a rule that would condemn the new workflow now, or None."""
    assert not isinstance(reading.workflows, Unknown)
    situation = Situation(
        portal=portal,
        trigger="sweep",
        events=(),
        document=document,
        facts={**_facts(reading), _EVENT_NAME: Unknown("no event set this off")},
        workflows=(*reading.workflows, workflow),
    )
    return next(_condemning(ruleset, situation, workflow, now), None)


def _facts(reading: Reading) -> Mapping[str, object]:
    running = reading.facts.get(RUNNING)
    if not isinstance(running, int):
        return reading.facts
    return {**reading.facts, RUNNING: running + 1}


def _condemning(
    ruleset: Ruleset, situation: Situation, workflow: Workflow, now: datetime
) -> Iterator[str]:
    kind, portal = situation.document.kind, situation.portal
    for rule in rules_to_ask(ruleset, portal, kind):
        chosen_elsewhere = rule.keep is not None and DOCUMENT not in rule.keep.per
        spared = {rule.id: spare_all([workflow.id], _ELSEWHERE)} if chosen_elsewhere else {}
        judgement = judge(
            ruleset,
            situation,
            enforcing=True,
            now=now,
            only=workflow.id,
            rules=ruleset.with_guards({rule.id}, kind, portal),
            choices=spared,
        )
        if any(one.rule == rule.id and one.mode in ACTING_MODES for one in judgement.verdicts):
            yield rule.id
