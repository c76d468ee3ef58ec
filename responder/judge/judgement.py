"""Judges jobs by the facts that were read and by what the journal holds on their workflows.

`planner` computes what follows from a new job, `recheck` what follows from a stop that waited. Both
are pure; what they need from the journal is read here.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import explain
from responder.bitrix24.fetch import lookup
from responder.bitrix24.fetch.lookup import Reading
from responder.bitrix24.lists.workflow_row import workflow_facts
from responder.journal import open_stops
from responder.judge import planner, recheck
from responder.judge.context import Context
from responder.judge.jobs import Job
from responder.judge.plans import Awaited, Known, Plan
from responder.judge.recheck import Groups, Recheck, Running
from responder.judge.stop_lifecycle import LOOK_AGAIN, not_before
from responder.model import OPEN_OUTCOMES, STOPPED, WOULD_OUTCOMES, Document, Group, Unknown
from responder.rules.facts.derived import derived
from responder.rules.revision import same
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.store.database.database import Connection
from responder.store.limits import APPROVAL

JUDGED_AT_ONCE = 10  # takes a few milliseconds; then deliveries are acknowledged
IDS_AT_ONCE = 2_000  # in one read of the store, which must be short


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """The grounds on which jobs are judged: the rules, the facts, and the journal.

    `readings` are the facts by the documents' names; `known` is what the journal holds on the
    workflows in them; `running` is whether workflows that `keep` spared, on any document, still
    run, and `groups` to which groups they belong now.
    """

    ruleset: Ruleset
    readings: Mapping[str, Reading]
    known: Known
    running: Running
    groups: Groups = field(default_factory=dict)


async def judge_all(
    context: Context, jobs: Sequence[Job], grounds: Grounds
) -> tuple[list[Plan], list[Recheck]]:
    """Return the plan of each new job and the recheck of each stop.

    A workflow that two of the jobs condemn is stopped once.
    """
    now = context.now()
    plans: list[Plan] = []
    rechecks: list[Recheck] = []
    for place, job in enumerate(jobs, start=1):
        if job.stop is None:
            plans.append(_plan(context, job, grounds, now))
        else:
            rechecks.append(_recheck(context, job, grounds, now))
        if place % JUDGED_AT_ONCE == 0:
            await asyncio.sleep(0)
    rechecks = _after_their_kept(plans, rechecks, now)
    return plans, await _with_reasons(context, rechecks, now)


def _plan(context: Context, job: Job, grounds: Grounds, now: datetime) -> Plan:
    made = planner.plan(
        job,
        grounds.readings[job.ref],
        grounds.ruleset,
        enforcing=context.acts,
        known=grounds.known,
        now=now,
    )
    grounds.known.begin(made)
    return made


def _recheck(context: Context, job: Job, grounds: Grounds, now: datetime) -> Recheck:
    assert job.stop is not None
    return recheck.judge_afresh(
        job.stop,
        grounds.readings[job.ref],
        grounds.ruleset,
        enforcing=context.acts,
        known=grounds.known,
        now=now,
        running=grounds.running,
        groups=grounds.groups,
    )


def _after_their_kept(
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


async def _with_reasons(context: Context, rechecks: list[Recheck], now: datetime) -> list[Recheck]:
    """Return the rechecks; those that clear a stop give as detail what changed since then."""
    cleared = [one.stop for one in rechecks if one.cleared_by is not None]
    if not cleared:
        return rechecks
    tests = await context.read(open_stops.tests_of, cleared)
    return [recheck.explained(one, tests.get(one.stop.decision_id, {}), now) for one in rechecks]


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


async def with_groups(context: Context, jobs: Sequence[Job], grounds: Grounds) -> Grounds:
    """Return the grounds with the groups to which kept workflows on other documents belong now.

    Where such a document could not be read, it is not known whether its workflow is still kept.
    """
    kept = dict(_kept_elsewhere(jobs, grounds))
    wanted: dict[Document, frozenset[str]] = {}
    for one in kept.values():
        if one.document is not None:
            wanted[one.document] = wanted.get(one.document, frozenset()) | one.paths
    if not kept:
        return grounds
    now = context.now()
    found = await lookup.document_facts(context.client.send, wanted, context.templates, now)
    groups: dict[tuple[str, str], Group] = {}
    running = dict(grounds.running)
    for (rule_id, workflow_id), one in kept.items():
        facts, failure = ({}, None) if one.document is None else found[one.document]
        if failure is not None:
            running[workflow_id] = Unknown(f"its document could not be read: {explain(failure)}")
        of_it = {**facts, **one.facts}
        of_it |= derived(of_it, now, grounds.ruleset.zone)
        assert one.rule.keep is not None
        groups[rule_id, workflow_id] = one.rule.keep.group(of_it)
    return replace(grounds, running=running, groups=groups)


def _kept_elsewhere(
    jobs: Sequence[Job], grounds: Grounds
) -> Iterator[tuple[tuple[str, str], _Kept]]:
    rules = {rule.id: rule for rule in grounds.ruleset.rules if _of_its_document(rule)}
    stops = [job.stop for job in jobs if job.stop is not None and job.stop.rule in rules]
    if not stops:
        return
    listed = {
        workflow.id: (documents.parse_ref(ref), workflow.facts)
        for ref, reading in grounds.readings.items()
        if not isinstance(reading.workflows, Unknown)
        for workflow in reading.workflows
    }
    for stop in stops:
        rule = rules[stop.rule]
        for workflow_id in () if stop.spared is None else stop.spared.ids:
            row = grounds.running.get(workflow_id)
            if row is None or isinstance(row, Unknown):
                continue
            document, facts = listed.get(workflow_id) or _of_row(row, rule)
            if document != stop.document:
                yield (rule.id, workflow_id), _Kept(rule, facts, document)


def _of_row(
    row: Mapping[str, str | None], rule: Rule
) -> tuple[Document | None, Mapping[str, object]]:
    """Return the document of a running workflow, which is of the kind that its rule tests."""
    module, entity, document_id = (row.get(name) for name in ("MODULE_ID", "ENTITY", "DOCUMENT_ID"))
    if module is None or entity is None or document_id is None:
        return None, workflow_facts(row)
    document = documents.from_triple(module, entity, document_id)
    iblock = documents.iblock_of(rule.kind or "")
    if iblock is not None:
        document = documents.in_list(document, iblock)
    return (document if document.kind == rule.kind else None), workflow_facts(row)


def _of_its_document(rule: Rule) -> frozenset[str]:
    """Return the facts of the document by which a rule's `keep` makes groups.

    It is empty where they are all of the workflow's row, so that no group changes; and where some
    are of what only a run reads, such as tasks.
    """
    facts = () if rule.keep is None else rule.keep.facts
    own = frozenset(path for path in facts if path.partition(".")[0] == rule.kind)
    return own if own.union(("starter.id",)).issuperset(facts) else frozenset()


async def known_of(context: Context, ids: Sequence[str], revision: str) -> Known:
    """Read what the journal holds on these workflows, for a judgement by this revision."""
    known = Known(observed=context.why_observed)
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        known = known.also(await context.read(known_in, some, revision))
    return known


def known_in(conn: Connection, portal: str, ids: Sequence[str], revision: str) -> Known:
    """Return what the journal of a portal holds on these workflows."""
    known = open_stops.known(conn, portal, ids)
    acting = [one for one in known if one.outcome in OPEN_OUTCOMES and not one.shadow]
    return Known(
        under_way={one.workflow_id for one in acting},
        asked={one.workflow_id for one in acting if one.hold == APPROVAL},
        waits={
            one.workflow_id: Awaited(one.rule, one.due_at, one.trigger, one.event_names, one.asked)
            for one in acting
            if one.due_at is not None
        },
        unchanged={
            (one.workflow_id, one.rule, one.action)
            for one in known
            if one.outcome in WOULD_OUTCOMES and same(one.ruleset, revision)
        },
        shadows={
            (one.workflow_id, one.rule)
            for one in known
            if one.outcome in OPEN_OUTCOMES and one.shadow
        },
        stopped={one.workflow_id for one in known if one.outcome in STOPPED},
    )
