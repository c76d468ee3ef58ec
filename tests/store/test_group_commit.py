"""The shared commit: durable, shared, and harmed by nobody in it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from responder.store import group_commit
from responder.store.commit_batch import Arrival, Job
from responder.store.database import engines
from responder.store.database.database import Database
from responder.store.database.engines import StoreUnavailable
from responder.store.database.tables import chains as chain_heads
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from tests.conftest import Postgres

AT = datetime(2026, 9, 24, 12, tzinfo=UTC)


def delivery(number: int = 1, portal: str = "main") -> inbox.Row:
    return inbox.row(
        portal, AT, "event", "ONCRMDEALUPDATE", f"deal:{number}", None, f"n={number}".encode()
    )


def stored(database: Database) -> list[str]:
    return [each.form.decode() for each in inbox.received(database)]


def committing(database: Database, body: Callable[[SharedCommit], Awaitable[object]]) -> int:
    """Run `body` with a shared commit; return how many commits there were."""

    async def run() -> int:
        commit = SharedCommit(database)
        commit.start()
        try:
            await body(commit)
        finally:
            await commit.close()
        return commit.commits

    return asyncio.run(run())


async def add(commit: SharedCommit, row: inbox.Row) -> None:
    """Add as a task does, so that a gather puts everything into one batch."""
    await commit.add(row)


def put(portal: str) -> Callable[[Connection], str]:
    def write(tx: Connection) -> str:
        tx.execute(insert(chain_heads).values(portal=portal, seq=1, hash="x"))
        return portal

    return write


def chains(database: Database) -> list[str]:
    found = database.read(
        lambda c: c.exec_driver_sql("SELECT portal FROM chains ORDER BY portal").scalars().all()
    )
    return list(found)


def test_a_delivery_is_there_when_its_future_is_done(database: Database) -> None:
    async def body(commit: SharedCommit) -> None:
        await commit.add(delivery(7))
        assert stored(database) == ["n=7"]

    committing(database, body)


def test_a_thousand_deliveries_share_a_few_commits(database: Database) -> None:
    async def one(commit: SharedCommit, number: int) -> None:
        await asyncio.sleep(number % 10 / 1000)
        await commit.add(delivery(number))

    async def body(commit: SharedCommit) -> None:
        await asyncio.gather(*(one(commit, number) for number in range(1000)))

    assert committing(database, body) < 100
    assert len(stored(database)) == 1000


def test_one_that_raises_harms_no_other(database: Database) -> None:
    def fail(tx: Connection) -> None:
        put("failing")(tx)
        raise LookupError("mine alone")

    def violate(tx: Connection) -> None:
        put("violating")(tx)
        tx.exec_driver_sql("INSERT INTO chains VALUES (NULL, 1, 'x')")

    results: list[object] = []

    async def body(commit: SharedCommit) -> None:
        results.extend(
            await asyncio.gather(
                commit.write(put("before")),
                commit.write(fail),
                commit.write(violate),
                add(commit, delivery(1)),
                commit.write(put("after")),
                return_exceptions=True,
            )
        )

    assert committing(database, body) == 1
    before, failed, violated, added, after = results
    assert (before, added, after) == ("before", None, "after")
    assert isinstance(failed, LookupError)
    assert isinstance(violated, Exception)
    assert not isinstance(violated, StoreUnavailable)
    assert chains(database) == ["after", "before"]
    assert stored(database) == ["n=1"]


def test_one_that_leaves_its_transaction_broken_harms_no_other(database: Database) -> None:
    def swallow(tx: Connection) -> None:
        put("swallowing")(tx)
        with contextlib.suppress(SQLAlchemyError):  # this is the mistake
            tx.exec_driver_sql("SELECT * FROM nowhere")

    async def body(commit: SharedCommit) -> None:
        await asyncio.gather(
            commit.write(swallow), commit.write(put("after")), return_exceptions=True
        )

    assert committing(database, body) == 1
    assert "after" in chains(database)


def test_a_cancelled_request_does_not_take_its_neighbours_with_it(database: Database) -> None:
    async def wait(commit: SharedCommit, number: int) -> None:
        await commit.add(delivery(number))

    async def body(commit: SharedCommit) -> None:
        first = asyncio.create_task(wait(commit, 1))
        second = asyncio.create_task(wait(commit, 2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first

    committing(database, body)
    assert stored(database) == ["n=1", "n=2"]


def test_a_write_cancelled_before_its_turn_is_not_done(database: Database) -> None:
    async def body(commit: SharedCommit) -> None:
        task = asyncio.create_task(commit.write(put("cancelled")))
        await asyncio.sleep(0)
        task.cancel()
        await commit.write(put("other"))

    committing(database, body)
    assert chains(database) == ["other"]


def test_closing_commits_what_has_gathered_and_refuses_the_rest(database: Database) -> None:
    async def run() -> None:
        commit = SharedCommit(database)
        with pytest.raises(StoreUnavailable):
            commit.add(delivery(0))
        commit.start()
        future = commit.add(delivery(1))
        await commit.close()
        assert future.done()
        with pytest.raises(StoreUnavailable):
            commit.add(delivery(2))
        with pytest.raises(StoreUnavailable):
            await commit.write(put("late"))
        await commit.close()

    asyncio.run(run())
    assert stored(database) == ["n=1"]


def test_whoever_takes_the_deliveries_is_woken_after_the_commit(database: Database) -> None:
    woken: list[tuple[set[Arrival], list[str]]] = []

    async def body(commit: SharedCommit) -> None:
        commit.on_commit = lambda arrivals: woken.append((arrivals, stored(database)))
        await commit.add(delivery(1, "other"))
        await commit.write(put("no delivery"))

    committing(database, body)
    ((arrivals, durable),) = woken
    assert {portal for portal, _, _ in arrivals} == {"other"}
    assert durable == ["n=1"]


def test_more_than_memory_should_hold_is_refused_at_once(
    database: Database,
) -> None:
    big = inbox.row("main", AT, "event", "E", None, None, b"x" * 65536)

    async def body(commit: SharedCommit) -> None:
        for _ in range(group_commit.MOST_BYTES // 65536):
            commit.add(big)
        with pytest.raises(StoreUnavailable, match="too many"):
            commit.add(big)

    if database.dialect == "sqlite":  # the same code, and half the disk
        committing(database, body)


def test_a_full_disk_refuses_everybody_and_is_survived(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()

    def fill(tx: Connection) -> None:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one()

    def write_much(tx: Connection) -> None:
        tx.exec_driver_sql("INSERT INTO chains VALUES ('much', 1, hex(zeroblob(100000)))")

    async def body(commit: SharedCommit) -> None:
        await commit.write(fill)
        results = await asyncio.gather(
            add(commit, inbox.row("main", AT, "event", "E", None, None, b"x" * 60_000)),
            commit.write(put("in the same batch")),
            commit.write(write_much),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [StoreUnavailable] * 3
        await commit.add(delivery(2))  # a new connection, and the disk has space again
        await commit.write(fill)
        with pytest.raises(StoreUnavailable):
            await commit.write(write_much)
        await commit.write(put("after"))

    committing(database, body)
    assert stored(database) == ["n=2"]
    assert chains(database) == ["after"]
    database.close()


def test_a_dead_connection_loses_no_delivery_and_no_write(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()

    def kill_all(conn: Connection) -> None:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async def body(commit: SharedCommit) -> None:
        await commit.add(delivery(1))
        await database.reading(kill_all)
        await asyncio.gather(add(commit, delivery(2)), commit.write(put("written")))
        await database.reading(kill_all)
        await commit.write(put("alone"))

    committing(database, body)
    assert stored(database) == ["n=1", "n=2"]
    assert chains(database) == ["alone", "written"]
    database.close()


@pytest.mark.service
def test_a_server_that_is_restarted_is_found_again(postgres: Postgres, postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()

    async def body(commit: SharedCommit) -> None:
        await commit.add(delivery(1))
        await asyncio.to_thread(postgres.pause)
        results = await asyncio.gather(
            add(commit, delivery(2)), commit.write(put("lost")), return_exceptions=True
        )
        await asyncio.to_thread(postgres.resume)
        assert [type(result) for result in results] == [StoreUnavailable] * 2
        await asyncio.gather(add(commit, delivery(3)), commit.write(put("kept")))
        assert await database.reading(inbox.depth) == {"main": (2, AT)}

    committing(database, body)
    assert stored(database) == ["n=1", "n=3"]
    assert chains(database) == ["kept"]
    database.close()


def test_a_connection_that_dies_in_a_write_loses_no_delivery(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()

    def die(tx: Connection) -> None:
        put("dying")(tx)
        tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    async def body(commit: SharedCommit) -> None:
        results = await asyncio.gather(
            commit.write(put("before")),
            commit.write(die),
            commit.write(put("after")),
            add(commit, delivery(1)),
            return_exceptions=True,
        )
        assert [type(result) for result in results[:3]] == [StoreUnavailable] * 3
        assert results[3] is None
        await commit.write(put("later"))

    committing(database, body)
    assert stored(database) == ["n=1"]
    assert chains(database) == ["later"]
    database.close()


ADDING = """
import asyncio, sys
from responder.store.group_commit import SharedCommit
from responder.store.database.database import Database
from tests.store.test_group_commit import delivery

