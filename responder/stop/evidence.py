"""Reads the evidence of condemned workflows (open tasks, template name) before the gate.

The evidence is stored with the intent. A workflow without evidence is not called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from responder.bitrix24.fetch import open_tasks
from responder.bitrix24.fetch.open_tasks import AllTasks, Evidence, Missing
from responder.bitrix24.lists.id_ranges import PAGE, pages_of
from responder.bitrix24.lists.paged import Send
from responder.bitrix24.lists.requests import Source
from responder.judge.context import Context
from responder.judge.plans import Plan
from responder.judge.recheck import recheck
from responder.judge.recheck.recheck import Recheck
from responder.model import Workflow

GOOD_FOR = timedelta(seconds=120)
COUNTED_FOR = timedelta(minutes=10)
FEW_TASKS = 25  # they fit into one answer, although some more came meanwhile

Proved = tuple[list[Plan], list[Recheck], dict[str, Evidence | Missing]]


class EvidenceReader:
    """The evidence of one portal's condemned workflows, cached for calls that are postponed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: tuple[datetime, int] | None = None  # how many the portal has, as counted last
        self._kept: dict[str, tuple[datetime, Evidence | Missing]] = {}
        self._along: tuple[datetime, AllTasks] | None = None  # read with the last documents
        self._apart_until: datetime | None = None  # they cannot be read along

    def along(self) -> Sequence[Source]:
        """Return what reads evidence along with documents.

        That is nothing where there are more tasks or templates than one answer has. How many tasks
        there are its first answers tell, and it asks no more if they are too many.
        """
        now, self._along = self._context.now(), None
        tasks, templates = self._counted(now), self._context.templates
        is_long = len(templates.names) > PAGE or (tasks is not None and tasks > FEW_TASKS)
        if is_long or templates.read_at is None or self._is_apart(now):
            return ()
        self._along = now, AllTasks(templates, now, pages_of(FEW_TASKS))
        return self._along[1].sources()

    def _is_apart(self, now: datetime) -> bool:
        until = self._apart_until
        return until is not None and now < until <= now + COUNTED_FOR

    async def gather(self, plans: Sequence[Plan], rechecks: Sequence[Recheck], send: Send) -> None:
        """Read the evidence of few calls, or of many, if the list of all tasks is cheaper for them.

        Evidence that is still missing is read for each slice (`prove`).
        """
        now = self._context.now()
        self._forget(now)
        condemned = _condemned(plans, rechecks)
        self._take_along(condemned)
        unproved = self._unproved(condemned)
        if len(unproved) <= self._context.few:
            await self._read_each(unproved, send, now)
            return
        tasks = self._counted(now)
        if tasks is not None and pages_of(tasks) > len(unproved):
            return
        proofs, counted = await open_tasks.gather_by_pages(
            send, unproved, self._context.templates, now
        )
        self._tasks = None if counted is None else (now, counted)
        self._kept |= {key: (now, proof) for key, proof in proofs.items()}

    async def prove(self, plans: Sequence[Plan], rechecks: Sequence[Recheck]) -> Proved:
        """Read missing evidence, postpone calls without any, and wait for the bucket's turn."""
        now = self._context.now()
        condemned = _condemned(plans, rechecks)
        self._drop_older(condemned, now)
        await self._read_each(self._unproved(condemned), self._context.client.send, now)
        proofs = {w.id: _unless_contradicted(w, self._kept[w.id][1]) for w in condemned}
        missing = {key: proof for key, proof in proofs.items() if isinstance(proof, Missing)}
        for key in missing:
            del self._kept[key]  # so that it is read anew
        if condemned:
            await self._context.client.turn()
        return (
            [recheck.put_off_unproved(plan, missing, now) for plan in plans],
            [_put_off(one, missing, now) for one in rechecks],
            proofs,
        )

    async def _read_each(self, unproved: Sequence[Workflow], send: Send, now: datetime) -> None:
        if unproved:
            read = await open_tasks.gather(send, unproved, self._context.templates, now)
            self._kept |= {key: (now, proof) for key, proof in read.items()}

    def _take_along(self, condemned: Sequence[Workflow]) -> None:
        """Keep the evidence that came with the documents: it is newer than what is kept."""
        if self._along is None:
            return
        (at, tasks), self._along = self._along, None
        self._kept |= {
            key: (at, proof)
            for key, proof in tasks.of(condemned).items()
            if isinstance(proof, Evidence) or key not in self._kept
        }
        if tasks.total is not None:
            self._tasks = at, tasks.total
        if tasks.has_failed:  # the documents may have waited for it
            self._apart_until = at + COUNTED_FOR

    def _counted(self, now: datetime) -> int | None:
        """Return how many tasks the portal has; None if they were not counted lately."""
        if self._tasks is None or not timedelta(0) <= now - self._tasks[0] < COUNTED_FOR:
            return None
        return self._tasks[1]

    def _unproved(self, condemned: Sequence[Workflow]) -> list[Workflow]:
        return [workflow for workflow in condemned if workflow.id not in self._kept]

    def _drop_older(self, condemned: Sequence[Workflow], now: datetime) -> None:
        """Drop cached evidence that is missing, too old, or contradicts the facts."""
        for workflow in condemned:
            kept = self._kept.get(workflow.id)
            if kept is None:
                continue
            missing = isinstance(_unless_contradicted(workflow, kept[1]), Missing)
            if missing or not _is_good(kept[0], now):
                del self._kept[workflow.id]

    def _forget(self, now: datetime) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if _is_good(kept[0], now)}


def _is_good(at: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - at < GOOD_FOR


def _unless_contradicted(workflow: Workflow, proof: Evidence | Missing) -> Evidence | Missing:
    """Return the evidence; `Missing` if it contradicts the facts that condemned the workflow."""
    if isinstance(proof, Evidence) and proof.contradicts(workflow):
        return Missing("it waits for others than when it was condemned: judged afresh", None)
    return proof


def _condemned(plans: Sequence[Plan], rechecks: Sequence[Recheck]) -> list[Workflow]:
    condemned = [workflow for plan in plans for workflow in plan.condemned]
    return condemned + [one.verdict.workflow for one in rechecks if one.step.call and one.verdict]


def _put_off(one: Recheck, missing: Mapping[str, Missing], now: datetime) -> Recheck:
    found = missing.get(one.stop.workflow_id)
    if found is None or not one.step.call:
        return one
    progress = recheck.progress_of(one.stop)
    return replace(one, step=recheck.without_evidence(progress, found, now))
