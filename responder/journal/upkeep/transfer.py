"""Moves a whole database into an empty one of either kind, and proves that they are the same.

Nobody writes in either meanwhile. A SQLite file has a lock of its own for the service, and its one
writer is this copy. In PostgreSQL a live lease means a live service, and every table is locked, so
that a service which starts meanwhile cannot acknowledge what would not be copied.

The copy is one transaction. The new database first gets the schema of the old one; then all rows,
with the old database's plain column types, so that no value is converted; then the counters of ids;
then the migrations that are missing. Before the commit everything is read back and compared: the
rows of each table by a sum of their hashes, which does not depend on their order, and each portal's
chain by the auditor's own check. So whatever interrupts it before the commit leaves the new
database as empty as it was.

The old database is only read until the copy is proved. Then it is marked, and refuses all writes
from then on (`move_mark`); and only after that the new one is committed, so that they never both
accept deliveries. Whatever interrupts it between the two leaves one that is marked and one that is
empty, and the same command goes on from there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    RowMapping,
    Table,
    Transaction,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from responder.journal.audit.integrity import check_log
from responder.journal.audit.verify import Verified
from responder.journal.chain_ends import EXCLUSIVE
from responder.store.database import move_mark, upgrade
from responder.store.database.clock import now_of
from responder.store.database.database import SCHEMA, Database, revision
from responder.store.database.engines import DatabaseError
from responder.store.database.many_rows import RowInsert
from responder.store.database.portal_tables import leases, metadata, replicas

T = TypeVar("T")

_PAGE = 500
_ALIVE = (leases, replicas)  # not copied: replicas of the old database are not those of the new
_MODULUS = 1 << 256

Progress = Callable[[str, int, int], object]


class NotMovable(Exception):  # noqa: N818 -- it says what is wrong with the question
    """A refusal: the log cannot be moved from there to here. Nothing was written."""


class NotEmpty(NotMovable):
    """A refusal: the new database has rows or tables of its own."""


class NotTheSame(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: the log does not verify, or the copy differs. Nothing was kept of it."""


