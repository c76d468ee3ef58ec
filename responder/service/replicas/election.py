"""Elects which portals this process drives: it claims what is free, renews it, and shares it out.

Theory of operation. One loop does it for all portals, so that a hundred and fifty of them cost what
one does: every half second a read of who drives what, and every second one commit that records that
we are alive, renews what we hold, and claims what we found free.

*Silence.* A lease lasts for four seconds on the database's clock. We count them from before the
commit that renewed it, on our own monotonic clock: so a process that cannot reach the database
stops driving before anybody else may begin. A process that was stopped and does not know it is kept
out by the fence (`store.leases`). What a process gave up is found to be free within half a second,
and what a dead one drove within half a second of the lease's end.

*Shares.* Portals are shared among the living replicas. A replica with fewer portals than its share
(portals by replicas, rounded up) claims at once; one that has its share waits half a second first,
and then claims too, for portals may be set up in one replica and not in another. A replica with
more, while another has less, gives back the excess, once no replica has come or gone for a few
seconds. A portal that it then claims again, because nobody else did, it keeps.
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
from responder.store import leases
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease, Replicas

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The durations of the election, in seconds.

    `lease` is how long a lease lasts, `renew` how often it is renewed, `poll` how often the
    replicas are read. Others than its owner claim a free portal after `owner_first`; the replicas
    must be the same for `settled` before a portal is handed over; a portal given up is not claimed
    again for `after_failure`.
    """

    lease: float = 4.0
    renew: float = 1.0
    poll: float = 0.5
    others_first: float = 0.5
    settled: float = 5.0
    after_failure: float = 1.0


@dataclass(slots=True)
class Grant:
    """A lease that this process surely holds until `until`; `ending` if it is to be given back."""

    lease: Lease
    until: float
    ending: bool = False


