"""Wakes the drivers of those portals that have something to do, with one read for all of them.

A hundred and fifty drivers that each asked the database twice a second would keep a processor busy
with nothing. So an idle driver rests for ten seconds, unless it is woken: by a delivery that was
stored in its process, or from here, where those are found that another process stored. Only one
whose rules have schedules looks as often as before, for a schedule may be due every second.
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
    """Looks for what is due, on behalf of a process's drivers; `driven` names their portals."""

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
        """Look until cancelled. While the store is away there is nothing to wake for."""
        while True:
            try:
                found = await self._database.reading(self._due)
                for portal in found.intersection(self._driven()):
                    self._wake(portal)
            except StoreUnavailable:
                pass  # the drivers say so
            except Exception:
                # A fault of ours must not end it; the drivers look for themselves meanwhile.
                log.exception("looking for what is due failed")
            await asyncio.sleep(POLL_SECONDS)

    def _due(self, conn: Connection) -> set[str]:
        return due_portals.portals(conn, self._now())

    def idle_seconds(self, portal: str) -> float:
        """Say how long a driver with nothing to do may rest without looking for itself."""
        if self._ruleset().scheduled(portal):
            return POLL_SECONDS
        if not self._sweep_seconds:
            return REST_SECONDS
        return min(REST_SECONDS, max(POLL_SECONDS, self._sweep_seconds))
