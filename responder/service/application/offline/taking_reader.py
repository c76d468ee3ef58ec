"""Reads offline events where the portal cannot reserve them: list, store, take.

Theory of operation. The portal deletes rows as it returns them (`event.offline.get`), so they are
listed and stored before that. A change that happens between the listing and the taking is merged
into its row, and goes with it. So the documents of a *taking* are not judged from the commit that
stores their events to the commit that ends it (`EventQueue`): their facts are then read later than
any change whose row was deleted.

A row that the taking returned and that was not listed (its change was committed late, under an
earlier number) is stored in the commit that ends the taking. One that was stored and judged before,
because the portal refused to hand it over, is stored once more with each taking that follows: it
may change between its listing and that taking.

If the answer is lost, the portal may delete rows until it cuts the request. Until then nothing is
listed and the documents wait; then the next page is read, and its taking replaces the lost one: a
row that is still there is stored once more.

If the portal refuses a taking, its rows stay, and their documents are judged. Before rows are
stored again the portal is asked, ever more seldom, for events of which there are none, until it
answers. A row that a taking left in the portal is not taken again until it changes (`StoredRows`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from responder.bitrix24.client.answers import Answer, FailureKind, explain
from responder.bitrix24.events import offline_rows
from responder.bitrix24.events.offline_rows import GET, PAGE, OfflineRow, Page
from responder.judge.context import Context
from responder.judge.stop_lifecycle import CALL_WITHIN, OVER_WITHIN
from responder.service.application.due_time import DueTime
from responder.service.application.offline.offline_inbox import OfflineInbox
from responder.service.application.offline.reserving_reader import Progress, ReservingReader
from responder.service.application.offline.stored_rows import StoredRows
from responder.stop.gate import Gate
from responder.store.applications import offline_takings
from responder.store.applications.offline_takings import Taking

Keys = set[tuple[int, str]]

REFUSED_AGAIN = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300))


class TakingReader:
    """The reader of one portal's offline events that takes them; `reserved` clears others."""

    def __init__(
        self, context: Context, gate: Gate, inbox: OfflineInbox, reserved: ReservingReader
    ) -> None:
        self._context = context
        self._gate = gate
        self._inbox = inbox
        self._reserved = reserved
        self._taking: Taking | None = None
        self._stored: Keys = set()  # by a taking that is not ended, and perhaps still there
        self._left: Keys = set()  # a taking did not return them
        self._known = StoredRows()
        self._start = 0
        self._refusals = 0  # one after another
        self._ask_again = DueTime(REFUSED_AGAIN[-1])

    async def load(self) -> None:
        """Read the taking that the last driver has left, if any."""
        self._taking = await self._context.read(offline_takings.under_way)

    @property
    def lost_until(self) -> datetime | None:
        """Return until when the portal may still carry out a taking, None where it does not."""
        taking, now = self._taking, self._context.now()
        if taking is None or abs(now - taking.sent_at) >= OVER_WITHIN:
            return None
        return taking.sent_at + OVER_WITHIN

    @property
    def has_open(self) -> bool:
        """Return whether a taking is not ended, whose documents wait."""
        return self._taking is not None

    async def read_page(self) -> Progress:
        """List the oldest rows, store them, take them."""
        if not await self._may_take():  # what cannot be taken would be stored again each time
            return Progress.FAILED
        listed_at = self._context.now()
        (answer,) = await self._context.client.send(
            [offline_rows.list_command(start=self._start)], unless=self._gate.why_not_sent
        )
        page = None if answer.failure is not None else offline_rows.page_of(answer.value)
        if page is None:
            self._warn(answer)
            return Progress.FAILED
        self._inbox.warn(page)
        # what cannot be cleared, which is logged, must not hide the others
        is_cleared = not page.reserved or await self._take_over(page)
        progress = await self._read_unreserved(page, listed_at)
        return progress if is_cleared or progress is not Progress.DONE else Progress.FAILED

    async def _read_unreserved(self, page: Page, listed_at: datetime) -> Progress:
        rows = tuple(
            row
            for row in page.unreserved
            if row.key not in self._left or self._known.is_due(row, listed_at)
        )
        if not rows:
            return await self._skip(page)
        return await self._take(rows, page, listed_at)

    async def _may_take(self) -> bool:
        """Return whether a taking may succeed; after a refusal, ask for events that are none."""
        refusal = self._context.client.breakers.refusal(GET)
        if refusal is not None:
            self._inbox.failed(explain(refusal))
            return False
        if not self._refusals:
            return True
        if not self._ask_again.is_over(self._context.now()):
            return False
        none = offline_rows.read_command(reserve=False, first=1, last=0)
        (answer,) = await self._context.client.send([none], unless=self._gate.why_not_sent)
        if answer.failure is not None:
            self._refused(answer)
            return False
        taken = offline_rows.page_of(answer.value)
        if taken is not None and taken.rows:  # a portal that ignores the filter has deleted them
            await self._inbox.add(taken.rows)
        return True

    async def _take_over(self, page: Page) -> bool:
        """Store and clear the rows that were reserved, perhaps while the portal could do so."""
        reserved = Page(rows=page.reserved, odd=(), size=0)
        return await self._reserved.take_over(reserved) is Progress.DONE

    async def _skip(self, page: Page) -> Progress:
        """Go past rows that cannot be taken; end a taking that none are left of."""
        await self.end()
        self._start = self._start + PAGE if page.is_full else 0
        return Progress.MORE if page.is_full else Progress.DONE

    async def _take(
        self, rows: tuple[OfflineRow, ...], page: Page, listed_at: datetime
    ) -> Progress:
        taking = await self._begin(rows, listed_at)
        first, last = (choose(row.id for row in rows) for choose in (min, max))
        take = offline_rows.read_command(reserve=False, first=first, last=last)

        def why_not_sent() -> str | None:
            is_late = not timedelta(0) <= self._context.now() - taking.sent_at <= CALL_WITHIN
            return "not called: too late" if is_late else self._gate.why_not_sent()

        (answer,) = await self._context.client.send([take], unless=why_not_sent)
        taken = None if answer.failure is not None else offline_rows.page_of(answer.value)
        if taken is None:
            return await self._failed(answer)
        await self._taken(rows, taken, page)
        return Progress.MORE if page.is_full else Progress.DONE

    async def _begin(self, rows: tuple[OfflineRow, ...], listed_at: datetime) -> Taking:
        """Commit that these rows are taken next, and the rows, unless deliveries wait already."""
        refs = frozenset(row.document.ref for row in rows if row.document is not None)
        taking = Taking(documents=refs, sent_at=self._context.now())
        new = [row for row in rows if row.key not in self._stored]
        await self._inbox.add(
            new,
            lambda tx: offline_takings.begin(
                tx, self._context.portal, taking.documents, taking.sent_at
            ),
        )
        self._taking = taking
        self._stored |= {row.key for row in new}
        self._known.add(new, listed_at, self._context.now())
        return taking

    async def _taken(self, rows: tuple[OfflineRow, ...], taken: Page, page: Page) -> None:
        """Store what else the answer has, and end the taking."""
        self._inbox.warn(replace(taken, odd=taken.odd if taken.size > len(rows) else ()))
        listed = {row.id for row in rows}
        gone = {row.id for row in taken.rows}
        await self.end([row for row in taken.rows if row.id not in listed])
        self._left |= {row.key for row in rows if row.id not in gone}
        self._known.remove([row for row in rows if row.id in gone])
        self._refusals = 0
        self._start = self._start if page.is_full else 0

    async def end(self, more: list[OfflineRow] | None = None) -> None:
        """Commit that no taking is under way, with rows that only its answer showed."""
        if self._taking is None and not more:
            return
        await self._inbox.add(more or [], lambda tx: offline_takings.end(tx, self._context.portal))
        self._taking = None
        # From now on their documents are judged: a row that is listed again may have changed since,
        # within the same second.
        self._stored.clear()

    async def _failed(self, answer: Answer) -> Progress:
        """End a taking that was certainly not carried out; its rows are taken the next time."""
        if answer.failure is None or answer.failure.kind is FailureKind.UNCERTAIN:
            self._warn(answer)
            return Progress.LOST
        self._refused(answer)
        await self.end()
        return Progress.FAILED

    def _refused(self, answer: Answer) -> None:
        self._warn(answer)
        wait = REFUSED_AGAIN[min(self._refusals, len(REFUSED_AGAIN) - 1)]
        self._refusals += 1
        self._ask_again.set(self._context.now() + wait)

    def _warn(self, answer: Answer) -> None:
        why = "the answer has no such shape" if answer.failure is None else explain(answer.failure)
        self._inbox.failed(why)
