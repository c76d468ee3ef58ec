"""Opens one database, and offers its transactions, its schema and the lock for serving it.

Reads are short transactions on connections of their own. Writes of the running service go through
`group_commit.SharedCommit`; `write` is for commands, and for what the service writes before it
starts.
"""

import asyncio
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import URL, Engine, inspect
from sqlalchemy import Connection as Connection
from sqlalchemy.exc import DatabaseError as SQLDatabaseError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from responder.store.database import engines, move_mark
from responder.store.database.clock import now_of
from responder.store.database.columns import instant
from responder.store.database.engines import DatabaseError, StoreUnavailable

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")

SCHEMA = "0012"  # the newest migration; revisions are numbers that grow
READERS = 6
_DEADLOCK = "40P01"
_DEADLOCK_RETRIES = 3
_LOCK_TIMEOUT = "55P03"
_GIVES_WAY_SECONDS = 60
_REFUSES = ("25006", "25P03")  # the server is read-only; the transaction was idle too long
_OPERATOR_INTERVENTION = "57"  # the class of codes: shut down, cancelled, dropped by an operator
_MIGRATION_LOCK = 0x7265_7370_6F6E_6472


class Database:
    """A SQLite file or a PostgreSQL database; the caller closes it."""

    def __init__(self, url: str | URL) -> None:
        self._url: URL = engines.parse(url)
        self.dialect = self._url.get_backend_name()
        self.journal_mode: str | None = None
        self.library_version = ""
        self._engines: tuple[Engine, Engine] | None = None
        self._file: engines.File | None = None
        self._lock: IO[str] | None = None
        self._readers: ThreadPoolExecutor | None = None

    @property
    def path(self) -> Path | None:
        """The path of the SQLite file, None for PostgreSQL."""
        if self.dialect != "sqlite" or self._url.database is None:
            return None
        return Path(self._url.database)

    def free_bytes(self) -> int | None:
        """Return how much room the disk of the SQLite file has; None where that is not known."""
        if self.path is None:
            return None
        try:
            return shutil.disk_usage(self.path.absolute().parent).free
        except OSError:
            return None

    @property
    def place(self) -> str:
        """The database's place for people to read: without user and password."""
        if self.path is not None:
            return f"the file {self.path.resolve()}"
        host = self._url.host or self._url.query.get("host") or "this machine"
        hosts = host if isinstance(host, str) else ", ".join(host)
        port = "" if self._url.port is None else f":{self._url.port}"
        return f"{self._url.database} on {hosts}{port}"

    def open(self) -> None:
        """Connect, creating the file where there is none; raise DatabaseError where that fails."""
        if self._engines is not None:
            return
        self._engines = self._make_engines()
        try:
            # as a reader: who only opens it does not wait for who writes
            with _translated(), self._engines[1].connect() as connection:
                self._read_version(connection)
        except DatabaseError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection and release the lock for serving; reads under way may finish."""
        if self._readers is not None:
            self._readers.shutdown(wait=False, cancel_futures=True)
            self._readers = None
        for engine in self._engines or ():
            engines.dispose(engine)
        self._engines = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def writer(self) -> Engine:
        """The engine whose transactions may write."""
        return self._opened()[0]

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run in a read transaction that it must keep short."""
        with _translated(), self._opened()[1].connect() as connection, connection.begin():
            return fn(connection)

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run in a read transaction in one of the store's own threads."""
        # Not in asyncio's own threads: there host names are resolved, and some portals whose name
        # servers do not answer would occupy all of them.
        if self._readers is None:
            self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read, fn)

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run in a write transaction of its own, committed durably.

        `fn` is run again, up to three times, where PostgreSQL rolled it back to resolve a deadlock.
        """
        retries = _DEADLOCK_RETRIES
        while True:
            try:
                return self._write(fn)
            except StoreUnavailable as error:
                if _sqlstate(error.__cause__) != _DEADLOCK or not retries:
                    raise
            retries -= 1
            # The other one was only woken: at once, we would take from it what it waits for.
            time.sleep(random.uniform(0.05, 0.2))  # noqa: S311 -- no secret

    def _write(self, fn: Callable[[Connection], T]) -> T:
        with _translated(), self.writer.begin() as tx:
            return fn(tx)

    def must_be_in_place(self) -> None:
        """Raise StoreUnavailable where the file that was opened is not the one at its path now."""
        if self._file is not None:
            self._file.must_be_in_place()

    def now(self) -> datetime:
        """Return the time on the clock that all users of the database share."""
        return instant(self.read(now_of))

    def migrate(self) -> None:
        """Bring the schema up to date; leave a newer one alone. Many processes may call it at once.

        Raise DatabaseError where the log was moved to another database, StoreUnavailable where
        other processes held locks for a minute.
        """
        if (place := self.moved_to()) is not None:
            raise DatabaseError(f"this log was moved to {place}: set RESPONDER_DATABASE_URL to it")
        # Replicas that serve lock the tables in another order. On PostgreSQL the migration's lock
        # timeout is shorter than deadlock detection, which could end their transaction instead of
        # this one; so this one is rolled back, and begun again.
        last = time.monotonic() + _GIVES_WAY_SECONDS
        while True:
            try:
                return self._write(self._migrate)
            except StoreUnavailable as error:
                state = _sqlstate(error.__cause__)
                if state not in (_DEADLOCK, _LOCK_TIMEOUT) or time.monotonic() > last:
                    raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 -- no secret

    def _migrate(self, tx: Connection) -> None:
        if self.dialect == "postgresql":
            tx.exec_driver_sql("SET LOCAL lock_timeout = 0")
            tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            tx.exec_driver_sql("SET LOCAL lock_timeout = 500")  # half of deadlock_timeout's default
        if (revision(tx) or "") < SCHEMA:
            from responder.store.database import upgrade  # Alembic needs 10 MB and 0.2 s

            upgrade.upgrade(tx)

    def moved_to(self) -> str | None:
        """Return the place to which the log was moved, or None."""
        return self.read(move_mark.place_of)

    def schema_is_current(self) -> bool:
        """Return whether this version can serve the schema: its own, or one that extends it."""
        return self.read(is_current)

    def touch(self, tx: Connection) -> None:
        """Write without changing anything, to see that the database accepts a write."""
        if self.dialect == "postgresql":
            # It locks no row either: a running migration, or a replica that was stopped, would hold
            # that lock, and every commit of ours would wait.
            tx.exec_driver_sql("UPDATE alembic_version SET version_num = version_num WHERE false")
            tx.exec_driver_sql("SELECT txid_current()")  # so that there is something to commit
        else:
            tx.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")

    def lock_for_serving(self) -> None:
        """Lock the SQLite file for serving; raise DatabaseError where another process has."""
        if self.path is None or self._lock is not None or sys.platform == "win32":
            return
        lock_path = Path(f"{self.path.resolve()}.lock")  # whatever link it is opened by
        engines.create_private_file(lock_path)
        lock = lock_path.open("r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = lock.read().strip() or "unknown"
            lock.close()
            raise DatabaseError(f"{self.path} is served by another process ({other})") from None
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _make_engines(self) -> tuple[Engine, Engine]:
        if self.path is None:
            engine = engines.postgres_engine(self._url)
            return engine, engine.execution_options(postgresql_readonly=True)
        try:
            engines.create_private_file(self.path)
            self._file = engines.File(self.path)
        except OSError as error:
            raise DatabaseError(f"{self.path} cannot be opened: {error.strerror}") from None
        return (
            engines.sqlite_engine(self._file, writes=True),
            engines.sqlite_engine(self._file, writes=False),
        )

    def _read_version(self, connection: Connection) -> None:
        if self.dialect == "sqlite":
            self.library_version = engines.sqlite_module().sqlite_version
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            self.journal_mode = str(mode).lower()
        else:
            self.library_version = str(
                connection.exec_driver_sql("SHOW server_version").scalar_one()
            )

    def _opened(self) -> tuple[Engine, Engine]:
        if self._engines is None:
            raise StoreUnavailable("the database is not open")
        return self._engines


def unavailable(error: Exception) -> StoreUnavailable:
    """Return a StoreUnavailable with the first line of the driver's message."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return StoreUnavailable(f"the store is not available: {first_line}")


def is_unavailable(error: Exception) -> bool:
    """Return whether the database failed, and not the statement that it was sent."""
    # SQLite reports a damaged file, or one that is no database, as DatabaseError itself.
    if type(error) is SQLDatabaseError or move_mark.refused(error):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = _sqlstate(error) or ""
    if state in _REFUSES or state.startswith(_OPERATOR_INTERVENTION):
        return True
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError))


def waited_in_vain(error: Exception | None) -> bool:
    """Return whether a statement ran into the timeout for another process's lock."""
    if _sqlstate(error) == _LOCK_TIMEOUT:
        return True
    return isinstance(error, OperationalError) and "is locked" in str(error.orig)


def _sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's error code, or None.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return state if isinstance(state, str) else None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        if is_unavailable(error):
            raise unavailable(error) from error
        raise


def is_current(connection: Connection) -> bool:
    """Return whether this version can serve the schema: its own, or one that extends it."""
    return (revision(connection) or "") >= SCHEMA


def revision(connection: Connection) -> str | None:
    """Return the schema's revision, None where there is no schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)
