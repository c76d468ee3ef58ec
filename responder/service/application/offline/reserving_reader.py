"""Reads offline events where the portal can reserve them: reserve, store, clear.

Theory of operation. `event.offline.get` with `clear=0` puts the oldest rows under a process id.
What happens to their documents from then on makes new rows, so once these are stored they may be
removed. A reserved row never returns to the queue by itself. If an answer is lost, or a process
dies, the reservation is not known: then all reserved rows are listed, which shows their process
ids. They are listed at once, and again when the portal must have ended the lost request.

Rows that are stored and could not be cleared are remembered, cleared with the next request, and not
stored a second time. A lost answer to that is no matter: it is simply asked again. Rows that stay
although the portal said that it cleared them are cleared again where they are listed, and not
stored a second time either: a reserved row never changes.
"""

from enum import Enum, auto

from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind, explain
from responder.bitrix24.events import offline_rows
from responder.bitrix24.events.offline_rows import PAGE, OfflineRow, Page
from responder.judge.context import Context
from responder.service.application.offline.offline_inbox import OfflineInbox
from responder.service.application.offline.stored_rows import forget_oldest
from responder.stop.gate import Gate

NOT_IN_PLAN = "WRONG_LICENSE"

RowKey = tuple[str | None, int]  # a process id, and a row's


class Progress(Enum):
    """The result of reading a page.

    `LOST`: an answer did not come, and what it would have said is not known.
    """

    DONE = auto()
    MORE = auto()
    FAILED = auto()
    LOST = auto()
    NOT_ALLOWED = auto()


class ReservingReader:
    """The reader of one portal's offline events that reserves them."""

    def __init__(self, context: Context, gate: Gate, inbox: OfflineInbox) -> None:
        self._context = context
        self._gate = gate
        self._inbox = inbox
        self._uncleared: dict[RowKey, OfflineRow] = {}
        self._cleared: dict[RowKey, None] = {}  # as the portal said
        self._start = 0  # of the list of reserved rows

    async def read_page(self) -> Progress:
        """Reserve the oldest rows, store them, and clear them with the next request."""
        answer = await self._get()
        if answer.failure is not None:
            return self._failed(answer.failure)
        page = offline_rows.page_of(answer.value)
        if page is None or page.unreserved:  # reserved, and we do not know under which id
            self._inbox.failed("reserved events have no process id")
            return Progress.LOST
        await self._keep(page)
        if page.is_full:
            return Progress.MORE
        return Progress.DONE if await self._clear() else Progress.FAILED

    async def list_page(self) -> Progress:
        """Store and clear rows that were reserved before, and not cleared."""
        command = offline_rows.list_command(reserved=True, start=self._start)
        (answer,) = await self._context.client.send([command])
        if answer.failure is not None:
            return self._failed(answer.failure)
        page = offline_rows.page_of(answer.value)
        if page is None:
            self._inbox.failed("the list of reserved events has no such shape")
            return Progress.FAILED
        return await self.take_over(page)

    async def take_over(self, page: Page) -> Progress:
        """Store and clear the rows of a list that are reserved."""
        is_new = await self._keep(page)
        if not await self._clear():
            return Progress.FAILED
        # rows that stay although they were cleared must not hide the others
        self._start = 0 if is_new else self._start + PAGE
        if page.is_full:
            return Progress.MORE
        self._start = 0
        return Progress.DONE

    async def _keep(self, page: Page) -> bool:
        """Store the rows that are not stored yet. Return whether there were any."""
        found = {(row.process_id, row.id): row for row in page.reserved}
        new = [key for key in found if key not in self._uncleared and key not in self._cleared]
        self._inbox.warn(page)
        await self._inbox.add([found[key] for key in new])
        self._uncleared |= found
        return bool(new)

    async def _get(self) -> Answer:
        """Clear what is stored and reserve more, in one request."""
        clears = offline_rows.clear_commands(self._uncleared.values())
        get = offline_rows.read_command(reserve=True)
        *cleared, answer = await self._send([*clears, get])
        self._note_cleared(cleared)
        return answer

    async def _clear(self) -> bool:
        """Clear what is stored; return False where not all of it surely is."""
        clears = offline_rows.clear_commands(self._uncleared.values())
        if not clears:
            return True
        self._note_cleared(await self._send(clears))
        return not self._uncleared

    def _note_cleared(self, answers: list[Answer]) -> None:
        failures = [answer.failure for answer in answers if answer.failure is not None]
        if failures:
            self._inbox.failed(f"what is stored could not be cleared: {explain(failures[0])}")
        else:
            self._cleared |= dict.fromkeys(self._uncleared)
            forget_oldest(self._cleared)
            self._uncleared.clear()

    async def _send(self, commands: list[Command]) -> list[Answer]:
        return await self._context.client.send(commands, unless=self._gate.why_not_sent)

    def _failed(self, failure: Failure) -> Progress:
        if failure.code == NOT_IN_PLAN:
            return Progress.NOT_ALLOWED
        self._inbox.failed(explain(failure))
        return Progress.LOST if failure.kind is FailureKind.UNCERTAIN else Progress.FAILED
