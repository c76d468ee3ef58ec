"""Looks now and then whether a clock that was ahead put something off (`clock_setback`)."""

from datetime import timedelta

import structlog

from responder.judge.context import Context, Interval
from responder.stop.gate import Gate
from responder.store import clock_setback

LOOK_EVERY = timedelta(minutes=1)

log = structlog.get_logger()


class ClockWatch:
    """What one portal's clock put off, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Move what must not wait so long. Return False where there is nothing."""
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
