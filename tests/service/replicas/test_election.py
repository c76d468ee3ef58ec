"""Portals spread over the replicas that are alive, and are handed on when one ends or dies."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from responder.service.replicas.database_time import Clock
from responder.service.replicas.election import Grant, Leases, Pace
from responder.store import leases
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from tests.support.schema import laid_at

T = TypeVar("T")

UNHURRIED = Pace(lease=3.0, renew=0.3, poll=0.1, others_first=0.2, settled=0.4, after_failure=0.2)
QUICK = Pace(lease=2.0, renew=0.2, poll=0.1, others_first=0.5, settled=0.4, after_failure=0.5)
PORTALS = [f"portal-{number}" for number in range(150)]


class Process:
    """One of several processes on a database: its leases, and drivers that do nothing."""

    def __init__(
        self, database: Database, name: str, portals: Sequence[str], rules: str, pace: Pace
    ) -> None:
        self.database = database
        self.database.open()
        self.commits = SharedCommit(self.database)
        self.leases = Leases(
            portals,
            holder=name,
            database=self.database,
            commits=self.commits,
            ruleset=lambda: rules,
            clock=Clock(lambda: datetime.now(UTC)),
            pace=pace,
        )
        self.leases.granted = self._granted
        self._portals = portals
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> "Process":
        self.commits.start()
        self._tasks.append(asyncio.create_task(self.leases.run()))
        return self

    def _granted(self, portal: str) -> None:
        grant = self.leases.of(portal)
        if grant is not None and grant.ending:
            self._tasks.append(asyncio.create_task(self._give_up(grant)))

    async def _give_up(self, grant: Grant) -> None:
        with suppress(StoreUnavailable):  # as a driver that ends: the lease is soon over
            await self.leases.give_up(grant)

    @property
    def driven(self) -> int:
        return sum(self.leases.of(portal) is not None for portal in self._portals)

    async def die(self) -> None:
        """End without a word: what is held stays held until it is over."""
        self.leases.close()
        await asyncio.gather(*self._tasks)
        await self.commits.close()
        self.database.close()

    async def end(self) -> None:
        """End in order."""
        self.leases.stop()
        await asyncio.sleep(0.05)
        for portal in self._portals:
            grant = self.leases.of(portal)
            if grant is not None:
                await self._give_up(grant)
        await self.die()


@asynccontextmanager
async def processes(
    url: str,
    names: str,
    portals: Sequence[str] = PORTALS,
    rules: str = "one",
    database: Database | None = None,
    pace: Pace = QUICK,
) -> AsyncIterator[list[Process]]:
    started = [
        Process(database or Database(url), name, portals, rules, pace).start() for name in names
    ]
    try:
        yield started
    finally:
        for process in started:
            await process.die()


async def until(look: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 -- what is looked at may be a table
            await asyncio.sleep(0.02)


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


def test_portals_spread_over_those_that_come_later_and_over_those_that_are_left(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A") as (first,):
            await until(lambda: first.driven == 150)
            async with processes(url, "BC") as (second, third):
                await until(lambda: [p.driven for p in (first, second, third)] == [50, 50, 50])
                await third.die()
                await until(lambda: (first.driven, second.driven) == (75, 75))
                await second.end()
                await until(lambda: first.driven == 150)

    asyncio.run(play())


def test_no_portal_has_two_drivers_whoever_starts_with_whom(url: str) -> None:
    async def play() -> None:
        async with processes(url, "ABC") as started:
            await until(lambda: sum(process.driven for process in started) == 150)
            held = Counter(
                portal for process in started for portal in PORTALS if process.leases.of(portal)
            )
            assert max(held.values()) == 1

    asyncio.run(play())


def test_a_portal_that_nobody_else_has_is_kept_after_one_try(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A", PORTALS[:4]) as (first,), processes(url, "B", []):
            await until(lambda: first.driven == 4)
            await asyncio.sleep(4 * (QUICK.settled + QUICK.others_first + QUICK.after_failure))
            await until(lambda: first.driven == 4)
            fences = first.database.read(
                lambda conn: conn.exec_driver_sql("SELECT max(fence) FROM leases").scalar_one()
            )
            assert fences <= 2

    asyncio.run(play())


def test_a_replica_with_other_rules_is_named(url: str) -> None:
    async def play() -> None:
        async with (
            processes(url, "A", PORTALS[:1], "one") as (first,),
            processes(url, "B", PORTALS[:1], "two") as (second,),
        ):
            await until(lambda: first.leases.other_rules() == ["B"])
            await until(lambda: second.leases.other_rules() == ["A"])

    asyncio.run(play())


@pytest.mark.store
def test_a_process_alone_on_its_file_says_that_it_is_alive(tmp_path: Path) -> None:
    async def play() -> None:
        file = laid_at(tmp_path / "responder.db")
        async with processes(file, "A", PORTALS[:1], "one observe") as (process,):
            await until(lambda: process.database.read(leases.living).alive == {"A": "one observe"})

    asyncio.run(play())


@pytest.mark.parametrize("mode", ["", " observe"])
def test_a_replica_of_an_older_version_has_the_same_rules_by_a_shorter_name(
    url: str, mode: str
) -> None:
    async def play() -> None:
        async with (
            processes(url, "A", PORTALS[:1], 64 * "a" + mode) as (new,),
            processes(url, "B", PORTALS[:1], 16 * "a" + mode) as (old,),
            processes(url, "C", PORTALS[:1], 64 * "a" + " approve") as (other,),
        ):
            await until(lambda: new.leases.other_rules() == ["C"])
            await until(lambda: old.leases.other_rules() == ["C"])
            await until(lambda: other.leases.other_rules() == ["A", "B"])

    asyncio.run(play())


def test_who_cannot_renew_stops_before_anybody_else_may_begin(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A", PORTALS[:1]) as (process,):
            await until(lambda: process.driven == 1)
            grant = process.leases.of(PORTALS[0])
            assert grant is not None
            with process.database.writer.begin() as other:  # its renewals wait for this lock
                other.exec_driver_sql("SELECT * FROM leases FOR UPDATE")
                await until(lambda: not process.leases.holds(grant))
                assert process.leases.of(PORTALS[0]) is None
            await until(lambda: process.driven == 1)

    asyncio.run(play())


def test_a_lease_that_was_taken_is_gone(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A", PORTALS[:1]) as (process,):
            await until(lambda: process.driven == 1)
            grant = process.leases.of(PORTALS[0])
            await process.commits.write(
                lambda tx: leases.claim(tx, PORTALS[0], "B", 60, force=True)
            )
            await until(lambda: process.driven == 0)
            assert grant is not None
            assert not process.leases.holds(grant)

    asyncio.run(play())


def test_a_fault_of_ours_ends_nothing(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A", PORTALS[:1]) as (process,):
            await until(lambda: process.driven == 1)
            process.database.write(
                lambda tx: tx.exec_driver_sql("ALTER TABLE replicas RENAME TO gone")
            )
            await until(lambda: process.driven == 0)
            process.database.write(
                lambda tx: tx.exec_driver_sql("ALTER TABLE gone RENAME TO replicas")
            )
            await until(lambda: process.driven == 1)

    asyncio.run(play())


class SlowToRead(Database):
    """A database in which what is read takes long or fails, and commits do not."""

    seconds = 0.0
    fails = False

    def read(self, fn: Callable[[Connection], T]) -> T:
        time.sleep(self.seconds)
        if self.fails:
            raise StoreUnavailable("too many clients")
        return super().read(fn)


def test_reads_that_fail_take_no_lease_from_who_is_alive(url: str) -> None:
    async def play() -> None:
        database = SlowToRead(url)
        async with processes(url, "A", database=database, pace=UNHURRIED) as (only,):
            await until(lambda: only.driven == 150)
            database.fails = True
            for _ in range(50):
                await asyncio.sleep(0.1)
                assert only.driven == 150

    asyncio.run(play())


def test_slow_reads_take_no_lease_from_who_is_alive(url: str) -> None:
    async def play() -> None:
        database = SlowToRead(url)
        async with processes(url, "A", database=database, pace=UNHURRIED) as (only,):
            await until(lambda: only.driven == 150)
            database.seconds = 2 * UNHURRIED.lease
            for _ in range(50):
                await asyncio.sleep(0.1)
                assert only.driven == 150

    asyncio.run(play())


def test_what_was_claimed_while_it_was_told_to_stop_is_given_up_at_once(url: str) -> None:
    async def play() -> None:
        async with processes(url, "A", ["one"]) as (first,):
            write = first.commits.write

            async def stopped_meanwhile(work: Callable[[Connection], T]) -> T:
                done = await write(work)
                if first.database.read(lambda conn: leases.driver(conn, "one")):
                    first.leases.stop()
                return done

            first.commits.write = stopped_meanwhile  # type: ignore[method-assign,assignment]
            await until(lambda: first.leases._leaving)
            await until(
                lambda: first.database.read(lambda conn: leases.driver(conn, "one")) is None
            )
            assert first.driven == 0

    asyncio.run(play())
