"""Maintains the log of the driven portals: checkpoints in the log stream, emptied forms, pruning.

Every five minutes the number and the hash of each chain's last entry are logged, where nobody who
can write to the database can remove them: a check against them finds a tail that was cut off, or a
chain that was rewritten (`verify`). Every hour the oldest entries are removed, a thousand a
transaction, with a rest between in which deliveries are committed; and no more than a day's worth
beyond what was removed last, whatever the clock says. Alarms of portals that are in no settings any
more go with them, and what programs of older versions left undone is finished (`older_versions`).

Each portal is written through a `Write` that checks the lease in the same transaction. A failure is
logged and ends nothing: the next time is soon enough.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from responder.journal.audit import checkpoints
from responder.journal.notices import alarm_records
from responder.journal.upkeep import older_versions
from responder.journal.upkeep.prune import Pruned, capped, prune, record_pruned
from responder.store.applications import held_messages
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.inbox.delivery_forms import empty
from responder.store.leases import Lease, LeaseLost, check

FIRST_SECONDS = 10.0  # by then it is known which portals we drive
CHECKPOINT_SECONDS = 300.0
PRUNE_EVERY = timedelta(hours=1)
KEEP_FORMS = timedelta(hours=12)
DAY = timedelta(days=1)
REST_SECONDS = 0.1

log = structlog.get_logger()

Write = Callable[[Callable[[Connection], None]], Awaitable[None]]


def fenced(commits: SharedCommit, lease: Lease) -> Write:
    """Return a function that writes under a lease, and raises LeaseLost once it is another's."""

    async def write(work: Callable[[Connection], None]) -> None:
        def guarded(tx: Connection) -> None:
            check(tx, lease)
            work(tx)

        await commits.write(guarded)

    return write


class Housekeeping:
    """The maintenance of the portals that this process drives.

    `driven` returns them at any time, each with the function that writes for it.
    """

    def __init__(
        self,
        *,
        database: Database,
        driven: Callable[[], Mapping[str, Write]],
        keep_days: int,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._driven = driven
        self._keep = timedelta(days=keep_days)
        self._now = now
        self._pruned_at: dict[str, datetime] = {}
        self._read_through: dict[str, int] = {}  # by portal, of what older versions left undone

    async def run(self) -> None:
        """Do what is due every five minutes, until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            await self.once()
            await asyncio.sleep(CHECKPOINT_SECONDS)

    async def once(self) -> None:
        """Write a checkpoint, and prune where the last time was an hour ago."""
        try:
            await self.checkpoint()
            for portal, write in self._driven().items():
                await self._finish(portal, write)
                await self._empty_forms(portal, write)
                await self._prune_if_due(portal, write)
        except (StoreUnavailable, LeaseLost) as error:
            log.warning("housekeeping was put off", why=str(error))
        except Exception:
            # A fault of ours must not end the service; what is kept too long is pruned later.
            log.exception("housekeeping failed")

    async def checkpoint(self) -> None:
        """Log the head of each chain that this process drives."""
        found = await self._database.reading(partial(checkpoints.checkpoint, at=self._now()))
        heads = found["portals"]
        assert isinstance(heads, dict)
        driven = {name: heads[name] for name in self._driven() if name in heads}
        if driven:
            log.info("checkpoint", portals=driven)

    async def _finish(self, portal: str, write: Write) -> None:
        """Finish what programs of older versions left undone."""
        now = self._now()
        more = True
        while more:
            after = self._read_through.get(portal)
            undone = await self._database.reading(
                partial(older_versions.find, portal=portal, after=after)
            )
            if undone:
                await write(partial(older_versions.finish, portal=portal, undone=undone, now=now))
                log.info(
                    "what an older version left undone was finished",
                    portal=portal,
                    erased=len(undone.erased),
                    concluded=len(undone.concluded),
                )
            self._read_through[portal] = undone.through
            more = undone.more

    async def _empty_forms(self, portal: str, write: Write) -> None:
        """Empty the forms of concluded deliveries older than twelve hours.

        Messages that were held for an hour go with them, as they may hold tokens.
        """
        more = True

        def work(tx: Connection) -> None:
            nonlocal more
            now = self._now()
            held_messages.drop_old(tx, portal, now)
            more = empty(tx, portal, now - KEEP_FORMS, now)

        while more:
            await write(work)
            if more:
                await asyncio.sleep(REST_SECONDS)

    async def _prune_if_due(self, portal: str, write: Write) -> None:
        now = self._now()
        last = self._pruned_at.get(portal)
        if last is not None and last <= now < last + PRUNE_EVERY:
            return
        self._pruned_at[portal] = now
        wanted = now - self._keep
        before = await self._database.reading(partial(capped, portal=portal, wanted=wanted))
        steps: list[Pruned] = []
        while (step := await self._step(portal, before, now, write)) is not None:
            steps.append(step)
            if not step.more:
                break
            await asyncio.sleep(REST_SECONDS)

        def done(tx: Connection) -> None:
            record_pruned(tx, portal, before)
            alarm_records.forget_undriven(tx, now, now - DAY)

        await write(done)
        if steps:
            removed = sum(step.entries for step in steps)
            log.info(
                "the log was pruned", portal=portal, entries=removed, through=steps[-1].through
            )

    async def _step(
        self, portal: str, before: datetime, at: datetime, write: Write
    ) -> Pruned | None:
        done: list[Pruned | None] = []

        def work(tx: Connection) -> None:
            done.append(prune(tx, portal, before=before, at=at))

        await write(work)
        return done[-1]
