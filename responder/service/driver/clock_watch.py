"""Looks now and then whether a clock that was ahead put something off (`clock_setback`)."""

from datetime import timedelta

import structlog

from responder.judge.context import Interval, Means
from responder.store import clock_setback

LOOK_EVERY = timedelta(minutes=1)

log = structlog.get_logger()


class Rewinding:
    """What one portal's clock put off, under one lease."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._interval = Interval(LOOK_EVERY)

    async def step(self) -> bool:
        """Move what must not wait so long. Return False where there is nothing."""
        means, now = self._means, self._means.now()
        if not self._interval.is_over(now):
            return False
        if not await means.database.reading(
            lambda conn: clock_setback.is_due(conn, means.portal, now)
        ):
            return False
        moved = await means.gate.write(lambda tx: clock_setback.rewind(tx, means.portal, now))
        log.warning(
            "the clock was ahead: what it put off is due sooner", portal=means.portal, stops=moved
        )
        return True
