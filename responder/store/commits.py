"""One writer, one commit for everything that gathered while the last commit ran.

A commit that is durable costs a disk sync, whether it holds one row or a thousand. So everything
that is to be written gathers in a batch; one thread takes a batch, writes it in one transaction,
and what comes meanwhile gathers in the next. There is no timer: a lone delivery is committed at
once, and under load the batches grow by themselves.

A delivery is a tuple and waits for the batch's one future: a future for each would cost more than
its share of the commit. Everything else is a function of the transaction. It runs in a SAVEPOINT of
its own, so that one that raises takes back what it did, and nothing else.

When the transaction as a whole fails, nothing of the batch was done and everybody in it gets
`StoreUnavailable`. One case is spared: when the connection turns out to be dead before COMMIT was
sent (PostgreSQL was restarted), nothing can have been done, and the deliveries are written once
more on a new connection; a sender that gets a 503 never sends its event again.

A database may also say nothing at all, for as long as it likes (a synchronous standby is lost, a
pooler holds everybody). Who has waited for ten seconds is told so, whatever becomes of that commit,
and until it ends nothing more is taken; what was given up before it was handed over is never
written.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from responder.store import inbox
from responder.store.database import Database, is_unavailable, unavailable
from responder.store.database import StoreUnavailable as StoreUnavailable

T = TypeVar("T")

Heard = tuple[str, str, str | None]
"""Of a delivery: its portal, what set it off, and the event's name."""

MOST_ROWS = 20_000
LONGEST_SECONDS = 10.0  # a database that waits for a lock says no after five
CLOSING_SECONDS = 6.0
MOST_BYTES = 64 * 1024 * 1024
TICKS = 10  # at which a batch is looked at before it is given up
NO_ANSWER = "the database does not answer"


