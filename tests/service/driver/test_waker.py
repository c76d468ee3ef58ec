"""A delivery wakes the driver of its portal, in this process or in another."""

import asyncio
from datetime import UTC, datetime

import pytest

from responder.rules.ruleset import load
from responder.service.driver.agenda import Agenda
from responder.service.driver.driver import Driver
from responder.service.driver.waker import Waker
from responder.service.replicas.database_time import Clock
from responder.service.replicas.election import Leases
from responder.store import leases as lease_rows
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease
from tests.support.processes import LOST_DEAL

PORTALS = ("main", "other")
UPDATED = "ONCRMDEALUPDATE"
RULESET = load(LOST_DEAL.encode(), file="rules.yaml")


class Sleeper(Driver):
    """A driver that only notes that it was woken."""

    def __init__(self, portal: str, leases: Leases) -> None:
        def agenda(_lease: Lease) -> Agenda:
            raise NotImplementedError

        super().__init__(portal, leases=leases, agenda=agenda, idle_seconds=lambda _portal: 10.0)
        self.woken = asyncio.Event()

    def wake(self) -> None:
        self.woken.set()


class Process:
    """What wakes and is woken in one process."""

    def __init__(self, database: Database, *, drives: str | None) -> None:
        self.leases = Leases(
            PORTALS,
            holder=drives or "nobody",
            database=database,
            commits=SharedCommit(database),
            ruleset=lambda: "one",
            clock=Clock(lambda: datetime.now(UTC)),
        )
        self.drivers = {name: Sleeper(name, self.leases) for name in PORTALS}
        if drives is not None:
            self.drivers[drives].lease = Lease(drives, 1, "somebody")
        self.waker = Waker(database, self.drivers, self.leases, lambda: RULESET)

    async def begin(self) -> None:
        """Listen; everybody is woken once, since nobody knows what was told before."""
        self.waker.start()
        await asyncio.wait_for(self.drivers["main"].woken.wait(), 10)
        await asyncio.sleep(0.05)
        for driver in self.drivers.values():
            driver.woken.clear()


@pytest.fixture
def migrated_url(emptied_postgres: str) -> str:
    return emptied_postgres


def test_a_delivery_wakes_its_driver_wherever_it_is_and_nobody_else(database: Database) -> None:
    async def play() -> None:
        one, two = Process(database, drives="main"), Process(database, drives="other")
        await one.begin()
        await two.begin()
        one.waker.stored({("main", "event", UPDATED), ("other", "robot", None)})
        await asyncio.wait_for(two.drivers["other"].woken.wait(), 10)
        assert one.drivers["main"].woken.is_set()
        assert not one.drivers["other"].woken.is_set()
        assert not two.drivers["main"].woken.is_set()
        await one.waker.stop()
        await two.waker.stop()

    asyncio.run(play())


def test_what_no_rule_names_wakes_nobody(database: Database) -> None:
    async def play() -> None:
        process = Process(database, drives="main")
        await process.begin()
        process.waker.stored({("main", "event", "ONCRMLEADUPDATE"), ("main", "event", None)})
        assert not process.drivers["main"].woken.is_set()
        process.waker.stored({("main", "event", UPDATED.lower())})
        assert process.drivers["main"].woken.is_set()
        await process.waker.stop()

    asyncio.run(play())


def test_a_lease_that_is_given_up_wakes_those_who_claim(database: Database) -> None:
    async def play() -> None:
        process = Process(database, drives=None)
        await process.begin()
        process.leases._wake.clear()
        lease = database.write(lambda tx: lease_rows.claim(tx, "main", "another", 60))
        assert lease is not None
        database.write(lambda tx: lease_rows.release(tx, lease))
        await asyncio.wait_for(process.leases._wake.wait(), 10)
        assert not process.drivers["main"].woken.is_set()
        await process.waker.stop()

    asyncio.run(play())
