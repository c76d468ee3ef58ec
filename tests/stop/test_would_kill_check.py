"""What a rule would have stopped is looked for on the portal, when there is room for it."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal import would_kills
from responder.journal.would_kills import LOOKS
from responder.judge.context import Context
from responder.judge.rules_in_force import RulesInForce
from responder.model import Outcome
from responder.stop.gate import Gate
from responder.stop.would_kill_check import LOOK_EVERY, WouldKillCheck
from responder.store import leases
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from tests.support.evaluations import AT, DEAL, kill, record
from tests.support.processes import LOST_DEAL

GONE, THERE = "w-gone", "w-there"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    sandbox.start_workflow(DEAL.triple, 61, id=THERE)
    with SandboxServer(sandbox) as server:
        yield server


class Steps:
    """The watching of one portal, a step at an instant."""

    def __init__(self, database: Database, server: SandboxServer, place: Path) -> None:
        self.database = database
        self.now = AT
        self._server = server
        self._rules = place / "rules.yaml"
        self._rules.write_text(LOST_DEAL)

    def run(self, *instants: datetime, burst: int = 50) -> list[bool]:
        """Take a step at each instant, as one driver."""
        return asyncio.run(self._run(instants, burst))

    async def _run(self, instants: tuple[datetime, ...], burst: int) -> list[bool]:
        commits, portal = SharedCommit(self.database), Portal("main", self._server.url)
        commits.start()
        try:
            lease = await commits.write(lambda tx: leases.claim(tx, "main", "test", 60, force=True))
            assert lease is not None
            context = self._context(portal, burst)
            check = WouldKillCheck(context, Gate(context, lease, commits, has_time=lambda _: True))
            done = []
            for self.now in instants:
                done.append(await check.step())
            return done
        finally:
            await commits.close()
            await portal.close()

    def _context(self, portal: Portal, burst: int) -> Context:
        def now() -> datetime:
            return self.now

        rules, metrics = RulesInForce(self._rules, portals=["main"], now=now), Metrics()
        return Context(
            client=Client(portal, rate=2, burst=burst, metrics=metrics, now=now),
            database=self.database,
            rules=rules,
            templates=Templates(),
            enforcing=False,
            metrics=metrics,
            now=now,
        )


def test_it_looks_with_one_request_and_writes_what_it_saw(
    database: Database, server: SandboxServer, tmp_path: Path
) -> None:
    record(database, *(kill(name, Outcome.WOULD_KILL) for name in (GONE, THERE)))
    steps = Steps(database, server, tmp_path)
    soon, later = AT + timedelta(minutes=5), AT + LOOKS[0]
    assert steps.run(soon, soon + timedelta(seconds=1), later, later) == [False, False, True, False]
    assert server.sandbox.http_requests == 1
    figures = database.read(would_kills.figures)["lost-deal"]
    assert (figures.ended, figures.rest) == (1, 1)
    assert steps.run(AT + LOOKS[-1]) == [True]
    figures = database.read(would_kills.figures)["lost-deal"]
    assert figures.sentence().endswith("1 of 2 that can be told ended by themselves within a day")


def test_it_waits_until_the_bucket_has_room_and_looks_seldom(
    database: Database, server: SandboxServer, tmp_path: Path
) -> None:
    record(database, kill(GONE, Outcome.WOULD_KILL))
    steps = Steps(database, server, tmp_path)
    due = AT + LOOKS[0]
    before = due - timedelta(seconds=1)
    assert steps.run(before, due, before + LOOK_EVERY) == [False, False, True]
    assert steps.run(AT + LOOKS[-1], burst=0) == [False]