class Shared(asyncio.Future[None]):
    """A future that many wait for: one that is cancelled must not cancel it for the others.

    `then` is `add_done_callback` for many: all are called in one go.
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._next: list[Callable[[asyncio.Future[None]], None]] = []

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """Refuse: the others still wait."""
        return False

    def then(self, call: Callable[[asyncio.Future[None]], None]) -> None:
        """Call this once the future is done."""
        if self.done():
            self.add_done_callback(call)
        else:
            self._next.append(call)

    def tell(self) -> None:
        """Call all that was to be called; it is done now."""
        for call in self._next:
            try:
                call(self)
            except Exception as error:  # noqa: BLE001 -- the others are called all the same
                said = {"message": "a delivery could not be answered", "exception": error}
                self.get_loop().call_exception_handler(said)
        self._next.clear()


class _Job(Generic[T]):
    """A function of the transaction, and what became of it."""

    __slots__ = ("error", "future", "result", "write")

    def __init__(self, write: Callable[[Connection], T], future: asyncio.Future[T]) -> None:
        self.write = write
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self, connection: Connection) -> None:
        """Run it in a SAVEPOINT; keep its failure for its caller, unless all is lost with it."""
        self.result = self.error = None
        if self.future.done():  # cancelled, or given up
            return
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            self.result = self.write(connection)
            connection.exec_driver_sql("RELEASE SAVEPOINT job")
        except Exception as error:  # noqa: BLE001 -- its caller is told
            _undo(connection, error)
            self.error = unavailable(error) if is_unavailable(error) else error

    def settle(self, failure: StoreUnavailable | None) -> None:
        """Tell the caller."""
        if self.future.done():
            return
        error = self.error or failure
        if error is None:
            self.future.set_result(cast("T", self.result))
        else:
            self.future.set_exception(error)


class _Batch:
    """What one commit writes, and how it failed: the rows, the jobs."""

    __slots__ = (
        "bytes",
        "deadline",
        "future",
        "heard",
        "jobs",
        "jobs_failure",
        "rows",
        "rows_failure",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.rows: list[inbox.Row] = []
        self.heard: set[Heard] = set()  # known once the rows are written
        self.bytes = 0
        self.jobs: list[_Job[object]] = []
        self.future = Shared(loop=loop)
        self.deadline: asyncio.TimerHandle | None = None
        self.rows_failure: StoreUnavailable | None = None
        self.jobs_failure: StoreUnavailable | None = None

    def give_up(self, failure: StoreUnavailable) -> None:
        """Tell everybody that nobody knows what becomes of it."""
        if not self.future.done():
            self._tell(failure, failure)

    def settle(self) -> None:
        """Tell everybody who waits for it."""
        if not self.future.done():
            self._tell(self.rows_failure, self.jobs_failure)

    def _tell(
        self, rows_failure: StoreUnavailable | None, jobs_failure: StoreUnavailable | None
    ) -> None:
        if rows_failure is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(rows_failure)
            self.future.exception()  # it may be that nobody waits any more
        self.future.tell()
        for job in self.jobs:
            job.settle(jobs_failure)


class _Stage(Enum):
    """How far a transaction has come."""

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

    def commit(self, batch: _Batch) -> None:
        """Write the batch. What failed is noted in it; nothing is raised."""
        error = self._attempt(batch.rows, batch.jobs)
        if error is None:
            return
        failure = unavailable(error)
        if self._stage is _Stage.COMMIT or not self._was_dead:
            batch.rows_failure = batch.jobs_failure = failure
        elif self._stage is _Stage.ROWS:
            again = self._attempt(batch.rows, batch.jobs)
            batch.rows_failure = batch.jobs_failure = unavailable(again) if again else None
        else:
            batch.jobs_failure = failure
            again = self._attempt(batch.rows, ()) if batch.rows else None
            batch.rows_failure = unavailable(again) if again else None

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, rows: Sequence[inbox.Row], jobs: Sequence[_Job[object]]) -> Exception | None:
        try:
            self._transact(rows, jobs)
        except Exception as error:  # noqa: BLE001 -- everybody in the batch is told
            self._drop()
            return error
        return None

    def _transact(self, rows: Sequence[inbox.Row], jobs: Sequence[_Job[object]]) -> None:
        self._stage = _Stage.ROWS
        if self._connection is None:
            self._connection = self._database.writer.connect()
        transaction = self._connection.begin()
        if rows:
            inbox.add(self._connection, rows)
        else:
            self._connection.exec_driver_sql("SELECT 1")  # a dead connection is found out here
        self._stage = _Stage.JOBS
        for job in jobs:
            job.run(self._connection)
        self._stage = _Stage.COMMIT
        transaction.commit()
        self._database.must_be_in_place()  # else it went where nobody will find it

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
        self._handed_over: SimpleQueue[_Batch | None] = SimpleQueue()
        self._gathering: _Batch | None = None
        self._busy = False
        self._closed = False
        self._longest_seconds = longest_seconds
        self._hangs = False
        self._idle = asyncio.Event()

    def start(self) -> None:
        """Start the writer. Call it in the event loop that will add and write."""
        self._loop = asyncio.get_running_loop()
        self._gathering = _Batch(self._loop)
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
        batch.jobs.append(cast("_Job[object]", _Job(fn, future)))
        return await future

    def _open_batch(self) -> _Batch:
        if self._gathering is None or self._loop is None or self._closed:
            raise StoreUnavailable("the store is closed")
        if self._hangs:
            raise StoreUnavailable(NO_ANSWER)
        batch = self._gathering
        if batch.deadline is None:
            self._time(batch, TICKS)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)
        return batch

    def _time(self, batch: _Batch, ticks: int) -> None:
        """Give a batch so many ticks more: while this process is stopped, at most one passes."""
        assert self._loop is not None
        seconds = self._longest_seconds / TICKS
        batch.deadline = self._loop.call_later(seconds, self._tick, batch, ticks - 1)

    def _hand_over(self) -> None:
        if self._gathering is None or self._loop is None:
            return
        batch, self._gathering = self._gathering, _Batch(self._loop)
        self._handed_over.put(batch)

    def _tick(self, batch: _Batch, ticks: int) -> None:
        """Answer those who have waited too long."""
        if ticks:
            self._time(batch, ticks)
            return
        self._hangs = True
        if batch is self._gathering and self._loop is not None:
            self._gathering = _Batch(self._loop)
        batch.give_up(StoreUnavailable(NO_ANSWER))

    def _run(self) -> None:
        writer = _Writer(self._database)
        while (batch := self._handed_over.get()) is not None:
            writer.commit(batch)
            batch.heard = {(row[0], row[2], row[3]) for row in batch.rows}
            if not self._report(batch):
                break
        writer.close()

    def _report(self, batch: _Batch) -> bool:
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(self._settle, batch)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            return False
        return True

    def _settle(self, batch: _Batch) -> None:
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


def _undo(connection: Connection, error: Exception) -> None:
    """Undo one job; where that cannot be, the whole transaction is over.

    The connection may be dead, or SQLite may have undone everything because the disk is full: to go
    on would write the rest of the batch statement by statement.
    """
    try:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
        connection.exec_driver_sql("RELEASE SAVEPOINT job")
    except SQLAlchemyError as second:
        raise (error if isinstance(error, DBAPIError) else second) from None
