"""Which portals this process drives: it claims what is free, renews it, and hands over to others.

Theory of operation. One loop does it for all portals, so that a hundred and fifty of them cost what
one does: every half second a reading of who drives what, and every second one commit that says we
are alive, renews what we hold, and claims what we found free.

*Silence.* A lease lasts for four seconds on the database's clock. We count them from before the
commit that renewed it, on our own clock, which only goes forward: so a process that cannot reach
the database stops driving before anybody else may begin. One that was stopped and does not know is
held off by the fence (`store.leases`). What a process gave up is seen to be free within half a
second, and what a dead one drove within half a second of the lease's end.

*Owners.* Each portal has one owner among the replicas that are alive, who draws the highest lot for
it (rendezvous hashing): so portals spread over them evenly on average, and when one comes or goes
only those that it owns change hands. The owner claims what is free at once. Others leave it half a
second, for portals may be set up in one replica and not in another. Who drives what another owns
gives it up, once nobody has come or gone for a few seconds. What comes back then, because its owner
would not have it, is kept.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import structlog

from responder.service.replicas.database_time import Clock
from responder.store import leases, replicas
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease
from responder.store.replicas import Replicas

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a lease lasts and how often it is renewed, in seconds; see above for the rest."""

    lease: float = 4.0
    renew: float = 1.0
    look: float = 0.5
    owner_first: float = 0.5
    settled: float = 5.0
    stumbled: float = 1.0


@dataclass(slots=True)
class Grant:
    """A lease that this process holds, surely until then; `ending` where it is to be given up."""

    lease: Lease
    until: float
    ending: bool = False


