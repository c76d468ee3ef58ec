"""Judges jobs by the facts that were read and by what the journal holds on their workflows.

`planner` computes what follows from a new job, `recheck` what follows from a stop that waited. Both
are pure; what they need from the journal is read here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from responder.bitrix24.fetch.document_facts import Reading
from responder.journal import open_stops
from responder.judge import planner
from responder.judge.context import Context
from responder.judge.jobs import Job
from responder.judge.plans import Awaited, Known, Plan
from responder.judge.recheck import kept_groups, recheck
from responder.judge.recheck.recheck import Groups, Recheck, Running
from responder.model import OPEN_OUTCOMES, STOPPED, WOULD_OUTCOMES
from responder.rules.revision import same
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
    rechecks = kept_groups.after_their_kept(plans, rechecks, now)
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


async def _with_reasons(context: Context, rechecks: list[Recheck], now: datetime) -> list[Recheck]:
    """Return the rechecks; those that clear a stop give as detail what changed since then."""
    cleared = [one.stop for one in rechecks if one.cleared_by is not None]
    if not cleared:
        return rechecks
    tests = await context.read(open_stops.tests_of, cleared)
    return [recheck.explained(one, tests.get(one.stop.decision_id, {}), now) for one in rechecks]


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