class Leases:
    """The leases of this process; its methods are called in one event loop."""

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
        self.replicas = leases.NO_REPLICAS
        self.granted: Callable[[str], None] = lambda _portal: None
        self._portals = sorted(portals)
        self._holder = holder
        self._database = database
        self._commits = commits
        self._ruleset = ruleset
        self._time = clock
        self._pace = pace
        self._alone = database.dialect == "sqlite"  # the file's lock keeps other processes out
        self._grants: dict[str, Grant] = {}
        self._free_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._given_back: set[str] = set()
        self._alive: set[str] = set()
        self._reading: asyncio.Future[tuple[datetime, Replicas, datetime]] | None = None
        self._is_unreadable = False
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
        """Return whether a lease is still surely ours."""
        return _clock() < grant.until

    def has_time(self, lease: Lease) -> bool:
        """Return whether this very lease is still surely ours."""
        grant = self._grants.get(lease.portal)
        return grant is not None and grant.lease is lease and self.holds(grant)

    def other_rules(self) -> list[str]:
        """Return the replicas whose rules or mode differ from ours."""
        ours = self._ruleset()
        said = self.replicas.alive.items()
        return sorted(
            who for who, rules in said if rules and not leases.have_same_rules(rules, ours)
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
                # A fault of ours must not end the loop: without leases nothing is driven.
                log.exception("leases could not be renewed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.poll):
                    await self._wake.wait()
        if self._reading is not None:
            self._reading.cancel()

    async def give_up(self, grant: Grant) -> None:
        """Release a lease after its driver's last round, whether it is still ours or not."""
        portal = grant.lease.portal
        if self._grants.get(portal) is grant:
            del self._grants[portal]
        self._free_since.pop(portal, None)
        self._not_before[portal] = _clock() + self._pace.after_failure
        await self._commits.write(lambda tx: leases.release(tx, grant.lease))

    def stop(self) -> None:
        """Claim nothing more, and leave our portals to others; what is driven is still renewed."""
        self._leaving = True
        self._renewed_at = -math.inf
        self._wake.set()

    def close(self) -> None:
        """End the loop: nothing is driven any more."""
        self._closed = True
        self._wake.set()

    async def _once(self) -> None:
        wanted = self._wanted() if await self._read_replicas() else []
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
        self._apply(held, kept, claimed, asked_at + self._pace.lease)
        self._share()

    async def _read_replicas(self) -> bool:
        """Read who drives what; return False where that is not known yet, as reads may be slow."""
        # what we hold is renewed in any case: the caller does not wait for a slow read
        if self._alone:
            return True
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._database.reading(self._read))
        done, _ = await asyncio.wait({self._reading}, timeout=self._pace.poll)
        if not done:
            return False
        reading, self._reading = self._reading, None
        try:
            before, found, after = reading.result()
        except StoreUnavailable as error:
            if not self._is_unreadable:
                log.warning("who drives what cannot be read", why=str(error))
            self._is_unreadable = True
            return False
        self._is_unreadable = False
        self._time.compare(before, found.at, after)
        self._update(found)
        return True

    def _read(self, conn: Connection) -> tuple[datetime, Replicas, datetime]:
        before = self._time.local()
        found = leases.living(conn)
        return before, found, self._time.local()

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
            leases.remove_replica(tx, self._holder)
        else:  # also alone: `status` reads there in which mode we run
            leases.record_alive(tx, self._holder, self._ruleset(), self._pace.lease)
        kept = leases.renew(tx, held, self._holder, self._pace.lease)
        claims = (
            leases.claim(tx, portal, self._holder, self._pace.lease, force=self._alone)
            for portal in wanted
        )
        return kept, [lease for lease in claims if lease is not None]

    def _apply(
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

    def _update(self, found: Replicas) -> None:
        """Keep what was read in memory; log where others have other rules."""
        before = self.other_rules()
        self.replicas = found
        others = self.other_rules()
        if others and others != before:
            log.warning(
                "other replicas have other rules, or another mode; the driver's count",
                replicas=others,
            )
        alive = {*found.alive, self._holder}
        if alive != self._alive:
            self._alive, self._settled_at = alive, _clock() + self._pace.settled
            self._given_back.clear()

    @property
    def _share_size(self) -> int:
        return math.ceil(len(self._portals) / max(1, len(self._alive)))

    def _wanted(self) -> list[str]:
        """Return what to claim now, in the one order in which every replica claims."""
        if self._leaving:
            return []
        now = _clock()
        free = [portal for portal in self._portals if self._is_free(portal, now)]
        room = max(0, self._share_size - len(self._grants))
        mine = sorted(free, key=self._preference)
        others_first = [
            portal
            for portal in mine[room:]
            if now - self._free_since.setdefault(portal, now) >= self._pace.others_first
        ]
        return sorted([*mine[:room], *others_first])

    def _is_free(self, portal: str, now: float) -> bool:
        driver = self.replicas.drivers.get(portal, self._holder)
        if driver != self._holder:
            self._free_since.pop(portal, None)
            return False
        return portal not in self._grants and now >= self._not_before.get(portal, 0.0)

    def _preference(self, portal: str) -> bytes:
        """Return a sort key that orders portals differently in each replica."""
        return blake2b(f"{self._holder} {portal}".encode(), digest_size=8).digest()

    def _share(self) -> None:
        """Mark what exceeds our share as ending, if another replica has less than its share."""
        size = self._share_size
        others = self._alive - {self._holder}
        poorer = any(self.replicas.driven_by(other) < size for other in others)
        if not poorer or _clock() < self._settled_at:
            return
        too_many = len(self._grants) - size
        for portal in sorted(self._grants, key=self._preference, reverse=True):
            if too_many <= 0:
                return
            grant = self._grants[portal]
            if portal not in self._given_back:
                self._given_back.add(portal)
                grant.ending = True
                self.granted(portal)
            too_many -= grant.ending


def _clock() -> float:
    return asyncio.get_running_loop().time()