class Leases:
    """The leases of this process. Its methods belong to one event loop."""

    def __init__(
        self,
        portals: Iterable[str],
        *,
        holder: str,
        database: Database,
        commits: SharedCommit,
        ruleset: Callable[[], str],
        clock: Clock,
        pace: Pace = Pace(),
    ) -> None:
        self.standing = replicas.NO_REPLICAS
        self.granted: Callable[[str], None] = lambda _portal: None
        self._portals = sorted(portals)
        self._holder = holder
        self._database = database
        self._commits = commits
        self._ruleset = ruleset
        self._told_time = clock
        self._pace = pace
        self._alone = database.dialect == "sqlite"  # the file's lock says so
        self._grants: dict[str, Grant] = {}
        self._free_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._left: set[str] = set()
        self._alive = {holder}
        self._looking: asyncio.Future[tuple[datetime, Standing, datetime]] | None = None
        self._blind = False
        self._settled_at = 0.0
        self._renewed_at = -math.inf
        self._wake = asyncio.Event()
        self._leaving = False
        self._closed = False

    def of(self, portal: str) -> Grant | None:
        """Return the lease of a portal while this process surely holds it."""
        grant = self._grants.get(portal)
        return grant if grant is not None and self.holds(grant) else None

    def holds(self, grant: Grant) -> bool:
        """Tell whether a lease is still surely ours."""
        return _clock() < grant.until

    def has_time(self, lease: Lease) -> bool:
        """Tell whether this very lease is still surely ours."""
        grant = self._grants.get(lease.portal)
        return grant is not None and grant.lease is lease and self.holds(grant)

    def other_rules(self) -> list[str]:
        """Name the replicas that go by other rules than this one."""
        ours = self._ruleset()
        said = self.standing.alive.items()
        return sorted(
            who for who, rules in said if rules and not replicas.have_same_rules(rules, ours)
        )

    async def run(self) -> None:
        """Claim, renew and share until closed."""
        away = False
        while not self._closed:
            self._wake.clear()
            try:
                await self._once()
                if away:
                    log.info("the store is back: leases are renewed")
                away = False
            except StoreUnavailable as error:
                if not away:
                    log.error("leases cannot be renewed: the store is away", why=str(error))
                away = True
            except Exception:
                # A fault of ours must not end it: without leases nothing would ever be driven.
                log.exception("leases could not be renewed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.look):
                    await self._wake.wait()
        if self._looking is not None:
            self._looking.cancel()

    async def give_up(self, grant: Grant) -> None:
        """Release a lease after its driver's last round, whether it is still ours or not."""
        portal = grant.lease.portal
        if self._grants.get(portal) is grant:
            del self._grants[portal]
        self._free_since.pop(portal, None)
        self._not_before[portal] = _clock() + self._pace.stumbled
        await self._commits.write(lambda tx: leases.release(tx, grant.lease))

    def stop(self) -> None:
        """Claim nothing more, and leave the others our share; what is driven is still renewed."""
        self._leaving = True
        self._renewed_at = -math.inf
        self._wake.set()

    def close(self) -> None:
        """End the loop: nothing is driven any more."""
        self._closed = True
        self._wake.set()

    async def _once(self) -> None:
        wanted = self._wanted() if await self._looked() else []
        if not wanted and _clock() - self._renewed_at < self._pace.renew:
            return
        held = [grant.lease for grant in self._grants.values()]
        asked_at = _clock()

        def work(tx: Connection) -> tuple[set[str], list[Lease]]:
            return self._write(tx, held, wanted)

        kept, claimed = await self._commits.write(work)
        self._renewed_at = asked_at
        if self._leaving:
            await self._release(claimed)  # its driver has ended meanwhile
            claimed = []
        self._take(held, kept, claimed, asked_at + self._pace.lease)
        self._hand_over()

    async def _looked(self) -> bool:
        """Look who drives what. Return False where that is not known yet: others read as well.

        What we hold is renewed all the same.
        """
        if self._alone:
            return True
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._database.reading(self._look))
        done, _ = await asyncio.wait({self._looking}, timeout=self._pace.look)
        if not done:
            return False
        looking, self._looking = self._looking, None
        try:
            before, standing, after = looking.result()
        except StoreUnavailable as error:
            if not self._blind:
                log.warning("who drives what cannot be read", why=str(error))
            self._blind = True
            return False
        self._blind = False
        self._told_time.compare(before, standing.at, after)
        self._note(standing)
        return True

    def _look(self, conn: Connection) -> tuple[datetime, Replicas, datetime]:
        before = self._told_time.local()
        standing = replicas.read(conn)
        return before, standing, self._told_time.local()

    async def _release(self, claimed: Collection[Lease]) -> None:
        def work(tx: Connection) -> None:
            for lease in claimed:
                leases.release(tx, lease)

        if claimed:
            await self._commits.write(work)

    def _write(
        self, tx: Connection, held: Collection[Lease], wanted: Collection[str]
    ) -> tuple[set[str], list[Lease]]:
        if self._leaving:
            replicas.remove(tx, self._holder)
        elif not self._alone:
            replicas.record_alive(tx, self._holder, self._ruleset(), self._pace.lease)
        kept = replicas.renew(tx, held, self._holder, self._pace.lease)
        claims = (
            leases.claim(tx, portal, self._holder, self._pace.lease, force=self._alone)
            for portal in wanted
        )
        return kept, [lease for lease in claims if lease is not None]

    def _take(
        self, held: Iterable[Lease], kept: set[str], claimed: Iterable[Lease], until: float
    ) -> None:
        for lease in held:
            grant = self._grants.get(lease.portal)
            if grant is None or grant.lease is not lease:
                continue  # given up meanwhile
            if lease.portal not in kept:
                del self._grants[lease.portal]
            was_held = self.holds(grant)
            grant.until = until if lease.portal in kept else 0.0
            if was_held != self.holds(grant):
                self.granted(lease.portal)
        for lease in claimed:
            self._free_since.pop(lease.portal, None)
            self._grants[lease.portal] = Grant(lease, until)
            self.granted(lease.portal)

    def _note(self, standing: Replicas) -> None:
        """Take in what was read; say so where others go by other rules."""
        before = self.other_rules()
        self.standing = standing
        others = self.other_rules()
        if others and others != before:
            log.warning(
                "other replicas have other rules, or another mode; the driver's count",
                replicas=others,
            )
        # A replica that is leaving says so before it gives up its leases: it owns nothing any more.
        alive = {self._holder, *(who for who, rules in standing.alive.items() if rules)}
        if alive != self._alive:
            self._alive, self._settled_at = alive, _clock() + self._pace.settled
            self._left.clear()

    def _wanted(self) -> list[str]:
        """Choose what to claim now, in the one order in which everybody claims."""
        if self._leaving:
            return []
        now = _clock()
        return [portal for portal in self._portals if self._may_claim(portal, now)]

    def _may_claim(self, portal: str, now: float) -> bool:
        """Tell whether a portal is free, and ours or left free by its owner."""
        if not self._is_free(portal, now):
            return False
        free_for = now - self._free_since.setdefault(portal, now)
        return self._owns(portal) or free_for >= self._pace.owner_first

    def _is_free(self, portal: str, now: float) -> bool:
        driver = self.standing.drivers.get(portal, self._holder)
        if driver != self._holder:
            self._free_since.pop(portal, None)
            return False
        return portal not in self._grants and now >= self._not_before.get(portal, 0.0)

    def _owns(self, portal: str) -> bool:
        """Tell whether a portal is ours, of all that are alive."""
        return self._holder == max(self._alive, key=lambda holder: lot(holder, portal))

    def _hand_over(self) -> None:
        """Mark what another owns, once for each owner: it may not want it."""
        if _clock() < self._settled_at:
            return
        for portal, grant in self._grants.items():
            if portal not in self._left and not self._owns(portal):
                self._left.add(portal)
                grant.ending = True
                self.granted(portal)


def lot(holder: str, portal: str) -> bytes:
    """Draw a replica's lot for a portal, which is the same whoever draws it."""
    return blake2b(f"{holder} {portal}".encode(), digest_size=8).digest()


def _clock() -> float:
    return asyncio.get_running_loop().time()
