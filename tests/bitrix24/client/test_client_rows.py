"""No driver exceeds the portal's bucket, whoever was killed before it, whatever its clock says."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Command
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store import client_state
from responder.store.database.database import Database
from tests.support.sqlite_first import migrated_url as migrated_url

RATE, BURST = 100.0, 20
LIVES = 8
SCOPE = Command("scope", {})


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(limits=True, rate=RATE, burst=BURST)) as server:
        yield server


def client_of(database: Database, server: SandboxServer, ahead: timedelta) -> Client:
    """Make a client as a driver has it that took over, on a machine whose clock is ahead."""
    client = Client(
        Portal("main", server.url),
        rate=RATE,
        burst=BURST,
        metrics=Metrics(),
        now=lambda: datetime.now(UTC) + ahead,
    )

    async def keep() -> None:
        handover = client.handover()

        def write(tx: Connection) -> None:
            client_state.save_bucket(tx, "main", handover.level)

        database.write(write)
        client.saved(handover)

    client.keep = keep
    client.resume(database.read(lambda conn: client_state.bucket(conn, "main")), [])
    return client


def test_drivers_that_are_killed_leave_no_call_uncounted(
    database: Database, server: SandboxServer
) -> None:
    chance = random.Random(7)  # noqa: S311

    async def live() -> None:
        for _ in range(LIVES):
            ahead = timedelta(seconds=chance.choice([-30, 0, 30]))
            client = client_of(database, server, ahead)
            for _ in range(chance.randrange(5, 30)):
                (answer,) = await client.send([SCOPE])
                assert answer.failure is None
            await client.portal.close()  # and not a word more: its process was killed

    asyncio.run(live())
    assert server.sandbox.limited == 0


def test_a_long_storm_of_batches_is_never_refused(
    database: Database, server: SandboxServer
) -> None:
    async def storm() -> int:
        client = client_of(database, server, timedelta(0))
        answers = await client.send([SCOPE] * 50 * 60)
        await client.portal.close()
        return sum(answer.failure is None for answer in answers)

    assert asyncio.run(storm()) == 50 * 60
    assert server.sandbox.limited == 0
    assert server.sandbox.http_requests <= 62


def test_with_a_bucket_that_others_filled_the_lane_waits_and_goes_on(
    database: Database, server: SandboxServer
) -> None:
    async def beside_others() -> list[str]:
        client = client_of(database, server, timedelta(0))
        client.rate = server.sandbox.rate = 2
        await client.send([SCOPE])  # what it commits counts the next one too
        others = Portal("main", server.url)
        while (await others.call(SCOPE)).failure is None:
            pass
        codes = []
        for _ in range(3):
            (answer,) = await client.send([SCOPE])
            codes.append(answer.failure.code if answer.failure else "ok")
        await client.portal.close()
        await others.close()
        return codes

    assert asyncio.run(beside_others()) == ["QUERY_LIMIT_EXCEEDED", "ok", "ok"]
