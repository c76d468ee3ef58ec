"""Reads the events that a portal kept for its application, and removes them there.

They are read when driving begins, every `poll_every`, and soon after the portal announced some
(`ONOFFLINEEVENT`, of which there is none for what happens right after another). Where the portal
can reserve rows, `reserving` reads them, else `taking`; rows that are reserved already are listed
at the start, after a lost answer, and once an hour. There is one reader for each portal, its
driver: the portal does not keep two of them apart.
"""

from datetime import datetime, timedelta

from responder.bitrix24.client.answers import Command, FailureKind
from responder.judge.context import Context
from responder.judge.stop_lifecycle import OVER_WITHIN
from responder.service.application.due_time import DueTime
from responder.service.application.offline.offline_inbox import OfflineInbox
from responder.service.application.offline.reserving_reader import Progress, ReservingReader
from responder.service.application.offline.taking_reader import TakingReader
from responder.stop.gate import Gate

FEATURE = "rest_offline_extended"
ASK_FEATURE_EVERY = timedelta(days=1)
# A request may reach the portal long after it was given up (a network that was cut off, a machine
# that was stopped), and what it reserves returns to the queue for nobody.
LIST_RESERVED_EVERY = timedelta(hours=1)
AGAIN_AFTER = timedelta(seconds=5)  # where a reading failed
REST_AFTER_READING = timedelta(seconds=1)  # whatever is announced
PAGES = 5  # in one step: then what is stored is judged


class OfflineReader:
    """The reader of one portal's offline events, under one lease."""

    def __init__(self, context: Context, gate: Gate, poll_every: timedelta) -> None:
        self._context = context
        self._poll_every = poll_every
        self._inbox = OfflineInbox(context, gate)
        self._reserving = ReservingReader(context, gate, self._inbox)
        self._taking = TakingReader(context, gate, self._inbox, self._reserving)
        self._next = DueTime(max(poll_every, OVER_WITHIN))
        self._feature_asked = DueTime(ASK_FEATURE_EVERY)
        self._can_reserve: bool | None = None
        self._list_at: list[datetime] = []  # when reserved rows are to be listed
        self._list_in_any_case = DueTime(LIST_RESERVED_EVERY)
        self._has_begun = False
        self._is_announced = False

    def announce(self) -> None:
        """Read soon: the portal said that offline events wait."""
        self._is_announced = True
        self._next.hasten(self._context.now())

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing else is due: until the next reading."""
        return max(0.001, min(at_most, self._next.seconds_left(self._context.now())))

    async def step(self) -> bool:
        """Read some pages, if that is due. Return False where it is not."""
        if not self._next.is_over(self._context.now()):
            return False
        if not self._has_begun:
            await self._taking.load()
            self._list_reserved()
            self._has_begun = True
        self._is_announced = False
        try:
            progress = await self._read()
        except Exception:  # what was reserved is perhaps not stored
            self._list_reserved()
            raise
        if progress is Progress.LOST and self._can_reserve:
            self._list_reserved()
        if progress is Progress.DONE:
            self._inbox.worked()
        self._next.set(self._next_time(progress))
        return True

    def _list_reserved(self) -> None:
        """List reserved rows now, and when a request whose answer is lost must be over."""
        now = self._context.now()
        self._list_at = [now, now + OVER_WITHIN]

    def _next_time(self, progress: Progress) -> datetime:
        now, until = self._context.now(), self._taking.lost_until
        if until is not None:
            return until
        if progress is Progress.MORE:
            return now
        times = [now + self._poll_every, *self._list_at]
        if progress is not Progress.DONE:
            times.append(now + AGAIN_AFTER)
        if self._is_announced:
            times.append(now)
        return max(min(times), now + REST_AFTER_READING)

    async def _read(self) -> Progress:
        """Read pages until there are no more, or there were many."""
        if await self._may_reserve() is None:
            return Progress.FAILED
        progress = Progress.MORE
        for _ in range(PAGES):
            progress = await self._read_page()
            if progress is not Progress.MORE:
                break
        return progress

    async def _read_page(self) -> Progress:
        if self._taking.lost_until is not None:
            return Progress.DONE  # nothing may be read before it is over
        if self._is_listing_due:
            return await self._list_page()
        if not self._can_reserve or self._taking.has_open:
            return await self._taking.read_page()
        progress = await self._reserving.read_page()
        if progress is Progress.NOT_ALLOWED:  # the plan has changed
            self._can_reserve = False
            return Progress.MORE
        return progress

    @property
    def _is_listing_due(self) -> bool:
        now = self._context.now()
        if self._can_reserve and self._list_in_any_case.is_over(now):
            return True
        return any(not now < at <= now + OVER_WITHIN for at in self._list_at)

    async def _list_page(self) -> Progress:
        now = self._context.now()
        progress = await self._reserving.list_page()
        if progress is Progress.MORE:
            return progress
        self._list_at = [at for at in self._list_at if now < at <= now + OVER_WITHIN]
        self._list_in_any_case.set(now + LIST_RESERVED_EVERY)
        if progress is not Progress.DONE:
            self._list_at.append(now + OVER_WITHIN)
        return Progress.MORE  # now what is not reserved, whether or not these could be listed

    async def _may_reserve(self) -> bool | None:
        """Ask once a day whether the portal's plan can reserve rows; None where it is not known."""
        now = self._context.now()
        if self._can_reserve is not None and not self._feature_asked.is_over(now):
            return self._can_reserve
        (answer,) = await self._context.client.send([Command("feature.get", {"CODE": FEATURE})])
        failure = answer.failure
        if failure is not None and failure.kind in (FailureKind.BUSY, FailureKind.UNCERTAIN):
            return self._can_reserve
        self._can_reserve = failure is None and _is_yes(answer.value)
        self._feature_asked.set(now + ASK_FEATURE_EVERY)
        return self._can_reserve


def _is_yes(value: object) -> bool:
    return isinstance(value, dict) and value.get("value") in ("Y", True)
