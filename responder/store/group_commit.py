"""One writer, one commit for everything that gathered while the last commit ran.

A commit that is durable costs a disk sync, whether it holds one row or a thousand. So everything
that is to be written gathers in a batch; one thread takes a batch, writes it in one transaction,
and what comes meanwhile gathers in the next. There is no timer: a lone delivery is committed at
once, and under load the batches grow by themselves.

A batch is deliveries and jobs (`commit_batch`).

When the transaction as a whole fails, nothing of the batch was done and everybody in it gets
`StoreUnavailable`. One case is spared: when the connection turns out to be dead before COMMIT was
sent (PostgreSQL was restarted), nothing can have been done, and the deliveries are written once
more on a new connection; a sender that gets a 503 never sends its event again.

A job may wait for a row that another process has locked; the deliveries of its batch wait with it.
So after the first that has waited in vain for as long as the database lets it, the rest of the jobs
are refused unseen, and the batch is committed. And where another process writes into a SQLite file
for longer than that, or a migration makes an index over the deliveries on PostgreSQL, a batch
begins again for as long as those who wait for it have time.

A database may also say nothing at all, for as long as it likes (a synchronous standby is lost, a
pooler holds everybody). Who has waited for ten seconds is told so, whatever becomes of that commit,
and until it ends nothing more is taken; what was given up before it was handed over is never
written.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from queue import SimpleQueue
from typing import TypeVar, cast

from sqlalchemy import Connection

from responder.store.commit_batch import Batch, Heard, Job, Shared
from responder.store.database.database import Database, unavailable, waited_in_vain
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox

T = TypeVar("T")

MOST_ROWS = 20_000
LONGEST_SECONDS = 10.0  # a database that waits for a lock says no after five
CLOSING_SECONDS = 6.0
MOST_BYTES = 64 * 1024 * 1024
TICKS = 10  # at which a batch is looked at before it is given up
NO_ANSWER = "the database does not answer"
LOCKED = "another process has locked what was to be written beside it"


class _Stage(Enum):
    """How far a transaction has come."""

    BEGIN = auto()
    ROWS = auto()
    JOBS = auto()
    COMMIT = auto()


class _Writer:
    """The one connection that writes, in the one thread that uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._stage = _Stage.ROWS
        self._was_dead = False

    def commit(self, batch: Batch) -> None:
        """Write the batch. What failed is noted in it; nothing is raised."""
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
        """Tell whether nothing was written yet, and somebody still waits for it."""
        is_early = self._stage in (_Stage.BEGIN, _Stage.ROWS)
        return is_early and time.monotonic() < batch.ends_at

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, rows: Sequence[inbox.Row], jobs: Sequence[Job[object]]) -> Exception | None:
        try:
            self._transact(rows, jobs)
        except Exception as error:  # noqa: BLE001 -- everybody in the batch is told
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
            self._connection.exec_driver_sql("SELECT 1")  # a dead connection is found out here
        self._stage = _Stage.JOBS
        self._run(jobs, self._connection)
        self._stage = _Stage.COMMIT
        transaction.commit()
        self._database.must_be_in_place()  # else it went where nobody will find it

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
    """What writes for the running service. Its methods belong to one event loop.

    `on_commit` is told what was stored. A commit may take `longest_seconds`.
    """

    def __init__(self, database: Database, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self.on_commit: Callable[[set[Heard]], None] | None = None
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
        """Start the writer. Call it in the event loop that will add and write."""
        self._loop = asyncio.get_running_loop()
        self._gathering = Batch(self._loop)
        self._closed = False
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Commit what has gathered, refuse anything more, and stop the writer.

        One that hangs is left to itself after some seconds.
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

    def add(self, row: inbox.Row) -> Shared:
        """Store a delivery; the future is done when it is durable.

        Raise StoreUnavailable at once where too much is waiting already.
        """
        batch = self._open_batch()
        if len(batch.rows) >= MOST_ROWS or batch.bytes >= MOST_BYTES:
            raise StoreUnavailable("too many deliveries wait to be stored")
        batch.rows.append(row)
        batch.bytes += len(row[-1])
        return batch.future

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in the shared transaction; return what it returned once that is durable.

        What `fn` raises is raised here, and what it had written is undone. StoreUnavailable means
        that nothing was written, or, if the connection broke during COMMIT, that nobody knows.
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
        """Give a batch so many ticks more: while this process is stopped, at most one passes."""
        assert self._loop is not None
        seconds = self._longest_seconds / TICKS
        batch.deadline = self._loop.call_later(seconds, self._tick, batch, ticks - 1)

    def _hand_over(self) -> None:
        if self._gathering is None or self._loop is None:
            return
        batch, self._gathering = self._gathering, Batch(self._loop)
        self._handed_over.put(batch)

    def _tick(self, batch: Batch, ticks: int) -> None:
        """Answer those who have waited too long."""
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
            batch.heard = {(row[0], row[2], row[3]) for row in batch.rows}
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
        """Tell everybody, and hand the next batch over after that.

        The writer cannot begin before this thread has nothing to do, and those who are told have
        their next questions ready: these come into the same commit.
        """
        self._hangs = False
        if batch.deadline is not None:
            batch.deadline.cancel()
        self.commits += batch.rows_failure is None
        try:
            batch.settle()
            if batch.rows and batch.rows_failure is None and self.on_commit is not None:
                self.on_commit(batch.heard)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        gathered = self._gathering
        if self._loop is not None and gathered is not None and (gathered.rows or gathered.jobs):
            self._loop.call_soon(self._hand_over)
        else:
            self._busy = False
            self._idle.set()