class Unsure(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: the new database's commit broke off; it has everything or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The result of a move: rows by table, each portal's chain, and what does not verify."""

    schema: str
    rows: Mapping[str, int]
    chains: Sequence[Verified]
    wrong: Sequence[str]


class _Sum(NamedTuple):
    """The number of rows, and the sum of their hashes."""

    rows: int
    hashes: int


@dataclass(frozen=True, slots=True)
class _Uncommitted:
    """An open transaction that can be read as a database is."""

    tx: Connection

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Return what `fn` returns, run within the transaction."""
        return fn(self.tx)


def move(
    source: Database,
    target: Database,
    *,
    progress: Progress,
    broken_too: bool = False,
    again: bool = False,
) -> Moved:
    """Copy everything from an open database into another; mark the old one as moved.

    `progress` is called with a table, its rows so far and all its rows. With `broken_too`, a log
    that does not verify is copied as it is; with `again`, one that was moved to another place
    before. Raise NotMovable, NotTheSame or Unsure; the first two leave the target empty, and the
    source as it was.
    """
    try:
        source.lock_for_serving()
        target.lock_for_serving()
        with _exclusive(source) as old, _exclusive(target) as new:
            before = move_mark.place_of(old)
            if before not in (None, target.place) and not again:
                raise NotMovable(
                    f"FROM was moved to {before} before, and what was received since is there; "
                    "where that never came to be, --again moves it here"
                )
            copied = _copied_all(old, new, progress, is_there=before == target.place)
            if copied.wrong and not broken_too:
                raise NotTheSame("\n".join(copied.wrong))
            _hand_over(old, new, source, target.place)
    except SQLAlchemyError as error:
        raise NotMovable(first_line(error)) from error
    return copied


def _hand_over(old: Connection, new: Connection, source: Database, place: str) -> None:
    """Make the old database refuse writes from now on, then commit the new one."""
    tables, before = _tables_of(old), move_mark.place_of(old)
    move_mark.mark(old, tables, place)
    _transaction_of(old).commit()
    try:
        _transaction_of(new).commit()
    except SQLAlchemyError as error:
        if new.dialect.name != "sqlite":
            raise Unsure(first_line(error)) from error  # nobody knows what a server did
        _restore_mark(source, tables, before)
        raise
    except KeyboardInterrupt:
        raise Unsure("it was stopped by hand") from None


def _transaction_of(connection: Connection) -> Transaction:
    transaction = connection.get_transaction()
    assert transaction is not None
    return transaction


def _restore_mark(source: Database, tables: Sequence[str], before: str | None) -> None:
    """Restore the mark of the old database, or its absence, as it was before."""

    def write(tx: Connection) -> None:
        if before is None:
            move_mark.unmark(tx)
        else:
            move_mark.mark(tx, tables, before)

    try:
        source.write(write)
    except DatabaseError as error:
        raise NotMovable(
            f"{error}. TO could not be committed, nor the mark on FROM be taken back: "
            "FROM takes nothing until the same command has gone through"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of the driver's message, without the statement."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """Yield a transaction beside which nobody else writes; it ends without a commit."""
    names = database.read(_tables_of)
    with database.writer.connect() as connection:
        connection.execution_options(**{EXCLUSIVE: True})
        with connection.begin() as transaction:
            if database.dialect == "postgresql":
                _lock(connection, names)
            yield connection
            transaction.close()


def _lock(connection: Connection, names: Sequence[str]) -> None:
    # the other database may need long, and the server must not end this transaction meanwhile
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    if names:
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE")


def _tables_of(conn: Connection) -> list[str]:
    there = set(inspect(conn).get_table_names())
    return [name for name in (*metadata.tables, "alembic_version") if name in there]


def _copied_all(old: Connection, new: Connection, progress: Progress, *, is_there: bool) -> Moved:
    """Copy and verify. With `is_there`, that was done before, and only its end is not known."""
    schema = _schema(old, "FROM")
    if not schema:
        raise NotMovable("FROM holds nothing of responder")
    _nobody_serves(old, "FROM")
    try:
        _make_ready(new, schema)
    except NotEmpty as error:
        if is_there:
            raise NotMovable(
                "TO has it already: `responder audit verify` on TO says that it holds"
            ) from None
        raise NotMovable(str(error)) from None
    rows = _copied(old, new, progress)
    _copy_id_counters(old, new)
    if schema != SCHEMA:
        upgrade.upgrade(new)
    if new.dialect.name == "postgresql":
        new.exec_driver_sql("ANALYZE")
    chains, wrong = check_log(_Uncommitted(new))
    return Moved(schema=SCHEMA, rows=rows, chains=chains, wrong=wrong)


def _schema(conn: Connection, side: str) -> str:
    """Return the schema's number, empty where there is none."""
    found = revision(conn)
    if found is None:
        return ""
    if not (found.isascii() and found.isdigit()):
        raise NotMovable(f"{side} belongs to another program")
    if found > SCHEMA:
        raise NotMovable(f"{side} was made by a newer responder (schema {found}): use that one")
    return found


def _nobody_serves(conn: Connection, side: str) -> None:
    """Raise NotMovable while a service is alive there; of a SQLite file, its lock has proved it."""
    if conn.dialect.name != "postgresql":
        return
    for table in _ALIVE:
        if not inspect(conn).has_table(table.name):
            continue
        alive = select(table.c.holder).where(table.c.expires_at > now_of(conn))
        if (holder := conn.execute(alive.limit(1)).scalar()) is not None:
            raise NotMovable(
                f"{side} is being served by {holder}: stop it first. "
                "Of one that was killed, this is known after some seconds"
            )


def _make_ready(new: Connection, schema: str) -> None:
    """Create the old schema in the new database; raise NotEmpty where that is not empty."""
    there = _schema(new, "TO")
    names = [name for name in _tables_of(new) if name != "alembic_version"]
    if not there and names:
        raise NotEmpty(f"TO is not empty: it has a table {names[0]}")
    _nobody_serves(new, "TO")
    for table in _tables(new):
        if new.execute(select(text("1")).select_from(table).limit(1)).first():
            raise NotEmpty(f"TO is not empty: there are rows in {table.name}")
    if there > schema:
        raise NotMovable(
            f"FROM has the schema {schema} and TO {there} already: give a TO without any tables"
        )
    if there != schema:
        upgrade.upgrade(new, schema)


def _tables(conn: Connection) -> list[Table]:
    """Return the tables to copy, with the columns and plain types that this database has."""
    there = inspect(conn)
    return [
        Table(
            table.name,
            MetaData(),
            *(Column(found["name"], found["type"]) for found in there.get_columns(table.name)),
        )
        for table in metadata.sorted_tables
        if table not in _ALIVE and there.has_table(table.name)
    ]


def _must_fit(old: Sequence[Table], new: Sequence[Table]) -> None:
    """Raise NotMovable where a schema was changed otherwise than by a migration."""
    columns = [{table.name: set(table.columns.keys()) for table in side} for side in (old, new)]
    for name in columns[0].keys() | columns[1].keys():
        if columns[0].get(name) != columns[1].get(name):
            raise NotMovable(f"FROM's {name} has not the columns that its schema should have")


def _copied(old: Connection, new: Connection, progress: Progress) -> dict[str, int]:
    """Copy every table and compare it with what was read; return the numbers of rows."""
    sources, targets = _tables(old), _tables(new)
    _must_fit(sources, targets)
    rows: dict[str, int] = {}
    for source, target in zip(sources, targets, strict=True):
        read = _copy(old, source, new, target, progress)
        found = _sum(new, target)
        if found != read:
            raise NotTheSame(
                f"{source.name}: {read.rows} rows were read; "
                f"the {found.rows} in the copy are not the same"
            )
        rows[source.name] = read.rows
    return rows


def _copy(
    old: Connection, source: Table, new: Connection, target: Table, progress: Progress
) -> _Sum:
    """Copy a table page by page; return the sum of what was read."""
    total = old.execute(select(func.count()).select_from(source)).scalar_one()
    done = _Sum(0, 0)
    try:
        new_rows = RowInsert(target)
        for page in _pages(old, source):
            new_rows.run(new, [dict(row) for row in page])
            done = _added(done, page)
            progress(source.name, done.rows, total)
    except SQLAlchemyError as error:
        raise NotMovable(f"{source.name}: {first_line(error)}") from error
    return done


def _pages(conn: Connection, table: Table) -> Iterator[Sequence[RowMapping]]:
    """Yield a table's rows through a server-side cursor, so that it need not fit into memory."""
    query = select(*sorted(table.columns, key=lambda column: column.name))
    with conn.execute(query, execution_options={"yield_per": _PAGE}) as found:
        yield from found.mappings().partitions()


def _sum(conn: Connection, table: Table) -> _Sum:
    done = _Sum(0, 0)
    for page in _pages(conn, table):
        done = _added(done, page)
    return done


def _added(done: _Sum, page: Sequence[RowMapping]) -> _Sum:
    hashes = done.hashes
    for row in page:
        written = repr(tuple(row.values())).encode()
        hashes += int.from_bytes(sha256(written).digest())
    return _Sum(done.rows + len(page), hashes % _MODULUS)


def _copy_id_counters(old: Connection, new: Connection) -> None:
    """Set the new database's id counters to the old ones', which may be beyond the last row."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or not inspect(new).has_table(table.name):
            continue
        highest = old.execute(select(func.max(column))).scalar() or 0
        _set_counter(new, table.name, column.name, max(highest, _counter(old, table, column.name)))


def _counter(conn: Connection, table: Table, column: str) -> int:
    """Return the last id that was given, 0 where the database does not store it."""
    if conn.dialect.name == "postgresql":
        sequence = _sequence(conn, table.name, column)
        last, used = conn.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608 -- the database's own name
        return int(last) if used else 0
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return 0
    kept = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(conn.execute(kept, {"name": table.name}).scalar() or 0)


def _set_counter(conn: Connection, table: str, column: str, last: int) -> None:
    if last == 0:
        return
    if conn.dialect.name == "postgresql":
        values = {"name": _sequence(conn, table, column), "last": last}
        conn.execute(text("SELECT setval(CAST(:name AS regclass), :last)"), values)
    elif metadata.tables[table].dialect_options["sqlite"]["autoincrement"]:
        values = {"name": table, "last": last}
        conn.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        conn.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def _sequence(conn: Connection, table: str, column: str) -> str:
    query = text("SELECT pg_get_serial_sequence(:name, :column)")
    return str(conn.execute(query, {"name": table, "column": column}).scalar_one())
