"""Commits everything that gathered while the last commit ran in one transaction, from one thread.

A durable commit costs a disk sync, whether it holds one row or a thousand. So everything to be
written gathers in a batch (`commit_batch`: deliveries and jobs); one thread writes a batch in one
transaction, and what comes meanwhile gathers in the next. There is no timer: a lone delivery is
committed at once, and under load the batches grow by themselves.

When the transaction fails as a whole, nothing of the batch was written, and everyone in it gets
`StoreUnavailable`. One exception: where the connection turns out to be dead before COMMIT was sent
(PostgreSQL was restarted), nothing can have been written, so the deliveries are written once more
on a new connection. A sender that gets a 503 never sends its event again.

A job may wait for a row that another process has locked, and the deliveries of its batch wait with
it. After the first job that ran into the lock timeout, the rest of the jobs are refused without
being run, and the batch is committed. Where nothing was written yet (another process writes into
the SQLite file for longer than the timeout, or a migration builds an index over the deliveries on
PostgreSQL), the batch is begun again, for as long as its callers have time.

A database may also not answer at all (a synchronous standby is lost, a pooler holds every
connection). Whoever has waited ten seconds gets StoreUnavailable, whatever becomes of that commit,
and nothing more is accepted until it ends. A batch that was given up before it reached the writer
is never written.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from queue import SimpleQueue
from typing import Protocol, TypeVar, cast

from sqlalchemy import Connection

from responder.store.commit_batch import Arrival, Batch, Job, SharedFuture
from responder.store.database.database import Database, unavailable, waited_in_vain
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox

T = TypeVar("T")

MOST_ROWS = 20_000
LONGEST_SECONDS = 10.0  # a database that waits for a lock says no after five
CLOSING_SECONDS = 6.0
MOST_BYTES = 64 * 1024 * 1024
TICKS = 10  # in which a batch's deadline is counted
NO_ANSWER = "the database does not answer"
LOCKED = "another process has locked rows that this commit was to write"


class Commit(Protocol):
    """A function that runs another in the shared commit: `SharedCommit.write`, or alike."""

    def __call__(self, fn: Callable[[Connection], T], /) -> Awaitable[T]:
        """Return what `fn` returns, once what it wrote is durable."""


class _Stage(Enum):
    """The stages of a transaction, in order."""

    BEGIN = auto()
    ROWS = auto()
    JOBS = auto()
    COMMIT = auto()


class _Writer:
    """The one connection that writes, used by the one writer thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._stage = _Stage.ROWS
        self._was_dead = False

    def commit(self, batch: Batch) -> None:
        """Write the batch; record in it what failed, and raise nothing."""
        error = self._attempt(batch.rows, batch.jobs)
        while self._may_begin_again(batch) and waited_in_vain(error):
            error = self._attempt(batch.rows, batch.jobs)
        if error is None:
            return
        failure = unavailable(error)
        if self._stage is _Stage.COMMIT or not self._was_dead:
            batch.rows_failure = batch.jobs_failure = failure
        elif self._stage in (_Stage.BEGIN, _Stage.ROWS):
            again = self._attempt(batch.rows, batch.jobs)
            batch.rows_failure = batch.jobs_failure = unavailable(again) if again else None
        else:
            batch.jobs_failure = failure
            again = self._attempt(batch.rows, ()) if batch.rows else None
            batch.rows_failure = unavailable(again) if again else None

    def _may_begin_again(self, batch: Batch) -> bool:
        """Return whether nothing was written yet and somebody still waits for the batch."""
        is_early = self._stage in (_Stage.BEGIN, _Stage.ROWS)
        return is_early and time.monotonic() < batch.ends_at

    def close(self) -> None:
        """Return the connection to its pool."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, rows: Sequence[inbox.Row], jobs: Sequence[Job[object]]) -> Exception | None:
        try:
            self._transact(rows, jobs)
        except Exception as error:  # noqa: BLE001 -- everybody in the batch gets it
            self._drop()
            return error
        return None

    def _transact(self, rows: Sequence[inbox.Row], jobs: Sequence[Job[object]]) -> None:
        self._stage = _Stage.BEGIN
        if self._connection is None:
            self._connection = self._database.writer.connect()
        transaction = self._connection.begin()
        self._stage = _Stage.ROWS
        if rows:
            inbox.add(self._connection, rows)
        else:
            self._connection.exec_driver_sql("SELECT 1")  # a dead connection fails here
        self._stage = _Stage.JOBS
        self._run(jobs, self._connection)
        self._stage = _Stage.COMMIT
        transaction.commit()
        self._database.must_be_in_place()  # else it was written to a deleted or moved file

    def _run(self, jobs: Sequence[Job[object]], connection: Connection) -> None:
        has_room = True
        for job in jobs:
            if has_room:
                has_room = job.run(connection)
            else:
                job.result, job.error = None, StoreUnavailable(LOCKED)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._was_dead = connection is not None and connection.invalidated
        if connection is not None:
            if not connection.invalidated:
                connection.invalidate()
            connection.close()


class SharedCommit:
    """The writer of the running service; its methods are called in one event loop.

    `on_commit` is called with the arrivals of each committed batch. A caller waits
    `longest_seconds` at most.
    """

    def __init__(self, database: Database, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self.on_commit: Callable[[set[Arrival]], None] | None = None
        self.commits = 0
        self._database = database
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._handed_over: SimpleQueue[Batch | None] = SimpleQueue()
        self._gathering: Batch | None = None
        self._busy = False
        self._closed = False
        self._longest_seconds = longest_seconds
        self._hangs = False
        self._idle = asyncio.Event()

    def start(self) -> None:
        """Start the writer thread. Call it in the event loop that will add and write."""
        self._loop = asyncio.get_running_loop()
        self._gathering = Batch(self._loop)
        self._closed = False
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what has gathered, refuse anything more, and stop the writer thread.

        A thread that does not end within some seconds is left behind.
        """
        self._closed = True
        if self._thread is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._idle.wait()
        if self._gathering is not None:
            self._gathering.give_up(StoreUnavailable(NO_ANSWER))
        self._handed_over.put(None)
        if self._idle.is_set():
            await asyncio.to_thread(self._thread.join)
        self._thread = None

    def add(self, row: inbox.Row) -> SharedFuture:
        """Return a future that is done when the delivery is durable.

        Raise StoreUnavailable at once where too many rows or bytes wait already, or the database
        hangs.
        """
        batch = self._open_batch()
        if len(batch.rows) >= MOST_ROWS or batch.bytes >= MOST_BYTES:
            raise StoreUnavailable("too many deliveries wait to be stored")
        batch.rows.append(row)
        batch.bytes += len(row[-1])
        return batch.future

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the shared transaction; return its result once that is durable.

        An exception of `fn` is raised here, and what it wrote is rolled back. StoreUnavailable
        means that nothing was written, or, where the connection broke during COMMIT, that nobody
        knows.
        """
        batch = self._open_batch()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        batch.jobs.append(cast("Job[object]", Job(fn, future)))
        return await future

    def _open_batch(self) -> Batch:
        if self._gathering is None or self._loop is None or self._closed:
            raise StoreUnavailable("the store is closed")
        if self._hangs:
            raise StoreUnavailable(NO_ANSWER)
        batch = self._gathering
        if batch.deadline is None:
            batch.ends_at = time.monotonic() + self._longest_seconds
            self._time(batch, TICKS)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)
        return batch

    def _time(self, batch: Batch, ticks: int) -> None:
        """Start the timer of one tick of a batch's deadline, with so many ticks left."""
        # Ticks, and not one timer: while this process is stopped, at most one of them passes.
        assert self._loop is not None
        seconds = self._longest_seconds / TICKS
        batch.deadline = self._loop.call_later(seconds, self._tick, batch, ticks - 1)

    def _hand_over(self) -> None:
        if self._gathering is None or self._loop is None:
            return
        batch, self._gathering = self._gathering, Batch(self._loop)
        self._handed_over.put(batch)

    def _tick(self, batch: Batch, ticks: int) -> None:
        """Count one tick of a batch's deadline; after the last, fail everyone who waits for it."""
        if ticks:
            self._time(batch, ticks)
            return
        self._hangs = True
        if batch is self._gathering and self._loop is not None:
            self._gathering = Batch(self._loop)
        batch.give_up(StoreUnavailable(NO_ANSWER))

    def _run(self) -> None:
        writer = _Writer(self._database)
        while (batch := self._handed_over.get()) is not None:
            writer.commit(batch)
            batch.arrivals = {(row[0], row[2], row[3]) for row in batch.rows}
            if not self._report(batch):
                break
        writer.close()

    def _report(self, batch: Batch) -> bool:
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(self._settle, batch)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            return False
        return True

    def _settle(self, batch: Batch) -> None:
        """Set the futures of the batch, and only then hand over the next batch."""
        # In this order: the callers have their next writes ready, and those join the next commit.
        # The writer thread cannot begin before the event loop is idle in any case.
        self._hangs = False
        if batch.deadline is not None:
            batch.deadline.cancel()
        self.commits += batch.rows_failure is None
        try:
            batch.settle()
            if batch.rows and batch.rows_failure is None and self.on_commit is not None:
                self.on_commit(batch.arrivals)
        finally:
            self._hand_over_rest()

    def _hand_over_rest(self) -> None:
        gathered = self._gathering
        if self._loop is not None and gathered is not None and (gathered.rows or gathered.jobs):
            # Not at once, but when the loop has read what arrived meanwhile: more of it then goes
            # with this commit, and each commit has a price of its own.
            self._loop.call_soon(self._loop.call_soon, self._hand_over)
        else:
            self._busy = False
            self._idle.set()
