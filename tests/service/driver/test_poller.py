"""What another process stored for our portals is found by looking."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from responder.rules.ruleset import load
from responder.service.driver.poller import Poller
from responder.store import leases
from responder.store.database.database import Database
from tests.support.evaluations import AT, deliver
from tests.support.processes import LOST_DEAL

RULESET = load(LOST_DEAL.encode(), file="rules.yaml")


def poll(database: Database, woken: asyncio.Queue[str], *, driven: set[str]) -> Poller:
    return Poller(
        database=database,
        wake=woken.put_nowait,
        driven=lambda: driven,
        ruleset=lambda: RULESET,
        sweep_every=timedelta(0),
        now=lambda: AT + timedelta(hours=1),
    )


@pytest.fixture
def stored_elsewhere(migrated_url: str, database: Database) -> Database:
    """Store a delivery for each of two portals by another connection than ours."""
    other = Database(migrated_url)
    other.open()
    for portal in ("main", "other"):
        other.write(partial(leases.claim, portal=portal, holder="somebody", ttl_seconds=60))
        other.write(deliver("deal:759", portal=portal))
    other.close()
    return database


def test_the_driver_of_a_portal_is_woken_for_what_another_process_stored(
    stored_elsewhere: Database,
) -> None:
    async def play() -> None:
        woken = asyncio.Queue[str]()
        looking = asyncio.create_task(poll(stored_elsewhere, woken, driven={"main"}).run())
        assert await asyncio.wait_for(woken.get(), 10) == "main"
        assert await asyncio.wait_for(woken.get(), 10) == "main"  # again, while it waits
        looking.cancel()

    asyncio.run(play())


def test_nobody_is_woken_for_a_portal_that_another_drives(stored_elsewhere: Database) -> None:
    async def play() -> None:
        woken = asyncio.Queue[str]()
        looking = asyncio.create_task(poll(stored_elsewhere, woken, driven={"third"}).run())
        await asyncio.sleep(1.2)
        looking.cancel()
        assert woken.empty()

    asyncio.run(play())
