"""Foretells whether the rules would condemn a workflow that is about to be started: no I/O.

The document is judged as if a workflow of that template had just begun on it. What nobody can know
of such a workflow (its id, whom it will wait for, which user of the portal starts it) is unknown,
and what is unknown condemns nothing. Each rule that acts is asked, with its guards, whatever sets
it off; the installation's mode is not looked at, for it may be another tomorrow.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from responder.bitrix24.fetch.document_facts import Reading
from responder.journal.restarts import OBJECTION
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


def objection(
    ruleset: Ruleset,
    portal: str,
    document: Document,
    reading: Reading,
    workflow: Workflow,
    now: datetime,
) -> str | None:
    """Return what the rules have against the new workflow, in words, or None.

    Either a rule would condemn it, or a rule with `keep` would condemn another in its stead.
    """
    assert not isinstance(reading.workflows, Unknown)
    before = Situation(
        portal=portal,
        trigger="sweep",
        events=(),
        document=document,
        facts={**reading.facts, _EVENT_NAME: Unknown("no event set this off")},
        workflows=reading.workflows,
    )
    after = replace(
        before,
        facts={**before.facts, **_one_more(reading)},
        workflows=(*reading.workflows, workflow),
    )
    for rule in rules_to_ask(ruleset, portal, document.kind):
        condemned = _condemned(ruleset, rule, after, now)
        if workflow.id in condemned:
            return f"rule {rule.id} {OBJECTION} it again at once"
        others = condemned - _condemned(ruleset, rule, before, now) if rule.keep else set()
        if others:
            return f"rule {rule.id} {OBJECTION} {min(others)} then, which it spares now"
    return None


def _one_more(reading: Reading) -> Mapping[str, object]:
    running = reading.facts.get(RUNNING)
    return {RUNNING: running + 1} if isinstance(running, int) else {}


def _condemned(ruleset: Ruleset, rule: Rule, situation: Situation, now: datetime) -> set[str]:
    """Return the workflows that one rule, with its guards, would condemn."""
    assert not isinstance(situation.workflows, Unknown)
    chosen_elsewhere = rule.keep is not None and DOCUMENT not in rule.keep.per
    ids = [one.id for one in situation.workflows]
    judgement = judge(
        ruleset,
        situation,
        enforcing=True,
        now=now,
        rules=ruleset.with_guards({rule.id}, situation.document.kind, situation.portal),
        choices={rule.id: spare_all(ids, _ELSEWHERE)} if chosen_elsewhere else {},
    )
    return {
        one.workflow.id
        for one in judgement.verdicts
        if one.rule == rule.id and one.mode in ACTING_MODES
    }
