"""What one commit writes, and who waits for it: the deliveries of a batch, and its jobs.

A delivery is a tuple and waits for the batch's one future: a future for each would cost more than
its share of the commit. Everything else is a function of the transaction. It runs in a SAVEPOINT of
its own, so that one that raises takes back what it did, and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from responder.store.database.database import is_unavailable, unavailable, waited_in_vain
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox

T = TypeVar("T")

Heard = tuple[str, str, str | None]
"""Of a delivery: its portal, what set it off, and the event's name."""


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


class Job(Generic[T]):
    """A function of the transaction, and what became of it."""

    __slots__ = ("error", "future", "result", "write")

    def __init__(self, write: Callable[[Connection], T], future: asyncio.Future[T]) -> None:
        self.write = write
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self, connection: Connection) -> bool:
        """Run it in a SAVEPOINT; keep its failure for its caller, unless all is lost with it.

        Return False where it waited in vain for what another process has locked.
        """
        self.result = self.error = None
        if self.future.done():  # cancelled, or given up
            return True
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            self.result = self.write(connection)
            connection.exec_driver_sql("RELEASE SAVEPOINT job")
        except Exception as error:  # noqa: BLE001 -- its caller is told
            _undo(connection, error)
            self.error = unavailable(error) if is_unavailable(error) else error
            return not waited_in_vain(error)
        return True

    def settle(self, failure: StoreUnavailable | None) -> None:
        """Tell the caller."""
        if self.future.done():
            return
        error = self.error or failure
        if error is None:
            self.future.set_result(cast("T", self.result))
        else:
            self.future.set_exception(error)


class Batch:
    """What one commit writes, and how it failed: the rows, the jobs."""

    __slots__ = (
        "bytes",
        "deadline",
        "ends_at",
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
        self.jobs: list[Job[object]] = []
        self.future = Shared(loop=loop)
        self.deadline: asyncio.TimerHandle | None = None
        self.ends_at = 0.0  # when those who wait are told that it does not answer
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
