"""Looks now and then whether something was put off by a clock that was ahead (`store.rewind`)."""

from datetime import datetime, timedelta

import structlog

from responder.runtime.means import Means
from responder.store import rewind

LOOK_EVERY = timedelta(minutes=1)

log = structlog.get_logger()


class Rewinding:
    """What one portal's clock put off, under one lease."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._looked_at: datetime | None = None

    async def step(self) -> bool:
        """Move what must not wait so long. Return False where there is nothing."""
        means, now = self._means, self._means.now()
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY:
            return False
        self._looked_at = now
        if not await means.database.reading(lambda conn: rewind.is_due(conn, means.portal, now)):
            return False
        moved = await means.gate.write(lambda tx: rewind.rewind(tx, means.portal, now))
        log.warning(
            "the clock was ahead: what it put off is due sooner", portal=means.portal, stops=moved
        )
        return True