async def add(commit, start):
    for number in range(start, 1_000_000, 16):
        await commit.add(delivery(number))
        print(f"n={number}", flush=True)

async def main():
    database = Database(sys.argv[1])
    database.open()
    commit = SharedCommit(database)
    commit.start()
    await asyncio.gather(*(add(commit, start) for start in range(16)))

asyncio.run(main())
"""


@pytest.mark.service
def test_everything_acknowledged_survives_a_kill(migrated_url: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", ADDING, migrated_url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    acknowledged = [child.stdout.readline().strip() for _ in range(500)]
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split("\n")
    acknowledged += rest[:-1]  # the last line may have been cut
    child.wait()
    child.stdout.close()
    database = Database(migrated_url)
    database.open()
    there = stored(database)
    database.close()
    assert set(acknowledged) <= set(there)
    assert len(there) == len(set(there))


def test_a_loop_that_is_gone_ends_the_writer(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()

    async def run() -> SharedCommit:
        commit = SharedCommit(database)
        commit.start()
        commit.add(delivery(1))
        await asyncio.sleep(0)
        return commit

    commit = asyncio.run(run())
    writer: Coroutine[None, None, None] = commit.close()
    writer.close()
    database.close()


def test_a_commit_that_hangs_is_answered_and_what_came_behind_it_is_never_written(
    database: Database,
) -> None:
    ends = threading.Event()

    def hang(tx: Connection) -> None:
        put("hangs")(tx)
        ends.wait(30)

    async def run() -> None:
        commit = SharedCommit(database, longest_seconds=1.5)
        commit.start()
        await commit.add(delivery(1))
        hangs = [asyncio.ensure_future(commit.write(hang)), commit.add(delivery(2))]
        await asyncio.sleep(0.1)
        behind = [asyncio.ensure_future(commit.write(put("behind"))), commit.add(delivery(3))]
        told = await asyncio.gather(*hangs, *behind, return_exceptions=True)
        assert [type(one) for one in told] == [StoreUnavailable] * 4
        with pytest.raises(StoreUnavailable, match="does not answer"):
            commit.add(delivery(4))
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await commit.write(put("later"))
        ends.set()
        await asyncio.sleep(0.3)
        await commit.add(delivery(5))
        await commit.close()

    asyncio.run(run())
    assert stored(database) == ["n=1", "n=2", "n=5"]  # nobody knew whether 2 would be
    assert chains(database) == ["hangs"]


def test_a_file_that_another_process_writes_into_for_long_is_waited_for(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()

    async def body(commit: SharedCommit) -> None:
        with database.writer.begin():
            told = commit.add(delivery(1))
            await asyncio.sleep(engines.BUSY_MILLISECONDS / 1000 + 0.5)
            assert not told.done()
        await told

    committing(database, body)
    assert stored(database) == ["n=1"]
    database.close()


def test_deliveries_wait_for_one_locked_row_and_not_for_each_that_is(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()

    def lock(tx: Connection) -> None:
        tx.exec_driver_sql("SELECT 1 FROM chains WHERE portal = 'locked' FOR UPDATE").one()

    async def body(commit: SharedCommit) -> None:
        await commit.write(put("locked"))
        with database.writer.begin() as other:
            other.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            lock(other)
            before = asyncio.ensure_future(commit.write(put("before")))
            waits = [asyncio.ensure_future(commit.write(lock)) for _ in range(3)]
            began = time.monotonic()
            await commit.add(delivery(1))
            assert time.monotonic() - began < 1.8 * engines.BUSY_MILLISECONDS / 1000
            await before
            told = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(one) for one in told] == [StoreUnavailable] * 3
        await commit.write(lock)

    committing(database, body)
    assert stored(database) == ["n=1"]
    assert chains(database) == ["before", "locked"]
    database.close()


@pytest.mark.parametrize("still_seconds", [1.05, 1.3, 2.5])
def test_a_process_that_was_stopped_gives_its_commit_up_no_sooner(
    sqlite_url: str, still_seconds: float
) -> None:
    database = Database(sqlite_url)
    database.open()
    ends = threading.Event()

    async def body(commit: SharedCommit) -> None:
        commit._longest_seconds = 1.0
        written = asyncio.ensure_future(commit.write(lambda _tx: ends.wait(30)))
        await asyncio.sleep(0.05)
        time.sleep(still_seconds)  # noqa: ASYNC251 -- as if the whole process stood still
        asyncio.get_running_loop().call_later(0.2, ends.set)
        await written

    committing(database, body)
    database.close()


def test_those_who_are_told_come_into_the_next_commit(database: Database) -> None:
    async def body(commit: SharedCommit) -> None:
        async def one_after_the_other() -> None:
            for number in range(3):
                await commit.write(put(f"{number}"))

        await asyncio.gather(one_after_the_other(), one_after_the_other_rows(commit))

    async def one_after_the_other_rows(commit: SharedCommit) -> None:
        for number in range(3):
            await commit.add(delivery(number))

    assert committing(database, body) == 3


def test_closing_waits_for_no_commit_that_hangs(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()
    ends = threading.Event()

    async def run() -> None:
        commit = SharedCommit(database, longest_seconds=0.2)
        commit.start()
        with pytest.raises(StoreUnavailable):
            await commit.write(lambda _tx: ends.wait(30))
        await commit.close()
        assert not ends.is_set()
        ends.set()

    asyncio.run(run())
    database.close()


def test_a_connection_that_dies_at_commit_has_stored_nothing_and_nobody_is_told_so(
    postgres_url: str,
) -> None:
    database = Database(postgres_url)
    database.open()
    armed = False

    def die(connection: Connection) -> None:
        nonlocal armed
        if armed:
            armed = False
            (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
            database.read(lambda conn: conn.exec_driver_sql(f"SELECT pg_terminate_backend({pid})"))

    listen(database.writer, "commit", die)

    async def body(commit: SharedCommit) -> None:
        nonlocal armed
        await commit.add(delivery(1))
        armed = True
        told = await asyncio.gather(
            add(commit, delivery(2)), commit.write(put("a")), return_exceptions=True
        )
        assert [type(one) for one in told] == [StoreUnavailable] * 2
        await commit.add(delivery(3))

    committing(database, body)
    assert stored(database) == ["n=1", "n=3"]
    assert chains(database) == []
    database.close()


class AnswerIsLost(group_commit._Writer):
    """What commits, and then has lost the connection."""

    def _transact(self, rows: Sequence[inbox.Row], jobs: Sequence[Job[object]]) -> None:
        super()._transact(rows, jobs)
        assert self._connection is not None
        self._connection.invalidate()
        lost = Exception("server closed the connection")
        raise OperationalError("COMMIT", None, lost, connection_invalidated=True)


def test_what_was_committed_without_an_answer_is_not_written_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_Writer", AnswerIsLost)

    async def body(commit: SharedCommit) -> None:
        with pytest.raises(StoreUnavailable):
            await commit.add(delivery(1))

    committing(database, body)
    assert stored(database) == ["n=1"]
