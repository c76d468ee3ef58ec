"""Checks whether workflows still run: those of stops in doubt, and those stopped a moment ago.

A few are searched for by their ids, in one request. Many are searched for in the list of all that
runs: a workflow that is missing from the list has ended, if the list is whole and was begun after
the search was due. In a storm, which reads that list anyway, the same list is used; after it, what
is due waits for what falls due within two seconds, but for twenty at most.

A stop may let another workflow begin: the cloud runs two with waiting steps on an item, and the
third the moment one of them ends (docs: helpdesk 22381584). So the workflows on the documents of
our stops are listed too, and where one runs that is not known yet, the document is judged once more
by the same rules (a second look).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.fetch import document_facts
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.lists.workflow_row import WORKFLOW_ID
from responder.bitrix24.lists.workflows import Compact, RunningWorkflows, triple, unpacked
from responder.journal import open_stops
from responder.journal import record as journal
from responder.journal.open_stops import Stop
from responder.judge import jobs
from responder.judge.context import Context
from responder.judge.fact_reader import FactReader
from responder.judge.recheck import recheck
from responder.judge.recheck.recheck import Running
from responder.judge.stop_lifecycle import LOOK_AGAIN
from responder.model import Document, Outcome, Unknown
from responder.stop.executor import report
from responder.stop.gate import Gate
from responder.stop.intents import record_steps
from responder.store.database.columns import EPOCH
from responder.store.database.database import Connection
from responder.store.inbox import second_looks

ASKED = 100  # searched for by their ids in one round
GATHERED = timedelta(seconds=2)  # what falls due so soon is waited for, and searched in one list,
WAITS_AT_MOST = timedelta(seconds=20)  # as long as nothing has waited for longer
WRITTEN = 20  # results in one transaction: acknowledging must not wait for all of them

Row = Mapping[str, str | None] | Unknown | None
RunningOnDocuments = Mapping[str, Collection[str] | Unknown]
Others = dict[str, list[str] | None]
"""By document: what runs on it and has no stop under way; None where that was not found out."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DueLookups:
    """The stops whose workflows are searched for now: in doubt, or made a moment ago (`fresh`)."""

    doubted: Sequence[Stop]
    fresh: Sequence[Stop]

    @property
    def ids(self) -> list[str]:
        """Return the ids of their workflows, each once."""
        return list(dict.fromkeys(stop.workflow_id for stop in (*self.doubted, *self.fresh)))

    def among(self, ids: Collection[str]) -> "DueLookups":
        """Return the stops of these workflows."""
        return DueLookups(
            [stop for stop in self.doubted if stop.workflow_id in ids],
            [stop for stop in self.fresh if stop.workflow_id in ids],
        )

    def parts(self) -> Iterator["DueLookups"]:
        """Yield the stops in parts that one transaction writes."""
        for start in range(0, max(len(self.doubted), len(self.fresh)), WRITTEN):
            some = slice(start, start + WRITTEN)
            yield DueLookups(self.doubted[some], self.fresh[some])


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The result of a search at an instant: the row of each workflow, and what runs `beside` it.

    `beside` has the workflows by document. A document that is missing there has more stops due: it
    is judged once more after those.
    """

    rows: Mapping[str, Row]
    beside: RunningOnDocuments
    at: datetime

    def running_on(self, documents: Collection[str]) -> list[str]:
        """Return the workflows that run on these documents."""
        return [
            one
            for ref, ids in self.beside.items()
            if ref in documents and not isinstance(ids, Unknown)
            for one in ids
        ]

    def others_on(self, ref: str, known: Collection[str]) -> list[str] | None:
        """Return what runs on a document and is not known; None where that was not found out."""
        ids = self.beside.get(ref)
        if ids is None or isinstance(ids, Unknown):
            return None
        return [one for one in ids if one not in known]


class Verifier:
    """The searches of one portal's driver."""

    def __init__(self, context: Context, gate: Gate, reader: FactReader) -> None:
        self._context = context
        self._gate = gate
        self._reader = reader

    async def verify(self, *, wait_for_list: bool) -> bool:
        """Search for what is due; many wait for the list that this round reads in any case.

        Return whether anything was searched for.
        """
        now = self._context.now()
        due = await self.due(now)
        ids = due.ids
        if not ids:
            return False
        if len(ids) > self._context.few_ids:
            if wait_for_list or (not due.doubted and await self._more_come_soon(now)):
                return False
            if await self._look_up_in_list(len(ids), now):
                return True
        await self._look_up_by_id(due.among(set(ids[:ASKED])))
        return True

    async def _more_come_soon(self, now: datetime) -> bool:
        """Return whether another search falls due soon, and none has waited for long."""

        def read(conn: Connection, portal: str) -> bool:
            first = open_stops.next_to_verify(conn, portal, EPOCH)
            later = open_stops.next_to_verify(conn, portal, now)
            if first is None or later is None:
                return False
            return later - now <= GATHERED and now - first <= WAITS_AT_MOST

        return await self._context.read(read)

    async def _look_up_in_list(self, ids: int, began_at: datetime) -> bool:
        """Search the list of all that runs. Return False where a search by ids is cheaper."""
        self._reader.begin()
        rows = await self._reader.all_running(ids)
        if rows is None:
            return False
        settlement = Settlement(self, rows, began_at)
        while await settlement.step():
            pass
        return True

    async def _look_up_by_id(self, due: DueLookups) -> None:
        """Search for workflows by their ids, and list what runs on their documents."""
        self._reader.begin()
        documents = await self._to_list(due.fresh)
        found, listed = await document_facts.present_with_documents(
            self._context.client.send, due.ids, documents
        )
        beside = {document.ref: running for document, running in listed.items()}
        await self.write(due, LookupResult(found, beside, self._context.now()), {})

    async def _to_list(self, fresh: Sequence[Stop]) -> list[Document]:
        """Return the documents of our stops, without those that have more stops due now."""
        documents = {stop.document.ref: stop.document for stop in fresh if not stop.alone}
        if not documents:
            return []
        busy = await self._context.read(open_stops.busy, list(documents), self._context.now())
        return [document for ref, document in documents.items() if ref not in busy]

    def settlement(self, rows: RunningWorkflows | None, began_at: datetime) -> "Settlement | None":
        """Return what settles the searches due when the list was begun; None without a list."""
        return None if rows is None else Settlement(self, rows, began_at)

    async def whether_running(
        self,
        ids: Collection[str],
        readings: Iterable[Reading],
        rows: RunningWorkflows | None,
    ) -> Running:
        """Return whether these workflows run: from what was read already, or by a search now."""
        if not ids:
            return {}
        if rows is not None:
            return {one: row_of(one, rows) for one in ids}
        found: dict[str, Row] = {
            workflow.id: {}
            for reading in readings
            if not isinstance(reading.workflows, Unknown)
            for workflow in reading.workflows
            if workflow.id in ids
        }
        left = sorted(one for one in ids if one not in found)
        if left:
            found.update(await document_facts.present(self._context.client.send, left))
        return found

    async def due(self, at: datetime) -> DueLookups:
        """Read the stops whose search was due by then."""

        def read(conn: Connection, portal: str) -> DueLookups:
            doubted = open_stops.due(conn, portal, at, Outcome.IN_DOUBT)
            return DueLookups(doubted, open_stops.to_verify(conn, portal, at))

        return await self._context.read(read)

    async def write(self, due: DueLookups, result: LookupResult, others: Others) -> None:
        """Write the results for these stops, 20 in a transaction.

        `others` is filled as documents are come to, of which one may have thousands of these stops.
        """
        rows = {one: self._believed(row) for one, row in result.rows.items()}
        result = replace(result, rows=rows)
        for part in due.parts():
            await self._write(part, result, others)

    def _believed(self, row: Row) -> Row:
        """Return a row; that there is none proves nothing where the portal answers otherwise."""
        doubt = self._context.why_doubted
        return row if row is not None or doubt is None else Unknown(f"the portal: {doubt}")

    async def _write(self, due: DueLookups, result: LookupResult, others: Others) -> None:
        portal = self._context.portal
        steps = [
            (stop, recheck.after_lookup(stop, result.rows[stop.workflow_id], result.at))
            for stop in due.doubted
        ]
        now = self._context.now()

        def write(tx: Connection) -> None:
            record_steps(tx, portal, [(stop.decision_id, one) for stop, one in steps], now)
            asked = {stop.document.ref for stop in due.fresh} - others.keys()
            known = open_stops.under_way(tx, portal, result.running_on(asked))
            others.update({ref: result.others_on(ref, known) for ref in asked})
            for stop in due.fresh:
                if self._verify(tx, stop, result.rows[stop.workflow_id], now):
                    self._judge_other_workflows(tx, stop, others[stop.document.ref], now)

        await self._gate.write(write)
        for stop, new_step in steps:
            report(self._context, stop, new_step)

    def _verify(self, tx: Connection, stop: Stop, row: Row, now: datetime) -> bool:
        """Write that a stopped workflow has ended, or schedule a second look if it came back.

        Rules that only schedules set off get no second look: they act in their own runs. Return
        False where the search failed, and is made again later.
        """
        if isinstance(row, Unknown):
            journal.verify_later(tx, stop.decision_id, now + LOOK_AGAIN)
            return False
        journal.verified(tx, stop.decision_id, now, absent=row is None)
        if row is not None:
            log.warning(
                "a workflow came back after it was stopped",
                portal=self._context.portal,
                workflow=stop.workflow_id,
                decision=stop.decision_id,
            )
            if stop.trigger != "schedule":
                self._schedule_second_look(tx, stop, stop.workflow_id, now)
        return True

    def _judge_other_workflows(
        self,
        tx: Connection,
        stop: Stop,
        others: Sequence[str] | None,
        now: datetime,
    ) -> None:
        """Schedule a second look at a document on which a workflow without a stop runs.

        A stop from a robot call that named one workflow alone gets none.
        """
        if stop.alone:
            return
        if others is None:
            self._schedule_second_look(tx, stop, None, now + LOOK_AGAIN)
        elif any(one != stop.workflow_id for one in others):
            self._schedule_second_look(tx, stop, None, now)

    def _schedule_second_look(
        self, tx: Connection, stop: Stop, workflow_id: str | None, due_at: datetime
    ) -> None:
        second_looks.schedule(
            tx,
            self._context.portal,
            stop.document.ref,
            stop.trigger,
            workflow_id,
            stop.event_names,
            due_at,
            jobs.asked_again(stop),
        )


