"""Defines what one commit writes (the deliveries and jobs of a batch) and who waits for it.

A delivery is a tuple, and all deliveries of a batch share one future: a future for each would cost
more than its share of the commit. Everything else is a job: a function of the transaction, run in a
SAVEPOINT of its own, so that a job that raises undoes its own writes and no others.
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

Arrival = tuple[str, str, str | None]
"""A delivery's portal, trigger and event name."""


class SharedFuture(asyncio.Future[None]):
    """A future that many wait for: cancelling one waiter does not cancel it for the rest."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        """Return False and do nothing: others still wait."""
        return False


class Job(Generic[T]):
    """A function of the transaction, with its result or error, and the future of its caller."""

    __slots__ = ("error", "future", "result", "write")

    def __init__(self, write: Callable[[Connection], T], future: asyncio.Future[T]) -> None:
        self.write = write
        self.future = future
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self, connection: Connection) -> bool:
        """Run the function in a SAVEPOINT; keep its error, unless the whole transaction failed.

        Return False where a statement timed out waiting for another process's lock.
        """
        self.result = self.error = None
        if self.future.done():  # cancelled, or given up
            return True
        connection.exec_driver_sql("SAVEPOINT job")
        try:
            self.result = self.write(connection)
            connection.exec_driver_sql("RELEASE SAVEPOINT job")
        except Exception as error:  # noqa: BLE001 -- its caller gets it
            _undo(connection, error)
            self.error = unavailable(error) if is_unavailable(error) else error
            return not waited_in_vain(error)
        return True

    def settle(self, failure: StoreUnavailable | None) -> None:
        """Set the caller's future; `failure` is that of the whole commit, if it failed."""
        if self.future.done():
            return
        error = self.error or failure
        if error is None:
            self.future.set_result(cast("T", self.result))
        else:
            self.future.set_exception(error)


class Batch:
    """The rows and jobs of one commit, and how the commit of each failed, if it did."""

    __slots__ = (
        "arrivals",
        "bytes",
        "deadline",
        "ends_at",
        "future",
        "jobs",
        "jobs_failure",
        "rows",
        "rows_failure",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.rows: list[inbox.Row] = []
        self.arrivals: set[Arrival] = set()  # known once the rows are written
        self.bytes = 0
        self.jobs: list[Job[object]] = []
        self.future = SharedFuture(loop=loop)
        self.deadline: asyncio.TimerHandle | None = None
        self.ends_at = 0.0  # monotonic seconds at which those who wait get StoreUnavailable
        self.rows_failure: StoreUnavailable | None = None
        self.jobs_failure: StoreUnavailable | None = None

    def give_up(self, failure: StoreUnavailable) -> None:
        """Fail every future that is not done, whether or not the commit succeeds later."""
        if not self.future.done():
            self._settle(failure, failure)

    def settle(self) -> None:
        """Set every future of the batch to the result of its commit."""
        if not self.future.done():
            self._settle(self.rows_failure, self.jobs_failure)

    def _settle(
        self, rows_failure: StoreUnavailable | None, jobs_failure: StoreUnavailable | None
    ) -> None:
        if rows_failure is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(rows_failure)
            self.future.exception()  # else asyncio warns where nobody waits any more
        for job in self.jobs:
            job.settle(jobs_failure)


def _undo(connection: Connection, error: Exception) -> None:
    """Roll one job back; raise where that fails, for the whole transaction has failed then."""
    try:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
        connection.exec_driver_sql("RELEASE SAVEPOINT job")
    except SQLAlchemyError as second:
        # The connection is dead, or SQLite has rolled everything back because the disk is full.
        # Going on would write the rest of the batch without a transaction, each statement alone.
        raise (error if isinstance(error, DBAPIError) else second) from None
