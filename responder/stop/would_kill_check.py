"""Looks for what rules would have stopped, to learn whether it ended by itself (`would_kills`).

It is the least urgent work a driver has: a few ids in one request, when the bucket has room.
"""

from datetime import datetime, timedelta

from responder.bitrix24.facts import lookup
from responder.journal import would_kills
from responder.judge.context import Context
from responder.stop.gate import Gate

LOOK_EVERY = timedelta(seconds=10)


class WouldKillCheck:
    """The watch list of one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._looked_at: datetime | None = None

    async def step(self) -> bool:
        """Look for what is due, one request at most. Return False where nothing was."""
        context, now = self._context, self._context.now()
        early = self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY
        if early or not context.client.has_room():
            return False
        self._looked_at = now
        due = await context.read(would_kills.due, now)
        if not due:
            return False
        found = await lookup.present(context.client.send, [one.workflow_id for one in due])
        seen_at = context.now()
        await self._gate.write(lambda tx: would_kills.see(tx, context.portal, due, found, seen_at))
        self._looked_at = None  # there may be more of them
        return True