class Settlement:
    """The searches that were due when a list of all that runs was begun, settled by that list."""

    def __init__(self, verifier: Verifier, rows: RunningWorkflows, began_at: datetime) -> None:
        self._verifier = verifier
        self._rows = rows
        self._began_at = began_at
        self._left: Iterator[DueLookups] = iter(())
        self._by_document: dict[Compact, list[str]] | None = None
        self._others: Others = {}

    async def step(self) -> bool:
        """Write the results for some of the stops. Return False when there are no more."""
        part = next(self._left, None)
        if part is None:
            self._left = (await self._verifier.due(self._began_at)).parts()
            part = next(self._left, None)
        if part is None:
            return False
        found = {one: row_of(one, self._rows) for one in part.ids}
        beside = self._beside(part.fresh)
        result = LookupResult(found, beside, self._began_at)
        await self._verifier.write(part, result, self._others)
        return True

    def _beside(self, fresh: Sequence[Stop]) -> RunningOnDocuments:
        """Return what the list has on the documents of these stops."""
        if fresh and self._by_document is None:
            self._by_document = {}
            for workflow_id, row in self._rows.rows.items():
                self._by_document.setdefault(triple(row), []).append(workflow_id)
        by_document = self._by_document or {}
        return {stop.document.ref: by_document.get(stop.document.triple, []) for stop in fresh}


def row_of(workflow_id: str, rows: RunningWorkflows) -> Row:
    """Return a workflow's row of the list of all that runs; None where it certainly ended."""
    if not WORKFLOW_ID.fullmatch(workflow_id):
        return Unknown("this is no workflow's id")
    row = rows.find_row(workflow_id)
    return document_facts.as_texts(unpacked(row)) if isinstance(row, tuple) else row
