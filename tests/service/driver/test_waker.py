"""A delivery wakes the driver of its portal."""

import asyncio
from datetime import UTC, datetime

from responder.rules.ruleset import load
from responder.service.driver.agenda import Agenda
from responder.service.driver.driver import Driver
from responder.service.driver.waker import Waker
from responder.service.replicas.database_time import Clock
from responder.service.replicas.election import Leases
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


def sleepers(database: Database) -> dict[str, Sleeper]:
    leases = Leases(
        PORTALS,
        holder="nobody",
        database=database,
        commits=SharedCommit(database),
        ruleset=lambda: "one",
        clock=Clock(lambda: datetime.now(UTC)),
    )
    return {name: Sleeper(name, leases) for name in PORTALS}


def test_a_delivery_wakes_the_driver_of_its_portal_and_no_other(database: Database) -> None:
    async def play() -> None:
        drivers = sleepers(database)
        Waker(drivers, lambda: RULESET).stored({("main", "robot", None)})
        assert drivers["main"].woken.is_set()
        assert not drivers["other"].woken.is_set()

    asyncio.run(play())


def test_what_no_rule_names_wakes_nobody(database: Database) -> None:
    async def play() -> None:
        drivers = sleepers(database)
        waker = Waker(drivers, lambda: RULESET)
        waker.stored({("main", "event", "ONCRMLEADUPDATE"), ("main", "event", None)})
        assert not drivers["main"].woken.is_set()
        waker.stored({("main", "event", UPDATED.lower())})
        assert drivers["main"].woken.is_set()

    asyncio.run(play())
