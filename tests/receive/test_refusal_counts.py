"""Counting what is refused: one write for many, and none is lost while the store is away."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from responder.receive.refusal_counts import RefusalCounts
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import refusals
from tests.support.evaluations import AT

T = TypeVar("T")


def test_what_could_not_be_written_is_written_the_next_time(database: Database) -> None:
    writes: list[bool] = []

    async def write(fn: Callable[[Connection], T]) -> T:
        writes.append(len(writes) > 0)
        if not writes[-1]:
            raise StoreUnavailable("away")
        return database.write(fn)

    async def play() -> None:
        refusing = RefusalCounts(write, lambda: AT)
        await refusing.write()
        for _ in range(3):
            refusing.count("main", "not readable")
        await refusing.write()
        refusing.count(None, "not readable")
        refusing.count("main", "not readable")
        await refusing.write()
        await refusing.write()

    asyncio.run(play())
    assert writes == [False, True]
    found = database.read(lambda conn: refusals.lately(conn, AT + timedelta(minutes=1)))
    assert {name: [one.count for one in some] for name, some in found.items()} == {
        "": [1],
        "main": [4],
    }


def test_a_fault_of_ours_in_counting_ends_nothing(database: Database) -> None:
    async def write(fn: Callable[[Connection], T]) -> T:
        raise ValueError(f"a fault of ours: {fn}")

    async def play() -> None:
        refusing = RefusalCounts(write, lambda: AT)
        refusing.count("main", "not readable")
        await refusing.write()

    asyncio.run(play())
    assert database.read(lambda conn: refusals.lately(conn, AT)) == {}
