"""Drives one portal: the process that holds the lease decides, acts and writes for that portal.

Theory of operation. A driver works in *rounds* (see `round`), one after the other, so that jobs
that become due while a call is under way are judged in one next round; its other work, and the
order, is in `agenda`. A round

1. fetches documents with deliveries, a second look or a waiting stop;
2. verifies stops in doubt and fresh kills: it searches for them by their ids, all in one request,
   or for many in the list of all that runs, if the third step reads that in any case;
3. reads the facts that the rules ask for, in as few calls as possible;
4. judges each document by the rules in force (`planner` and `recheck`, which are pure);
5. passes the gate with as much of it as one batch carries: one transaction that checks lease and
   ruleset, writes evaluations and intents, and concludes the deliveries;
6. sends the calls;
7. records their outcomes.

While something that was judged is not written yet, a round is 5 to 7 alone, with its next *slice*,
or with several, whose calls go side by side.

A crash anywhere is safe: before 5 the deliveries still wait; after 5 each intent is in the
journal as `in_doubt`, and step 2 of the next driver searches for the workflow before another call.

The lease is claimed and renewed for all portals together (`election`). A driver whose lease was not
renewed in time stops of itself; one that was paused past its lease finds it taken in the first
transaction it tries, and writes nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from responder.service.driver.agenda import Agenda
from responder.service.replicas.election import Grant, Leases
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import Lease, LeaseLost

STORE_AWAY_SECONDS = 1.0
RESTS_FOR_EACH = 9  # seconds of rest for each second of a round in which nothing was due
RESTS_AT_MOST = 0.5

log = structlog.get_logger()


class Driver:
    """The driver of one portal: it works while this process holds the lease, else it waits.

    `idle_seconds` returns how long it may rest when nothing is due and nothing wakes it.
    """

    def __init__(
        self,
        portal: str,
        *,
        leases: Leases,
        agenda: Callable[[Lease], Agenda],
        idle_seconds: Callable[[str], float],
    ) -> None:
        self.portal = portal
        self.lease: Lease | None = None
        self._leases = leases
        self._agenda = agenda
        self._idle_seconds = idle_seconds
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Wake the driver, because something may be due."""
        self._wake.set()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Drive while this process has the lease, until `stop` is called."""
        while not self._stopping:
            try:
                grant = self._leases.of(self.portal)
                if grant is None:
                    await self._wake.wait()
                    self._wake.clear()
                else:
                    await self._hold(grant)
            except LeaseLost:
                log.warning("the lease was lost or not renewed in time", portal=self.portal)
            except StoreUnavailable as error:
                log.error("the store is away", portal=self.portal, why=str(error))
                await self._pause(STORE_AWAY_SECONDS)
            except Exception:
                # A fault of ours must not end the driver: deliveries wait, and it is logged.
                log.exception("a round failed", portal=self.portal)
                await self._pause(STORE_AWAY_SECONDS)

    async def _hold(self, grant: Grant) -> None:
        self.lease = grant.lease
        log.info("driving", portal=self.portal, fence=grant.lease.fence)
        try:
            await self._drive(grant)
        finally:
            self.lease = None
            with contextlib.suppress(StoreUnavailable):
                await self._leases.give_up(grant)
        log.info("no longer driving", portal=self.portal, fence=grant.lease.fence)

    async def _drive(self, grant: Grant) -> None:
        loop = asyncio.get_running_loop()
        agenda = self._agenda(grant.lease)
        await agenda.load()
        while not self._stopping and not grant.ending:
            if not self._leases.holds(grant):
                raise LeaseLost(self.portal)
            self._wake.clear()
            began_at = loop.time()
            if not await agenda.step():
                ended_at = loop.time()
                await self._pause(agenda.idle_seconds(self._idle_seconds(self.portal)))
                # Otherwise every delivery would wake it to read that all documents still rest.
                rest = min(RESTS_AT_MOST, RESTS_FOR_EACH * (ended_at - began_at))
                await asyncio.sleep(max(0.0, ended_at + rest - loop.time()))

    async def _pause(self, seconds: float) -> None:
        """Wait until woken, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        if not self._stopping:
            self._wake.clear()
