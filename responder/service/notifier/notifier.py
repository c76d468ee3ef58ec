"""Tells a receiver of every concluded stop and every rule that tripped.

Theory of operation. It runs beside the drivers and reads what they have committed (`outbox`), so
nothing is told before it is in the log, and a receiver that is slow or dead delays nothing but
itself. It does so for the portals that this process drives, and writes under their leases.

A message that is not taken is tried again, on the schedule that Standard Webhooks recommends: ten
tries over three days. Then it is given up, as is what is older than four days when its turn comes,
and that is said and counted. Where the receiver itself ails (no connection, no answer, 429, 502,
503, 504), one message at a time is tried, after a growing rest or when it asked to be tried. Where
it answers 410, nothing more is sent until the program is started again: a person took it away, and
has to set another.

A crash between an answer and its commit sends the message once more, under the same id.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.adapters.metrics import Metrics
from responder.journal import outbox
from responder.journal.outbox import Behind, Notice
from responder.service.housekeeping import Write
from responder.service.notifier.webhook_sink import AT_ONCE, Receiver, Told
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

POLL_SECONDS = 0.5
AGAIN_AFTER = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
TOO_OLD = timedelta(days=4)
LONGEST_REST = timedelta(minutes=1)
MOVE_AFTER = 1000  # entries that need no telling: read again after a crash, at most so many

log = structlog.get_logger()

Driven = Callable[[], Mapping[str, Write]]
_Settled = tuple[Notice, Told, datetime | None]


class Notifier:
    """Tells one receiver of what happens in the portals that this process drives.

    `driven` gives them at any time, each with what writes for it.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        database: Database,
        driven: Driven,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._receiver = receiver
        self._database = database
        self._driven = driven
        self._metrics = metrics
        self._now = now
        self._read_through: dict[str, tuple[int, int]] = {}  # portal: its position, and how far
        self._gone = False
        self._failures = 0
        self._rest: tuple[datetime, datetime] | None = None  # from, until

    async def run(self) -> None:
        """Read and tell, until cancelled."""
        try:
            while True:
                if not await self._once_guarded():
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._receiver.close()

    async def _once_guarded(self) -> bool:
        try:
            return await self.once()
        except StoreUnavailable as error:
            log.warning("notifications were put off", why=str(error))
        except Exception:
            # A fault of ours must not end the service; what waits is told later.
            log.exception("notifying failed")
        return False

    async def once(self) -> bool:
        """Read what was committed and tell what is due. Return False when nothing was."""
        writes = self._driven()
        if not writes:
            return False
        portals, before = list(writes), self._now() - TOO_OLD

        def look(conn: Connection) -> tuple[list[Behind], list[Notice]]:
            return outbox.behind(conn, portals), outbox.older(conn, portals, before)

        behind, old = await self._database.reading(look)
        for one in behind:
            await self._read(one, writes[one.portal])
        await self._give_up(old, writes)
        return await self._tell_due(writes)

    async def _commit(self, portal: str, write: Write, work: Callable[[Connection], None]) -> bool:
        """Write for a portal; False where another process drives it by now, and tells of it."""
        try:
            await write(work)
        except LeaseLost:
            log.warning("the lease was lost; another process notifies", portal=portal)
            return False
        return True

    async def _read(self, behind: Behind, write: Write) -> None:
        """Turn what is new in a chain into notices."""
        portal, position, head = behind.portal, behind.position, behind.head
        known, after = self._read_through.get(portal, (position, position))
        if known != position:  # another process drove the portal meanwhile
            after = position
        if after >= head:
            return
        new, through = await self._database.reading(
            lambda c: outbox.read_notices(c, portal, after, head)
        )
        if after == position:
            await self._say_if_pruned(portal, position)
        now = self._now()
        if not new and through - position < MOVE_AFTER:
            self._read_through[portal] = (position, through)
            return
        fresh = [notice for notice in new if now - notice.at < TOO_OLD]
        if await self._commit(
            portal, write, lambda tx: outbox.add(tx, fresh, portal, through, now)
        ):
            self._say_given_up(portal, len(new) - len(fresh))

    async def _say_if_pruned(self, portal: str, position: int) -> None:
        first = await self._database.reading(lambda c: outbox.first_kept(c, portal))
        if first is not None and first > position + 1:
            log.error(
                "entries were pruned before their notifications were sent",
                portal=portal,
                first=position + 1,
                last=first - 1,
            )

    def _say_given_up(self, portal: str, count: int) -> None:
        if count:
            self._metrics.notifications.labels("given_up").inc(count)
            log.error(
                "notifications older than four days were given up", portal=portal, count=count
            )

    async def _give_up(self, old: Sequence[Notice], writes: Mapping[str, Write]) -> None:
        for portal in {notice.portal for notice in old}:
            its = [notice for notice in old if notice.portal == portal]

            def forget(tx: Connection, its: Sequence[Notice] = its) -> None:
                for notice in its:
                    outbox.remove(tx, notice)

            if await self._commit(portal, writes[portal], forget):
                self._say_given_up(portal, len(its))

    async def _tell_due(self, writes: Mapping[str, Write]) -> bool:
        """Tell the next few at once; a receiver that ails, one."""
        if self._gone or self._rests():
            return False
        portals, now = list(writes), self._now()
        most = 1 if self._failures else AT_ONCE
        due = await self._database.reading(lambda c: outbox.due(c, portals, now, most))
        if not due:
            return False
        answers = await asyncio.gather(*(self._receiver.tell(one, self._now()) for one in due))
        self._learn(answers)
        await self._settle(list(zip(due, answers, strict=True)), writes)
        return True

    def _rests(self) -> bool:
        """Say whether the receiver is left alone; a clock that is set back does not lengthen it."""
        return self._rest is not None and self._rest[0] <= self._now() < self._rest[1]

    def _learn(self, answers: Sequence[Told]) -> None:
        """See how the receiver is, and leave it alone for a while if it ails."""
        if any(answer.gone for answer in answers):
            self._gone = True
            log.error(
                "the receiver wants no more notifications (410): none is sent until a restart",
                host=self._receiver.host,
            )
        if any(answer.taken for answer in answers):
            self._failures, self._rest = 0, None
        elif any(answer.ailing for answer in answers):
            self._failures += 1
            rest = min(timedelta(seconds=2 ** min(self._failures, 10)), LONGEST_REST)
            asked = [answer.wait for answer in answers if answer.wait is not None]
            now = self._now()
            self._rest = (now, now + max([rest, *asked]))

    async def _settle(
        self, told: Sequence[tuple[Notice, Told]], writes: Mapping[str, Write]
    ) -> None:
        """Write down what came of it, portal by portal."""
        now = self._now()
        for portal in dict.fromkeys(notice.portal for notice, _ in told):
            its = [
                (notice, answer, None if answer.taken else next_try(notice, answer, now))
                for notice, answer in told
                if notice.portal == portal
            ]

            def write(tx: Connection, its: Sequence[_Settled] = its) -> None:
                for notice, _, due_at in its:
                    if due_at is None:
                        outbox.remove(tx, notice)
                    else:
                        outbox.postpone(tx, notice, due_at)

            if await self._commit(portal, writes[portal], write):
                for settled in its:
                    self._say(*settled)

    def _say(self, notice: Notice, answer: Told, due_at: datetime | None) -> None:
        """Count what came of a try, and say it in the log."""
        what = {"id": notice.message_id, "portal": notice.portal, "entry": notice.seq}
        if answer.taken:
            self._metrics.notifications.labels("sent").inc()
            log.info("notified", **what)
            return
        self._metrics.notifications.labels("failed").inc()
        what |= {"host": self._receiver.host, "why": answer.why, "tries": notice.tries + 1}
        if due_at is not None:
            log.warning("a notification was not taken", again_at=due_at, **what)
            return
        self._metrics.notifications.labels("given_up").inc()
        log.error("a notification was given up", **what)


def next_try(notice: Notice, answer: Told, now: datetime) -> datetime | None:
    """Say when a message that was not taken is tried again; None when it is given up.

    Up to a tenth is added, another for each message, so that they do not come back all at once.
    """
    if notice.tries >= len(AGAIN_AFTER):
        return None
    spread = 1 + int(notice.message_id[-2:], 16) / 2550
    return now + max(AGAIN_AFTER[notice.tries] * spread, answer.wait or timedelta(0))
