"""Looks for what rules would have stopped, to learn whether it ended by itself (`would_kills`).

It is the least urgent work a driver has: a few ids in one request, when the bucket has room.
"""

from datetime import timedelta

from responder.bitrix24.facts import lookup
from responder.journal import would_kills
from responder.judge.context import Interval, Means

LOOK_EVERY = timedelta(seconds=10)


class Watching:
    """The watch list of one portal, under one lease."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Look for what is due, one request at most. Return False where nothing was."""
        means, now = self._means, self._means.now()
        if not means.lane.has_room() or not self._interval.is_over(now):
            return False
        due = await means.database.reading(lambda conn: would_kills.due(conn, means.portal, now))
        if not due:
            return False
        found = await lookup.present(means.lane.send, [one.workflow_id for one in due])
        seen_at = means.now()
        await means.gate.write(lambda tx: would_kills.see(tx, means.portal, due, found, seen_at))
        self._interval.end()  # there may be more of them
        return True
