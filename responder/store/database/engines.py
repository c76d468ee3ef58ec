"""Creates database connections whose commits survive a power cut.

SQLite: one file, `synchronous=FULL`. The write-ahead log is used only where the library is 3.51.3
or newer: older ones can corrupt it when two connections reset it at once, and there a rollback
journal is used. Writers begin with BEGIN IMMEDIATE, because a transaction that reads first and then
writes fails at once, without waiting, when another has written between. A file may be moved or
replaced while it is open, and SQLite would go on writing into the old one; so each transaction
begins by checking that the path still leads to the file that was opened.

PostgreSQL: `synchronous_commit` is raised to `on` where a role or a database set it lower. A
transaction that its client leaves idle for three seconds is ended by the server, so that a process
that was stopped in the middle cannot hold a portal's lease row for longer than the lease lasts. A
server that does not answer any more, because the network between is cut, is given up after some ten
seconds; TCP alone would wait for a quarter of an hour.

A *pooler* such as pgbouncer may give each transaction another server connection, so nothing may be
left in a connection: no prepared statements are used, and settings are made in every transaction. A
pooler shows by the process id of the server, which is not the one that was sent when we connected.

https://www.sqlite.org/wal.html
https://www.postgresql.org/docs/current/runtime-config-client.html
"""

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from responder.settings.database_address import TORN, is_torn

