"""Checks whether workflows that observing rules would have stopped ended by themselves.

Theory: see `would_kills`. The check is the least urgent work of a driver: a few ids in one request,
when the bucket has room.
"""

from datetime import timedelta

from responder.bitrix24.fetch import document_facts
from responder.journal import would_kills
from responder.judge.context import Context, Interval
from responder.stop.gate import Gate

LOOK_EVERY = timedelta(seconds=10)


class WouldKillCheck:
    """The watch list of one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Search for the workflows that are due, in one request. Return False where none is."""
        context, now = self._context, self._context.now()
        if not context.client.has_room() or not self._interval.is_over(now):
            return False
        due = await context.read(would_kills.due, now)
        if not due:
            return False
        found = await document_facts.present(context.client.send, [one.workflow_id for one in due])
        seen_at = context.now()
        await self._gate.write(
            lambda tx: would_kills.record_look(tx, context.portal, due, found, seen_at)
        )
        self._interval.end()  # there may be more of them
        return True
