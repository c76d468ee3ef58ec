"""Looks whether workflows still run: those of stops in doubt, and those stopped a moment ago.

A few are asked for by their ids, which is one request. For many, the list of all that runs answers
for all of them at once: one that is not on it, although the list was begun after the look was due
and is whole, is gone. Where a storm reads that list anyway, it is the same list.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from responder.bitrix24 import lookup
from responder.bitrix24.everything import Compact, unpacked
from responder.bitrix24.instances import WORKFLOW_ID
from responder.model import Outcome, Unknown
from responder.runtime import rejudging
from responder.runtime.means import Means
from responder.runtime.reading import Readings
from responder.runtime.stops import LOOK_AGAIN, Step
from responder.runtime.taking import take
from responder.store import journal, looks
from responder.store.database import Connection
from responder.store.journal import Stop

WRITTEN = 100  # looks in one transaction, and asked for by their ids in one round

Row = Mapping[str, str | None] | Unknown | None
Tell = Callable[[Stop, Step], None]


class Looking:
    """The looks of one portal's driver. `tell` is told each step that a stop took."""

    def __init__(self, means: Means, readings: Readings, tell: Tell) -> None:
        self.portal = means.portal
        self._gate = means.gate
        self._lane = means.lane
        self._database = means.database
        self._now = means.now
        self._few = means.few_ids
        self._readings = readings
        self._tell = tell

    async def look(self, *, wait_for_list: bool) -> bool:
        """Look for what is due; many may wait for the list that this round reads in any case."""
        now = self._now()
        doubted, fresh = await self.due(now)
        ids = list(dict.fromkeys(stop.workflow_id for stop in (*doubted, *fresh)))
        if not ids:
            return False
        if len(ids) > self._few:
            if wait_for_list:
                return False
            self._readings.begin()
            rows = await self._readings.all_running(len(ids))
            if rows is not None:
                settling = self.settling(rows, now)
                while await settling.step():
                    pass
                return True
        self._readings.begin()
        found = await lookup.present(self._lane.send, ids[:WRITTEN])
        await self.write(
            [stop for stop in doubted if stop.workflow_id in found],
            [stop for stop in fresh if stop.workflow_id in found],
            found,
            self._now(),
        )
        return True

    def settling(self, rows: Mapping[str, Compact], began_at: datetime) -> "Settling":
        """Settle all looks that were due when the list of all that runs was begun."""
        return Settling(self, rows, began_at)

    async def due(self, at: datetime) -> tuple[list[Stop], list[Stop]]:
        """Read what was to be looked for by then: stops in doubt, and what was stopped."""

        def read(conn: Connection) -> tuple[list[Stop], list[Stop]]:
            doubted = journal.due(conn, self.portal, at, Outcome.IN_DOUBT)
            return doubted, journal.to_verify(conn, self.portal, at)

        return await self._database.reading(read)

    async def write(
        self,
        doubted: Sequence[Stop],
        fresh: Sequence[Stop],
        found: Mapping[str, Row],
        seen_at: datetime,
    ) -> None:
        """Write down what was seen at an instant."""
        steps = [
            (stop, rejudging.after_look(stop, found[stop.workflow_id], seen_at)) for stop in doubted
        ]
        now = self._now()

        def write(tx: Connection) -> None:
            for stop, taken in steps:
                take(tx, stop.decision_id, taken, now)
            for stop in fresh:
                self._verify(tx, stop, found[stop.workflow_id], now)

        await self._gate.write(write)
        for stop, taken in steps:
            self._tell(stop, taken)

    def _verify(self, tx: Connection, stop: Stop, row: Row, now: datetime) -> None:
        """Write down that a stopped workflow stayed away, or have one that came back judged."""
        if isinstance(row, Unknown):
            journal.verify_later(tx, stop.decision_id, now + LOOK_AGAIN)
            return
        journal.verified(tx, stop.decision_id, now, absent=row is None)
        if row is not None:
            looks.schedule(
                tx,
                self.portal,
                stop.document.ref,
                stop.trigger,
                stop.workflow_id,
                stop.event_names,
                now,
            )


class Settling:
    """What a whole list of all that runs tells of the looks that were due when it was begun."""

    def __init__(self, looking: Looking, rows: Mapping[str, Compact], began_at: datetime) -> None:
        self._looking = looking
        self._rows = rows
        self._began_at = began_at
        self._doubted: list[Stop] = []
        self._fresh: list[Stop] = []

    async def step(self) -> bool:
        """Write down some of it. Return False when there is nothing more."""
        if not self._doubted and not self._fresh:
            self._doubted, self._fresh = await self._looking.due(self._began_at)
        doubted, self._doubted = self._doubted[:WRITTEN], self._doubted[WRITTEN:]
        fresh, self._fresh = self._fresh[:WRITTEN], self._fresh[WRITTEN:]
        if not doubted and not fresh:
            return False
        found = {stop.workflow_id: self._row(stop.workflow_id) for stop in (*doubted, *fresh)}
        await self._looking.write(doubted, fresh, found, self._began_at)
        return True

    def _row(self, workflow_id: str) -> Row:
        """Return a workflow's row; None where it is not on the list."""
        if not WORKFLOW_ID.fullmatch(workflow_id):
            return Unknown("this is no workflow's id")
        row = self._rows.get(workflow_id)
        return None if row is None else lookup.as_found(unpacked(row))
