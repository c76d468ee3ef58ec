"""One portal's driver: whoever holds the lease decides, acts and writes for that portal.

Theory of operation. A driver works in *rounds* (see `round`), one after the other, so that what
gathers while a call is under way goes out together in the next one; what else it does, and in which
order, is its `agenda`. A round

1. fetches documents with deliveries, a second look or a waiting stop;
2. verifies stops in doubt and fresh kills: they are looked for by their ids, all in one question,
   or many of them in the list of all that runs, where the third step reads it in any case;
3. reads what the rules ask, in as few calls as possible;
4. judges each document by the rules in force (`planner` and `recheck`, which are pure);
5. passes the gate with as much of it as one batch carries: one transaction that checks lease and
   ruleset, writes evaluations and intents, and concludes the deliveries;
6. sends the calls;
7. records what came of them.

While something of what was judged is left, a round is 5 to 7 alone, with the next *slice* of it.

A crash anywhere is safe: before 5 the deliveries still wait; after 5 each intent stands in the
journal as `in_doubt`, and step 2 of the next driver looks before anything else is called.

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
RESTS_FOR_EACH = 9  # second that a round took which had nothing to do, so many seconds of rest
RESTS_AT_MOST = 0.5

log = structlog.get_logger()


class Driver:
    """Drives one portal while this process holds its lease, and waits for it otherwise.

    `idle_seconds` says how long it may rest when nothing is due and nobody wakes it.
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
        """Say that something may be due."""
        self._wake.set()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Drive while this process has the lease, until told to stop."""
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
                # A fault of ours must not end the driver: deliveries wait, and it is said.
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
                # Woken by every delivery while all that waits must rest, it would only look.
                rest = min(RESTS_AT_MOST, RESTS_FOR_EACH * (ended_at - began_at))
                await asyncio.sleep(max(0.0, ended_at + rest - loop.time()))

    async def _pause(self, seconds: float) -> None:
        """Wait until woken, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        if not self._stopping:
            self._wake.clear()
