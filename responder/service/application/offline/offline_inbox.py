"""Stores the events that a portal kept, before they are removed there.

One commit, under the lease, writes all rows of a page; only then may anything be cleared or taken.
So a process that dies at any point has lost nothing, and the next one only repeats.
"""

from collections.abc import Callable, Sequence

import structlog

from responder.bitrix24.events.offline_rows import OfflineRow, Page
from responder.judge.context import Context
from responder.stop.gate import Gate
from responder.store.database.database import Connection
from responder.store.inbox import inbox

log = structlog.get_logger()


class OfflineInbox:
    """The inbox of one portal, as the reader of its offline events writes it."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._said: str | None = None

    async def add(
        self, rows: Sequence[OfflineRow], also: Callable[[Connection], None] | None = None
    ) -> None:
        """Commit deliveries for the rows that name an event, together with `also`."""
        portal, now = self._context.portal, self._context.now()
        deliveries = [
            inbox.row(
                portal,
                now,
                "event",
                row.event,
                None if row.document is None else row.document.ref,
                None,
                row.form,
            )
            for row in rows
            if row.event is not None
        ]
        if not deliveries and also is None:
            return

        def write(tx: Connection) -> None:
            if deliveries:
                inbox.add(tx, deliveries)
            if also is not None:
                also(tx)

        await self._gate.write(write)
        if deliveries:
            self._context.metrics.offline_events.labels(portal).inc(len(deliveries))
            log.info("offline events were stored", portal=portal, count=len(deliveries))

    def warn(self, page: Page) -> None:
        """Log the rows that say nothing, which are stored nowhere else."""
        if page.odd:
            log.warning(
                "offline events of the portal make no sense, and are left out",
                portal=self._context.portal,
                rows=list(page.odd[:20]),
                count=len(page.odd),
            )

    def failed(self, why: str) -> None:
        """Log that reading or clearing failed, once for as long as the reason is the same."""
        if why != self._said:
            log.warning("offline events are not read", portal=self._context.portal, why=why)
        self._said = why

    def worked(self) -> None:
        """Record that the portal's events could be read."""
        self._said = None
