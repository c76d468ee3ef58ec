"""Wakes the drivers of those portals that have something to do, with one read for all of them.

A hundred and fifty drivers that each read the database twice a second would keep a processor busy
for nothing. So an idle driver rests for ten seconds, unless it is woken: by a delivery that was
stored in its process, or by the poller, which finds those that another process stored. Only a
driver whose rules have schedules wakes twice a second by itself, because a schedule may be due
every second.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog

from responder.rules.ruleset import Ruleset
from responder.store import due_portals
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable

POLL_SECONDS = 0.5
REST_SECONDS = 10.0
_SHARE_OF_SWEEP = 20

log = structlog.get_logger()


class Poller:
    """The one reader of what is due, for all drivers of a process; `driven` names their portals."""

    def __init__(
        self,
        *,
        database: Database,
        wake: Callable[[str], None],
        driven: Callable[[], Collection[str]],
        ruleset: Callable[[], Ruleset],
        sweep_every: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._wake = wake
        self._driven = driven
        self._ruleset = ruleset
        self._sweep_seconds = sweep_every.total_seconds() / _SHARE_OF_SWEEP
        self._now = now

    async def run(self) -> None:
        """Read what is due and wake drivers, until cancelled.

        While the store is away there is nothing to wake them for.
        """
        while True:
            try:
                found = await self._database.reading(self._due)
                for portal in found.intersection(self._driven()):
                    self._wake(portal)
            except StoreUnavailable:
                pass  # the drivers log it
            except Exception:
                # A fault of ours must not end the loop; idle drivers wake by themselves meanwhile.
                log.exception("looking for what is due failed")
            await asyncio.sleep(POLL_SECONDS)

    def _due(self, conn: Connection) -> set[str]:
        return due_portals.portals(conn, self._now())

    def idle_seconds(self, portal: str) -> float:
        """Return how long a driver with nothing to do may rest before it wakes by itself."""
        if self._ruleset().scheduled(portal):
            return POLL_SECONDS
        if not self._sweep_seconds:
            return REST_SECONDS
        return min(REST_SECONDS, max(POLL_SECONDS, self._sweep_seconds))
