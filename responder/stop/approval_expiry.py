"""Concludes stops that waited a day for approval and that nobody approved: they lapse.

That needs no call, so it is done whether the portal answers or not.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from responder.journal import approvals, chain
from responder.journal.open_stops import Stop, unanswered
from responder.judge.context import Context, Interval
from responder.judge.recheck.recheck import progress_of
from responder.judge.stop_lifecycle import Seen, step
from responder.model import Outcome
from responder.stop.gate import Gate
from responder.stop.intents import record_step
from responder.store.database.database import Connection

LOOK_EVERY = timedelta(seconds=1)
MOST = 25  # decisions in one transaction: acknowledging must not wait for a long list

log = structlog.get_logger()


class ApprovalExpiry:
    """The stops of one portal that nobody approved in time, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Conclude up to 25 stops that have lapsed. Return False where none has."""
        now = self._context.now()
        if not self._interval.is_over(now):
            return False
        stops = await self._context.read(unanswered, now)
        if not stops:
            return False
        self._interval.end()  # there may be more
        lapsed = await self._gate.write(lambda tx: self._conclude(tx, stops[:MOST], now))
        for stop in lapsed:
            self._context.metrics.decided(stop.action.value, Outcome.CANCELLED.value, stop.rule)
            log.info("nobody approved it", portal=self._context.portal, decision=stop.decision_id)
        return True

    def _conclude(self, tx: Connection, stops: Sequence[Stop], now: datetime) -> list[Stop]:
        chain.lock(tx, self._context.portal)
        lapsed = []
        for stop in stops:
            found = approvals.find(tx, stop.decision_id)
            if found is not None and found.is_pending:  # neither approved nor cancelled meanwhile
                why = "nobody approved it within a day"
                new_step = step(Outcome.HELD, Seen.LAPSED, progress_of(stop), now, why)
                record_step(tx, self._context.portal, stop.decision_id, new_step, now)
                lapsed.append(stop)
        return lapsed
