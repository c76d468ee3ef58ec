"""Corrects due times that a clock which was ahead set too late (`clock_setback`).

The check is made once a minute.
"""

from datetime import timedelta

import structlog

from responder.judge.context import Context, Interval
from responder.stop.gate import Gate
from responder.store import clock_setback

LOOK_EVERY = timedelta(minutes=1)

log = structlog.get_logger()


class ClockWatch:
    """The correction of one portal's due times, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Move due times that are too late. Return False where there are none."""
        context, now = self._context, self._context.now()
        if not self._interval.is_over(now):
            return False
        if not await context.read(clock_setback.is_due, now):
            return False
        moved = await self._gate.write(lambda tx: clock_setback.rewind(tx, context.portal, now))
        log.warning(
            "the clock was ahead: what it put off is due sooner", portal=context.portal, stops=moved
        )
        return True
