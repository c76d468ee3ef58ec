"""Sends a webhook a message for every concluded stop, rule that tripped, and alarm that it tells.

Theory of operation. The notifier runs beside the drivers and reads what they have committed
(`outbox`), so nothing is sent before it is in the log, and a slow or dead receiver delays nothing
but itself. It works for the portals that this process drives, and writes under their leases.

A message that is not accepted is tried again, on the schedule that Standard Webhooks recommends:
ten tries over three days. Then it is given up, as is a message that is older than four days when
its turn comes, and that is logged and counted. Where the receiver itself is unavailable (no
connection, no answer, 429, 502, 503, 504), one message at a time is tried, after a growing rest or
when it asked to be tried. Where it answers 410, nothing more is sent until the program is started
again: a person removed the webhook, and has to set another.

A crash between an answer and its commit sends the message once more, under the same id.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.adapters.metrics import Metrics
from responder.journal.notices import outbox
from responder.journal.notices.outbox import Behind, Notice
from responder.service.housekeeping import Write
from responder.service.notifier.webhook_sink import AT_ONCE, SendResult, WebhookSink
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
MOVE_AFTER = 1000  # entries without a notice before the position is written, to save commits

log = structlog.get_logger()

Driven = Callable[[], Mapping[str, Write]]
_Settled = tuple[Notice, SendResult, datetime | None]


class Notifier:
    """The sender of notifications for the portals that this process drives.

    `driven` returns them at any time, each with the function that writes for it; `base` is where
    people reach the pages, or empty.
    """

    def __init__(
        self,
        receiver: WebhookSink,
        *,
        database: Database,
        driven: Driven,
        metrics: Metrics,
        now: Callable[[], datetime],
        base: str = "",
    ) -> None:
        self._receiver = receiver
        self._database = database
        self._driven = driven
        self._metrics = metrics
        self._now = now
        self._base = base
        self._read_through: dict[str, tuple[int, int]] = {}  # portal: its position, and how far
        self._gone = False
        self._failures = 0
        self._rest: tuple[datetime, datetime] | None = None  # from, until

    async def run(self) -> None:
        """Read entries and send messages, until cancelled."""
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
            # A fault of ours must not end the service; what waits is sent later.
            log.exception("notifying failed")
        return False

    async def once(self) -> bool:
        """Read what was committed and send what is due; return False when nothing was due."""
        writes = self._driven()
        if not writes:
            return False
        portals, before = list(writes), self._now() - TOO_OLD

        def read(conn: Connection) -> tuple[list[Behind], list[Notice]]:
            return outbox.behind(conn, portals), outbox.older(conn, portals, before)

        behind, old = await self._database.reading(read)
        for one in behind:
            await self._read(one, writes[one.portal])
        await self._give_up(old, writes)
        return await self._send_due(writes)

    async def _commit(self, portal: str, write: Write, work: Callable[[Connection], None]) -> bool:
        """Write for a portal; return False where another process drives it by now, and notifies."""
        try:
            await write(work)
        except LeaseLost:
            log.warning("the lease was lost; another process notifies", portal=portal)
            return False
        return True

    async def _read(self, behind: Behind, write: Write) -> None:
        """Turn the new entries of a chain into notices."""
        portal, position, head = behind.portal, behind.position, behind.head
        known, after = self._read_through.get(portal, (position, position))
        if known != position:  # another process drove the portal meanwhile
            after = position
        if after >= head:
            return
        new, through = await self._database.reading(
            lambda c: outbox.read_notices(c, portal, after, head, self._base)
        )
        if after == position:
            await self._log_if_pruned(portal, position)
        now = self._now()
        if not new and through - position < MOVE_AFTER:
            self._read_through[portal] = (position, through)
            return
        fresh = [notice for notice in new if now - notice.at < TOO_OLD]
        if await self._commit(
            portal, write, lambda tx: outbox.add(tx, fresh, portal, through, now)
        ):
            self._log_given_up(portal, len(new) - len(fresh))

    async def _log_if_pruned(self, portal: str, position: int) -> None:
        first = await self._database.reading(lambda c: outbox.first_kept(c, portal))
        if first is not None and first > position + 1:
            log.error(
                "entries were pruned before their notifications were sent",
                portal=portal,
                first=position + 1,
                last=first - 1,
            )

    def _log_given_up(self, portal: str, count: int) -> None:
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
                self._log_given_up(portal, len(its))

    async def _send_due(self, writes: Mapping[str, Write]) -> bool:
        """Send the next few messages at once, or one where the receiver is unavailable."""
        if self._gone or self._rests():
            return False
        portals, now = list(writes), self._now()
        most = 1 if self._failures else AT_ONCE
        due = await self._database.reading(lambda c: outbox.due(c, portals, now, most))
        if not due:
            return False
        answers = await asyncio.gather(*(self._receiver.send(one, self._now()) for one in due))
        self._update_rest(answers)
        await self._settle(list(zip(due, answers, strict=True)), writes)
        return True

    def _rests(self) -> bool:
        """Return whether to send nothing now; setting the clock back does not lengthen a rest."""
        return self._rest is not None and self._rest[0] <= self._now() < self._rest[1]

    def _update_rest(self, answers: Sequence[SendResult]) -> None:
        """Update whether the receiver is available, and how long to send it nothing."""
        if any(answer.gone for answer in answers):
            self._gone = True
            log.error(
                "the receiver wants no more notifications (410): none is sent until a restart",
                host=self._receiver.host,
            )
        if any(answer.accepted for answer in answers):
            self._failures, self._rest = 0, None
        elif any(answer.unavailable for answer in answers):
            self._failures += 1
            rest = min(timedelta(seconds=2 ** min(self._failures, 10)), LONGEST_REST)
            asked = [answer.wait for answer in answers if answer.wait is not None]
            now = self._now()
            self._rest = (now, now + max([rest, *asked]))

    async def _settle(
        self, sent: Sequence[tuple[Notice, SendResult]], writes: Mapping[str, Write]
    ) -> None:
        """Write the results of tries, portal by portal."""
        now = self._now()
        for portal in dict.fromkeys(notice.portal for notice, _ in sent):
            its = [
                (notice, answer, None if answer.accepted else next_try(notice, answer, now))
                for notice, answer in sent
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
                    self._log_result(*settled)

    def _log_result(self, notice: Notice, answer: SendResult, due_at: datetime | None) -> None:
        """Count and log the result of a try."""
        entry = notice.seq if notice.seq > 0 else None  # an alarm's has none
        what: dict[str, object] = {
            "id": notice.message_id,
            "portal": notice.portal,
            "entry": entry,
        }
        if answer.accepted:
            self._metrics.notifications.labels("sent").inc()
            log.info("notified", **what)
            return
        self._metrics.notifications.labels("failed").inc()
        what |= {"host": self._receiver.host, "why": answer.why, "tries": notice.tries + 1}
        if due_at is not None:
            log.warning("a notification was not accepted", again_at=due_at, **what)
            return
        self._metrics.notifications.labels("given_up").inc()
        log.error("a notification was given up", **what)


def next_try(notice: Notice, answer: SendResult, now: datetime) -> datetime | None:
    """Return when a message that was not accepted is tried again; None when it is given up."""
    if notice.tries >= len(AGAIN_AFTER):
        return None
    # up to a tenth is added, differently for each message, so that they do not come all at once
    spread = 1 + int(notice.message_id[-2:], 16) / 2550
    return now + max(AGAIN_AFTER[notice.tries] * spread, answer.wait or timedelta(0))