BUSY_MILLISECONDS = 5_000
SAFE_WAL = (3, 51, 3)
_FOR_CONNECTION = """
SELECT set_config('lock_timeout', '5000', false),
       set_config('idle_in_transaction_session_timeout', '3000', false),
       set_config('synchronous_commit', '{synchronous_commit}', false)
"""
_FOR_TRANSACTION = """
SET LOCAL lock_timeout = 5000;
SET LOCAL idle_in_transaction_session_timeout = 3000;
SET LOCAL synchronous_commit = {synchronous_commit}
"""
_DURABLE = ("on", "remote_apply")
_POOLED = "responder pooled"  # a key of the connection's `info`
_POSTGRES_CONNECTION: dict[str, object] = {
    "connect_timeout": 5,
    "application_name": "responder",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class DatabaseError(Exception):
    """A problem of the database that a user must know of. The text holds no secret."""


class StoreUnavailable(DatabaseError):  # noqa: N818 -- it says a state, not a mistake
    """A state: the store cannot read or commit now. A write was not done, or nobody knows."""


class File:
    """A SQLite file at its path, identified by its device and inode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = path.stat()

    def must_be_in_place(self) -> None:
        """Raise StoreUnavailable where the path no longer leads to this file."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 -- half of what a Path needs, at every commit
        except FileNotFoundError:
            raise StoreUnavailable(
                f"{self.path} is gone: it was moved or deleted while it was open"
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be reached: {error.strerror}") from None
        if (found.st_ino, found.st_dev) != (self._known.st_ino, self._known.st_dev):
            raise StoreUnavailable(f"{self.path} is another file than the one that was opened")


class _Cursor(Protocol):
    def execute(self, statement: str, row: object = ..., /) -> object: ...
    def fetchone(self) -> tuple[object, ...] | None: ...
    def close(self) -> object: ...


class _DriverConnection(Protocol):
    def cursor(self) -> _Cursor: ...
    def commit(self) -> object: ...


class _ConnectionInfo(Protocol):
    backend_pid: int


class _PostgresConnection(_DriverConnection, Protocol):
    info: _ConnectionInfo
    prepare_threshold: int | None


class _Record(Protocol):
    info: dict[str, object]


def parse(url: str | URL) -> URL:
    """Parse a database URL; raise DatabaseError, without quoting the URL, where it is not valid."""
    try:
        if isinstance(url, str) and not url.startswith("sqlite") and is_torn(url):
            raise DatabaseError(TORN)
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseError("the database URL cannot be read") from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseError("the database must be a file: sqlite:///responder.db")
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise DatabaseError("the database URL must begin with sqlite:/// or postgresql+psycopg://")


def sqlite_module() -> ModuleType:
    """Return pysqlite3 where it is installed, for its newer SQLite, else Python's own sqlite3."""
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return importlib.import_module("sqlite3")


def wanted_journal(module: ModuleType) -> str:
    """Return the journal mode that is safe with this SQLite library."""
    return "wal" if module.sqlite_version_info >= SAFE_WAL else "truncate"


def sqlite_engine(file: File, *, writes: bool) -> Engine:
    """Return an engine on a SQLite file, for transactions that write or that only read."""
    module = sqlite_module()
    address = f"{file.path.absolute().as_uri()}?mode=rw"  # one that is gone is not made anew
    engine = create_engine(
        "sqlite://",
        module=module,
        creator=lambda: _sqlite_connection(module, file, address),
        poolclass=QueuePool,
        pool_size=1 if writes else 4,
        max_overflow=4,
        hide_parameters=True,
    )
    _run_on_connect(engine, _pragmas(module, writes=writes))
    begin_statement = "BEGIN IMMEDIATE" if writes else "BEGIN"

    def begin(connection: Connection) -> None:
        file.must_be_in_place()
        connection.exec_driver_sql(begin_statement)

    event.listen(engine, "begin", begin)
    return engine


def _sqlite_connection(module: ModuleType, file: File, address: str) -> object:
    """Return a connection to a SQLite file that is in place before and after connecting."""
    file.must_be_in_place()
    connection = module.connect(
        address,
        uri=True,
        timeout=BUSY_MILLISECONDS / 1000,
        isolation_level=None,  # we say BEGIN ourselves
        check_same_thread=False,
    )
    try:
        file.must_be_in_place()
    except StoreUnavailable:
        connection.close()
        raise
    return connection


def _pragmas(module: ModuleType, *, writes: bool) -> tuple[str, ...]:
    """Return the statements that set up a connection to a SQLite file."""
    pragmas = (
        f"busy_timeout={BUSY_MILLISECONDS}",
        f"journal_mode={wanted_journal(module)}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "journal_size_limit=67108864",
        # What is erased or pruned is overwritten, and so is what moves within the file: a copy that
        # stayed behind would not be found when it is erased.
        "secure_delete=ON",
        f"query_only={'OFF' if writes else 'ON'}",
    )
    return tuple(f"PRAGMA {pragma}" for pragma in pragmas)


def postgres_engine(url: URL) -> Engine:
    """Return an engine on PostgreSQL; raise DatabaseError where psycopg is not installed."""
    try:
        engine = create_engine(
            url,
            pool_size=5,
            max_overflow=5,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=_POSTGRES_CONNECTION,
        )
    except ImportError:
        raise DatabaseError(
            "PostgreSQL needs its driver: where responder's source is, `uv sync --extra postgres`, "
            "or `pip install '.[postgres]'` with the pip that installed responder"
        ) from None
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _set_up_transaction)
    event.listen(engine, "do_executemany", _one_by_one)
    return engine


def _one_by_one(
    cursor: _Cursor, statement: str, rows: Iterable[object], _context: object
) -> Literal[True]:
    """Run a statement for many rows without psycopg's pipeline.

    A process that is stopped in the middle of a pipeline, or cut off, keeps its locks as long as
    that lasts: while the server waits for the rest, no time-out of it runs. Where rows are many,
    `many_rows` has one statement for all of them.
    https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html
    """
    for row in rows:
        cursor.execute(statement, row)
    return True


def dispose(engine: Engine) -> None:
    """Close the engine's connections: idle ones now, each other as soon as its user returns it."""
    event.listen(engine.pool, "checkin", _close_returned)
    engine.dispose()


def _close_returned(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.invalidate()


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler is before the server, and may change the server connection."""
    return _POOLED in connection.info


def _set_up(connection: _PostgresConnection, record: _Record) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid(), current_setting('synchronous_commit')")
    pid, commits = cursor.fetchone() or (None, None)
    durable = str(commits) if commits in _DURABLE else "on"
    if pid == connection.info.backend_pid:
        cursor.execute(_FOR_CONNECTION.format(synchronous_commit=durable))
        cursor.fetchone()
    else:
        record.info[_POOLED] = _FOR_TRANSACTION.format(synchronous_commit=durable)
        connection.prepare_threshold = None
    cursor.close()
    connection.commit()


def _set_up_transaction(connection: Connection) -> None:
    if is_pooled(connection):
        connection.exec_driver_sql(str(connection.info[_POOLED]))


def create_private_file(path: Path) -> None:
    """Create the file, readable by its owner alone, where it does not exist."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _run_on_connect(engine: Engine, statements: tuple[str, ...]) -> None:
    def run(connection: _DriverConnection, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
            cursor.fetchone()
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", run)
