"""Clears the held stops of a run once their rule has been rearmed.

The stops of a run are one set, so another run, which is requested with the rearm, judges all of it
afresh. That run waits until all of them are cleared (`Sweeper`), because it would skip workflows
whose stop is still open. There may be very many stops, and each gets an entry in the log: so they
are cleared 25 at a time, and the next driver continues if this one dies in between.
"""

from datetime import UTC, datetime, timedelta

from responder.journal import chain
from responder.journal import record as journal
from responder.judge.context import Context, Interval
from responder.model import Outcome
from responder.stop.gate import Gate
from responder.store import limits, sweep_runs
from responder.store.database.database import Connection

LOOK_EVERY = timedelta(seconds=1)
MOST = 25  # decisions in one transaction: acknowledging must not wait for all of them
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
BY = "responder"
DETAIL = "rearmed: looked for afresh by another run"


class RearmRelease:
    """The stops to be cleared in one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._was_asked = True  # perhaps under a driver of an older version, which clears no stops
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Clear up to 25 stops. Return False where there is none."""
        now = self._context.now()
        if not self._interval.is_over(now):
            return False
        if self._context.client.breakers.of_portal is not None:
            return False
        if not await self._context.read(self._is_due):
            return False
        self._interval.end()  # there may be more
        for one in await self._gate.write(lambda tx: self._clear(tx, now)):
            self._context.metrics.decided(one.action, Outcome.CLEARED.value, one.rule)
        return True

    def _is_due(self, conn: Connection, portal: str) -> bool:
        """Return whether there are stops to clear.

        Stops are searched only while a run is or was just requested: among very many that wait the
        search is slow.
        """
        was_asked, self._was_asked = (
            self._was_asked,
            bool(sweep_runs.open_requests(conn, portal, _EVER)),
        )
        is_asked = was_asked or self._was_asked
        return bool(is_asked and limits.freed(conn, portal, most=1))

    def _clear(self, tx: Connection, now: datetime) -> list[limits.Freed]:
        chain.lock(tx, self._context.portal)
        some = limits.freed(tx, self._context.portal, most=MOST)
        for one in some:
            journal.conclude(tx, one.decision_id, Outcome.CLEARED, at=now, detail=DETAIL)
        for rule in {one.rule for one in some}:
            self._ask(tx, rule, now)
        return some

    def _ask(self, tx: Connection, rule: str, now: datetime) -> None:
        """Request the run again if its request has ended: a day has passed, or it came too soon."""
        asked = sweep_runs.open_requests(tx, self._context.portal, now - sweep_runs.ASKED_FOR)
        if not any(one.rule == rule and not one.observe for one in asked):
            sweep_runs.add_request(
                tx, self._context.portal, rule=rule, observe=False, by=BY, at=now
            )
