"""A notifier with a clock that a test moves, and something to tell."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from structlog.testing import capture_logs

from responder.adapters.metrics import Metrics
from responder.journal import record as journal
from responder.journal.entries import NewDecision
from responder.journal.notices import outbox
from responder.model import Outcome
from responder.service.housekeeping import Write
from responder.service.notifier.notifier import Notifier
from responder.service.notifier.webhook_sink import WebhookSink
from responder.settings.webhook_signature import keys_of
from responder.store.database.database import Connection, Database
from tests.support.evaluations import LATER, kill, record
from tests.support.listener import SECRET

DAY = timedelta(days=1)


class World:
    """A notifier, its clock and its database; what the process drives can be changed."""

    def __init__(self, database: Database, url: str, *, answer_seconds: float = 5) -> None:
        self.database = database
        self.at = LATER
        self.metrics = Metrics()
        self.driven: dict[str, Write] = {"main": self.write}
        self.url, self.answer_seconds = url, answer_seconds
        database.write(lambda tx: outbox.begin(tx, ["main", "other"]))
        self.restart()

    def restart(self) -> None:
        receiver = WebhookSink(
            self.url,
            keys_of(SECRET),
            connect_seconds=1,
            answer_seconds=self.answer_seconds,
        )
        self.notifier = Notifier(
            receiver,
            database=self.database,
            driven=lambda: self.driven,
            metrics=self.metrics,
            now=lambda: self.at,
        )

    async def write(self, work: Callable[[Connection], None]) -> None:
        await asyncio.to_thread(self.database.write, work)

    def go(self, *, after: timedelta = timedelta(0)) -> list[Mapping[str, object]]:
        """Let the time pass, and tell until nothing is left to tell; return what was logged."""
        self.at += after

        async def until_done() -> None:
            while await self.notifier.once():
                pass
            await self.notifier._receiver.close()

        with capture_logs() as lines:
            asyncio.run(until_done())
        return list(lines)

    async def once(self) -> bool:
        """Go through it once."""
        try:
            return await self.notifier._once_guarded()
        finally:
            await self.notifier._receiver.close()

    def count(self, result: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "responder_notifications_total", {"result": result}
        )
        assert value is not None
        return value

    def waiting(self) -> int:
        return self.database.read(lambda c: outbox.waiting(c, ["main", "other"]))

    def position(self) -> int:
        head = self.database.read(lambda c: outbox.behind(c, ["main"]))
        return head[0].position if head else -1


def conclude(
    database: Database,
    outcome: Outcome,
    *,
    workflow_id: str = "65e5a449e8f135.21284909",
    decision: NewDecision | None = None,
    calls: bool = True,
    portal: str = "main",
    at: datetime = LATER,
) -> str:
    """Condemn a workflow, call, and conclude; return the decision's name."""
    name = record(database, decision or kill(workflow_id), portal=portal).decisions[0]

    def write(tx: Connection) -> None:
        if calls:
            journal.intend(tx, portal, name, at, {"row": "a secret fact"})
        journal.conclude(tx, name, outcome, at=at, receipt=True, detail="what the portal said")

    database.write(write)
    return name
