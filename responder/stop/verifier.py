"""Looks whether workflows still run: those of stops in doubt, and those stopped a moment ago.

A few are asked for by their ids, which is one request. For many, the list of all that runs answers
for all of them at once: one that is not on it, although the list was begun after the look was due
and is whole, is gone. Where a storm reads that list anyway, it is the same list.

A stop may have let another workflow begin: the cloud runs two with waiting steps on an item, and
the third the moment one of them ends (docs: helpdesk 22381584). So what runs on the documents of
our stops is listed with it, and where something does that is not known yet, the document is judged
once more by the same rules.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from responder.bitrix24.facts import lookup
from responder.bitrix24.facts.lookup import Reading
from responder.bitrix24.lists.workflow_row import WORKFLOW_ID
from responder.bitrix24.lists.workflows import Compact, Listed, triple, unpacked
from responder.journal import open_stops
from responder.journal import record as journal
from responder.journal.record import Stop
from responder.judge import jobs, recheck
from responder.judge.context import Context
from responder.judge.lifecycle import LOOK_AGAIN
from responder.judge.reader import FactReader
from responder.judge.recheck import Running
from responder.model import Document, Outcome, Unknown
from responder.stop.executor import report
from responder.stop.gate import Gate
from responder.stop.intents import take
from responder.store.database.database import Connection
from responder.store.inbox import second_looks

ASKED = 100  # looked for by their ids in one round
WRITTEN = 20  # looks in one transaction: acknowledging must not wait for all of them

Row = Mapping[str, str | None] | Unknown | None
Beside = Mapping[str, Collection[str] | Unknown]

log = structlog.get_logger()


class Verifier:
    """The looks of one portal's driver."""

    def __init__(self, context: Context, gate: Gate, reader: FactReader) -> None:
        self._context = context
        self._gate = gate
        self._reader = reader

    async def verify(self, *, wait_for_list: bool) -> bool:
        """Look for what is due; many may wait for the list that this round reads in any case."""
        now = self._context.now()
        doubted, fresh = await self.due(now)
        ids = list(dict.fromkeys(stop.workflow_id for stop in (*doubted, *fresh)))
        if not ids:
            return False
        if len(ids) > self._context.few_ids:
            if wait_for_list:
                return False
            self._reader.begin()
            rows = await self._reader.all_running(len(ids))
            if rows is not None:
                settlement = Settlement(self, rows, now)
                while await settlement.step():
                    pass
                return True
        self._reader.begin()
        some = set(ids[:ASKED])
        doubted = [stop for stop in doubted if stop.workflow_id in some]
        fresh = [stop for stop in fresh if stop.workflow_id in some]
        documents = await self._to_list(fresh)
        send = self._context.client.send
        found, listed = await lookup.present_and_beside(send, ids[:ASKED], documents)
        beside = {document.ref: running for document, running in listed.items()}
        await self.write(doubted, fresh, found, beside, self._context.now())
        return True

    async def _to_list(self, fresh: Sequence[Stop]) -> list[Document]:
        """Return the documents of our stops, but those of which more is due now."""
        documents = {stop.document.ref: stop.document for stop in fresh if not stop.alone}
        if not documents:
            return []
        busy = await self._context.read(open_stops.busy, list(documents), self._context.now())
        return [document for ref, document in documents.items() if ref not in busy]

    def settlement(self, rows: Listed | None, began_at: datetime) -> "Settlement | None":
        """Settle all looks that were due when the list of all that runs was begun, if there is."""
        return None if rows is None else Settlement(self, rows, began_at)

    async def of_others(
        self,
        ids: Collection[str],
        readings: Iterable[Reading],
        rows: Listed | None,
    ) -> Running:
        """Say of workflows on any document whether they run: as read already, or asked for now."""
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
        return found | await lookup.present(self._context.client.send, left) if left else found

    async def due(self, at: datetime) -> tuple[list[Stop], list[Stop]]:
        """Read what was to be looked for by then: stops in doubt, and what was stopped."""

        def read(conn: Connection, portal: str) -> tuple[list[Stop], list[Stop]]:
            doubted = journal.due(conn, portal, at, Outcome.IN_DOUBT)
            return doubted, journal.to_verify(conn, portal, at)

        return await self._context.read(read)

    async def write(
        self,
        doubted: Sequence[Stop],
        fresh: Sequence[Stop],
        found: Mapping[str, Row],
        beside: Beside,
        seen_at: datetime,
    ) -> None:
        """Write down what was seen at an instant.

        A document that is not in `beside` has more stops due: it is judged once more after these.
        """
        for start in range(0, max(len(doubted), len(fresh)), WRITTEN):
            some = slice(start, start + WRITTEN)
            refs = {stop.document.ref for stop in fresh[some]}
            on_them = {ref: running for ref, running in beside.items() if ref in refs}
            await self._write(doubted[some], fresh[some], found, on_them, seen_at)

    async def _write(
        self,
        doubted: Sequence[Stop],
        fresh: Sequence[Stop],
        found: Mapping[str, Row],
        beside: Beside,
        seen_at: datetime,
    ) -> None:
        steps = [
            (stop, recheck.after_look(stop, found[stop.workflow_id], seen_at)) for stop in doubted
        ]
        now = self._context.now()

        def write(tx: Connection) -> None:
            for stop, taken in steps:
                take(tx, stop.decision_id, taken, now)
            known = open_stops.under_way(tx, self._context.portal, _listed(beside))
            for stop in fresh:
                seen = self._verify(tx, stop, found[stop.workflow_id], now)
                if seen:
                    self._judge_beside(tx, stop, beside.get(stop.document.ref), known, now)

        await self._gate.write(write)
        for stop, taken in steps:
            report(self._context, stop, taken)

    def _verify(self, tx: Connection, stop: Stop, row: Row, now: datetime) -> bool:
        """Write down that a stopped workflow stayed away, or have one that came back judged.

        Rules that schedules alone set off are not asked of it: they act in their own runs. Return
        False where it could not be seen, and is looked for again.
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
                self._look_again(tx, stop, stop.workflow_id, now)
        return True

    def _judge_beside(
        self,
        tx: Connection,
        stop: Stop,
        ids: Collection[str] | Unknown | None,
        known: Collection[str],
        now: datetime,
    ) -> None:
        """Have a document judged once more where something runs on it that has no stop.

        A call that named one workflow has that one judged, and no other.
        """
        if stop.alone:
            return
        if ids is None or isinstance(ids, Unknown):
            self._look_again(tx, stop, None, now + LOOK_AGAIN)
        elif any(one not in known and one != stop.workflow_id for one in ids):
            self._look_again(tx, stop, None, now)

    def _look_again(
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


def _listed(beside: Beside) -> list[str]:
    return [one for ids in beside.values() if not isinstance(ids, Unknown) for one in ids]


class Settlement:
    """What a whole list of all that runs tells of the looks that were due when it was begun."""

    def __init__(self, verifier: Verifier, rows: Listed, began_at: datetime) -> None:
        self._verifier = verifier
        self._rows = rows
        self._began_at = began_at
        self._doubted: list[Stop] = []
        self._fresh: list[Stop] = []
        self._by_document: dict[Compact, list[str]] | None = None

    async def step(self) -> bool:
        """Write down some of it. Return False when there is nothing more."""
        if not self._doubted and not self._fresh:
            self._doubted, self._fresh = await self._verifier.due(self._began_at)
        doubted, self._doubted = self._doubted[:WRITTEN], self._doubted[WRITTEN:]
        fresh, self._fresh = self._fresh[:WRITTEN], self._fresh[WRITTEN:]
        if not doubted and not fresh:
            return False
        found = {one.workflow_id: row_of(one.workflow_id, self._rows) for one in (*doubted, *fresh)}
        beside = self._beside(fresh)
        await self._verifier.write(doubted, fresh, found, beside, self._began_at)
        return True

    def _beside(self, fresh: Sequence[Stop]) -> Beside:
        """Return what the list has on the documents of these stops."""
        if fresh and self._by_document is None:
            self._by_document = {}
            for workflow_id, row in self._rows.rows.items():
                self._by_document.setdefault(triple(row), []).append(workflow_id)
        by_document = self._by_document or {}
        return {stop.document.ref: by_document.get(stop.document.triple, []) for stop in fresh}


def row_of(workflow_id: str, rows: Listed) -> Row:
    """Return a workflow's row of the list of all that runs; None where it certainly ended."""
    if not WORKFLOW_ID.fullmatch(workflow_id):
        return Unknown("this is no workflow's id")
    row = rows.look_for(workflow_id)
    return lookup.as_found(unpacked(row)) if isinstance(row, tuple) else row
