"""Drives a sandbox portal round by round, in this process: over real sockets, on a real database.

The clock can be moved forward between two rounds; else it is the real one.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Kind, Sandbox, SandboxServer
from responder.journal.reading import decisions
from responder.judge.context import Context
from responder.judge.rules_in_force import RulesInForce
from responder.service.application.steps import ApplicationSteps
from responder.service.driver.agenda import Agenda
from responder.service.driver.assembly import Assembly
from responder.stop.gate import Gate
from responder.store import leases
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from tests.support.next_due import next_due

T = TypeVar("T")
D = TypeVar("D", bound="Driving")

PORTAL = "main"
DEAL = ("crm", "CCrmDocumentDeal")
KILL, INSTANCES = "bizproc.workflow.kill", "bizproc.workflow.instances"
RULES = """\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
    limit: {per_hour: 100000, per_document: 100}
"""
A_SECOND = timedelta(seconds=1)


@dataclass
class Driving:
    """One driver of one portal."""

    server: SandboxServer
    database: Database
    rules_path: Path
    offset: timedelta = timedelta(0)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sandbox: Sandbox = self.server.sandbox
        self.metrics = Metrics()
        self.rules = RulesInForce(self.rules_path, portals=[PORTAL], now=self.now)
        self.commits = SharedCommit(self.database)
        self.portal = Portal(PORTAL, self.server.url)
        self.client = self._client()
        self.templates = Templates()
        self.sweep_every = timedelta(0)
        self.agenda: Agenda | None = None
        self.leased = True
        self.steps: Callable[[Context, Gate], ApplicationSteps | None] | None = None
        self.gate = Gate
        self.asks = False  # the crucial questions, as `serve` does

    def _client(self) -> Client:
        host = self.server.address.partition("//")[2]
        return Client(
            self.portal, rate=1e4, burst=5000, metrics=self.metrics, now=self.now, host=host
        )

    def now(self) -> datetime:
        """Tell our time."""
        return datetime.now(UTC) + self.offset

    def later(self, **by: float) -> None:
        """Let time pass for us."""
        self.offset += timedelta(**by)

    async def drive(self) -> None:
        """Take the lease and begin."""
        if self.agenda is None:
            self.commits.start()
        context = Context(
            client=self.client,
            database=self.database,
            rules=self.rules,
            templates=self.templates,
            enforcing=True,
            metrics=self.metrics,
            now=self.now,
        )
        lease = self.take_lease("this one")
        assembly = Assembly(sweep_every=self.sweep_every, asks=self.asks, gate=self.gate)
        self.agenda = assembly.build(
            context,
            lease,
            self.commits,
            has_time=lambda _: self.leased,
            application=self.steps,
        )
        await self.agenda.load()

    def take_lease(self, holder: str) -> leases.Lease:
        """Take the portal's lease from whoever has it."""
        lease = self.database.write(lambda tx: leases.claim(tx, PORTAL, holder, 1e6, force=True))
        assert lease is not None
        return lease

    async def round(self) -> bool:
        """Do one round."""
        assert self.agenda is not None
        return await self.agenda.step()

    async def until_idle(self, most: int = 400) -> int:
        """Do rounds until nothing is due, and return how many."""
        for count in range(most):
            if not await self.round():
                return count
        raise AssertionError("it does not come to rest")

    async def come_to_rest(self) -> None:
        """Let time pass as it is needed until nothing waits."""
        for _ in range(60):
            await self.until_idle()
            due = self.database.read(lambda conn: next_due(conn, PORTAL))
            if due is None and not self.waiting:
                return
            ahead = A_SECOND if due is None else max(A_SECOND, due - self.now())
            self.offset += ahead + timedelta(seconds=0.1)
        raise AssertionError("it does not come to rest")

    def lost_deals(self, numbers: Sequence[int], workflows: int = 1) -> None:
        """Let deals be lost, with workflows that are condemned."""
        for number in numbers:
            self.sandbox.add_item(2, number, stageSemanticId="F")
            for place in range(workflows):
                of = f"65e5a449e8f135.{number:06d}{place:02d}"
                self.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61, id=of)

    def deliver(self, numbers: Sequence[int], name: str = "ONCRMDEALUPDATE") -> None:
        """Receive an event of each deal."""
        rows = [
            inbox.row(PORTAL, self.now(), "event", name, f"deal:{number}", None, b"form")
            for number in numbers
        ]
        self.database.write(lambda tx: inbox.add(tx, rows))

    @property
    def waiting(self) -> int:
        """Count the deliveries that nothing has concluded."""
        return sum(count for count, _ in self.database.read(inbox.depth).values())

    def outcomes(self) -> Counter[object]:
        """Count the decisions by their outcomes."""
        return Counter(one["outcome"] for one in decisions.decisions(self.database))

    def decisions(self) -> list[dict[str, object]]:
        """Read the log."""
        return [dict(one) for one in decisions.decisions(self.database)]

    def batches_of(self, method: str) -> list[int]:
        """Return how many commands of a method each HTTP request had, in order."""
        counted: dict[object, int] = {}
        for place, call in enumerate(self.sandbox.calls_of(method)):
            key = ("alone", place) if call.batch is None else call.batch
            counted[key] = counted.get(key, 0) + 1
        return list(counted.values())

    def killed_once(self) -> bool:
        """Say whether no workflow was killed, or asked for, twice."""
        asked = Counter(str(call.params["ID"]) for call in self.sandbox.calls_of(KILL))
        return max(asked.values(), default=0) <= 1

    async def close(self) -> None:
        """Let go of everything."""
        await self.commits.close()
        await self.portal.close()


@contextmanager
def driving(
    database: Database, place: Path, rules: str = RULES, kind: Kind = "cloud"
) -> Iterator[Driving]:
    """Serve a portal, and give a driver for it."""
    path = place / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    sandbox = Sandbox(kind=kind)
    sandbox.add_template(61, "Approval")
    with SandboxServer(sandbox) as server:
        yield Driving(server, database, path)


def play(driven: D, story: Callable[[D], Coroutine[object, object, T]]) -> T:
    """Play a story with a driver, and let it end."""

    async def all_of_it() -> T:
        await driven.drive()
        try:
            return await story(driven)
        finally:
            await driven.close()

    return asyncio.run(all_of_it())
