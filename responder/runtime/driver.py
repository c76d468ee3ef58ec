"""One portal's driver: whoever holds the lease decides, acts and writes for that portal.

Theory of operation. A driver works in *rounds* (see `rounds`), one after the other, so that what
gathers while a call is under way goes out together in the next one. A round

1. looks: stops in doubt and fresh kills are looked for by their ids, all in one question;
2. reads: documents with deliveries, a second look or a waiting stop, in as few calls as possible;
3. judges each by the rules in force (`planning`, which is pure);
4. passes the gate (`gate`): one transaction that checks lease and ruleset, writes evaluations and
   intents, and concludes the deliveries;
5. calls, and commits what came of it.

A crash anywhere is safe: before 4 the deliveries still wait; after 4 each intent stands in the
journal as `in_doubt`, and step 1 of the next driver looks before anything else is done.

The lease is renewed in the background. A driver that cannot renew it in time stops of itself; one
that was paused past its lease finds it taken in the first transaction it tries, and writes nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from responder.runtime.rounds import Rounds
from responder.store import lanes
from responder.store.commits import SharedCommit, StoreUnavailable
from responder.store.lanes import Lease, LeaseLost

LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0
POLL_SECONDS = 0.5
STORE_AWAY_SECONDS = 1.0

log = structlog.get_logger()


class Driver:
    """Drives one portal while this process holds its lease, and waits for it otherwise."""

    def __init__(
        self,
        portal: str,
        *,
        holder: str,
        commits: SharedCommit,
        rounds: Callable[[Lease], Rounds],
        alone: bool,
    ) -> None:
        self.portal = portal
        self.lease: Lease | None = None
        self._holder = holder
        self._commits = commits
        self._rounds = rounds
        self._alone = alone
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
        """Take the lease, drive, and begin again when it is lost, until told to stop."""
        while not self._stopping:
            try:
                lease = await self._claim()
                if lease is None:
                    await self._pause(POLL_SECONDS)
                else:
                    await self._hold(lease)
            except LeaseLost:
                log.warning("the lease was lost or not renewed in time", portal=self.portal)
            except StoreUnavailable as error:
                log.error("the store is away", portal=self.portal, why=str(error))
                await self._pause(STORE_AWAY_SECONDS)
            except Exception:
                # A fault of ours must not end the driver: deliveries wait, and it is said.
                log.exception("a round failed", portal=self.portal)
                await self._pause(STORE_AWAY_SECONDS)

    async def _claim(self) -> Lease | None:
        return await self._commits.write(
            lambda tx: lanes.claim(tx, self.portal, self._holder, LEASE_SECONDS, force=self._alone)
        )

    async def _hold(self, lease: Lease) -> None:
        self.lease = lease
        log.info("driving", portal=self.portal, fence=lease.fence)
        keeper = asyncio.create_task(self._renew(lease))
        try:
            await self._drive(lease, keeper)
        finally:
            self.lease = None
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError, LeaseLost):
                await keeper
            with contextlib.suppress(StoreUnavailable):
                await self._commits.write(lambda tx: lanes.release(tx, lease))

    async def _drive(self, lease: Lease, keeper: asyncio.Task[None]) -> None:
        rounds = self._rounds(lease)
        await rounds.load()
        while not self._stopping:
            if keeper.done():
                raise LeaseLost(self.portal)
            self._wake.clear()
            if not await rounds.round():
                await self._pause(rounds.idle_seconds(POLL_SECONDS))

    async def _renew(self, lease: Lease) -> None:
        """Renew until it fails for longer than the lease lasts."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while loop.time() - renewed_at < LEASE_SECONDS:
            await asyncio.sleep(RENEW_SECONDS)
            asked_at = loop.time()
            try:
                held = await self._commits.write(lambda tx: lanes.renew(tx, lease, LEASE_SECONDS))
            except StoreUnavailable:
                continue
            if not held:
                return
            renewed_at = asked_at

    async def _pause(self, seconds: float) -> None:
        """Wait until woken, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        if not self._stopping:
            self._wake.clear()
