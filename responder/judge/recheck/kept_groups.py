"""Reads whether a workflow that `keep` spared is still of the group of the one that it condemned.

A stop that waits rests on a choice: others of its group are kept. Whether those still run is known
from the list of workflows; that their documents still make them one group is read here, where they
are on other documents than the stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import explain
from responder.bitrix24.fetch import document_facts
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.lists.workflow_row import workflow_facts
from responder.judge.context import Context
from responder.judge.jobs import Job
from responder.judge.plans import Plan
from responder.judge.recheck import recheck
from responder.judge.recheck.recheck import Groups, Recheck, Running
from responder.judge.stop_lifecycle import LOOK_AGAIN, not_before
from responder.model import Document, Group, Unknown
from responder.rules.facts.derived import derived
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class _Kept:
    """A workflow that a rule's `keep` spared, on another document than the one it condemned.

    `facts` are those of its row; `document` is None where that names none.
    """

    rule: Rule
    facts: Mapping[str, object]
    document: Document | None

    @property
    def paths(self) -> frozenset[str]:
        """Return the facts of its document that make its group."""
        return _of_its_document(self.rule)


async def groups_now(
    context: Context,
    jobs: Sequence[Job],
    ruleset: Ruleset,
    readings: Mapping[str, Reading],
    running: Running,
) -> tuple[Running, Groups]:
    """Return to which groups kept workflows on other documents than their stops' belong now.

    `running` are all that were kept. Where such a document could not be read, it is not known
    whether its workflow is still kept: it is `Unknown` in `running`, which is returned too.
    """
    kept = dict(_kept_elsewhere(jobs, ruleset, readings, running))
    if not kept:
        return running, {}
    wanted: dict[Document, frozenset[str]] = {}
    for one in kept.values():
        if one.document is not None:
            wanted[one.document] = wanted.get(one.document, frozenset()) | one.paths
    now = context.now()
    found = await document_facts.of_documents(context.client.send, wanted, context.templates, now)
    groups: dict[tuple[str, str], Group] = {}
    known = dict(running)
    for (rule_id, workflow_id), one in kept.items():
        facts, failure = ({}, None) if one.document is None else found[one.document]
        if failure is not None:
            known[workflow_id] = Unknown(f"its document could not be read: {explain(failure)}")
        of_it = {**facts, **one.facts}
        of_it |= derived(of_it, now, ruleset.zone)
        assert one.rule.keep is not None
        groups[rule_id, workflow_id] = one.rule.keep.group(of_it)
    return known, groups


def _kept_elsewhere(
    jobs: Sequence[Job], ruleset: Ruleset, readings: Mapping[str, Reading], running: Running
) -> Iterator[tuple[tuple[str, str], _Kept]]:
    rules = {rule.id: rule for rule in ruleset.rules if _of_its_document(rule)}
    stops = [job.stop for job in jobs if job.stop is not None and job.stop.rule in rules]
    if not stops:
        return
    listed = {
        workflow.id: (documents.parse_ref(ref), workflow.facts)
        for ref, reading in readings.items()
        if not isinstance(reading.workflows, Unknown)
        for workflow in reading.workflows
    }
    for stop in stops:
        rule = rules[stop.rule]
        for workflow_id in () if stop.spared is None else stop.spared.ids:
            row = running.get(workflow_id)
            if row is None or isinstance(row, Unknown):
                continue
            document, facts = listed.get(workflow_id) or _of_row(row)
            document = _of_kind(document, rule)
            if document != stop.document:
                yield (rule.id, workflow_id), _Kept(rule, facts, document)


def _of_row(row: Mapping[str, str | None]) -> tuple[Document | None, Mapping[str, object]]:
    """Return the document of a running workflow, and the workflow's facts."""
    module, entity, document_id = (row.get(name) for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID"))
    if module is None or entity is None or document_id is None:
        return None, workflow_facts(row)
    return documents.from_triple(module, entity, document_id), workflow_facts(row)


def _of_kind(document: Document | None, rule: Rule) -> Document | None:
    """Return a document as one of the kind that a rule tests; None where it is of another."""
    iblock = documents.iblock_of(rule.kind or "")
    if document is not None and iblock is not None and document.is_of_unknown_list:
        document = documents.in_list(document, iblock)
    return document if document is not None and document.kind == rule.kind else None


def _of_its_document(rule: Rule) -> frozenset[str]:
    """Return the facts of the document by which a rule's `keep` makes groups.

    It is empty where they are all of the workflow's row, so that no group changes; and where some
    are of what only a run reads, such as tasks.
    """
    facts = () if rule.keep is None else rule.keep.facts
    own = frozenset(path for path in facts if path.partition(".")[0] == rule.kind)
    return own if own.union(("starter.id",)).issuperset(facts) else frozenset()


def after_their_kept(
    plans: Sequence[Plan], rechecks: Sequence[Recheck], now: datetime
) -> list[Recheck]:
    """Return the rechecks; a call is put off while another rule stops one that was kept instead.

    Otherwise nothing would be left of their group. By the same rule, yet others of it are kept.
    """
    called = {one.stop.workflow_id: one.stop.rule for one in rechecks if one.step.call}
    called |= {
        planned.decision.workflow.id: planned.decision.rule or ""
        for plan in plans
        for planned in plan.planned
        if planned.step is not None and planned.step.call and planned.decision.workflow is not None
    }

    def put_off(one: Recheck) -> Recheck:
        ids = one.stop.spared.ids if one.step.call and one.stop.spared is not None else ()
        goes = next(
            (kept for kept in ids if called.get(kept, one.stop.rule) != one.stop.rule), None
        )
        if goes is None:
            return one
        why = f"{goes}, which was kept in its stead, is being stopped; judged once more after that"
        later = not_before(recheck.progress_of(one.stop), now + LOOK_AGAIN, why)
        return replace(one, step=later)

    return [put_off(one) for one in rechecks]
