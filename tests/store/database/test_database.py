"""Opening, migrating, reading and writing, on both databases."""

import contextlib
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from responder.journal import chain
from responder.store.database import database as database_module
from responder.store.database.database import Database
from responder.store.database.engines import DatabaseError, StoreUnavailable
from responder.store.database.tables import metadata
from responder.store.database.upgrade import configuration, upgrade
from tests.support.processes import eventually


def test_a_migrated_schema_is_the_one_the_statements_are_written_for(database: Database) -> None:
    def differences(conn: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(conn), metadata))

    assert database.read(differences) == []


def test_migrating_makes_the_schema_current_and_may_be_repeated(bare_database_url: str) -> None:
    database = Database(bare_database_url)
    database.open()
    assert not database.schema_is_current()
    database.migrate()
    database.migrate()
    assert database.schema_is_current()
    database.close()


def test_a_newer_schema_is_served_and_left_alone(database_url: str) -> None:
    database = Database(database_url)
    database.open()
    database.write(lambda tx: tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    database.migrate()
    assert database.schema_is_current()
    database.close()


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [database_module.SCHEMA]


def test_what_a_failed_transaction_wrote_is_undone(database: Database) -> None:
    def fail(tx: Connection) -> None:
        tx.exec_driver_sql("INSERT INTO chains VALUES ('main', 1, 'x')")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(fail)
    count = database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM chains").scalar())
    assert count == 0


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"):
        database.read(lambda c: c.exec_driver_sql("INSERT INTO chains VALUES ('main', 1, 'x')"))


async def _reading(database: Database) -> object:
    return await database.reading(lambda c: c.exec_driver_sql("SELECT 1").scalar())


def test_who_opens_a_database_to_read_does_not_wait_for_who_writes(migrated_url: str) -> None:
    writing, reading = Database(migrated_url), Database(migrated_url)
    writing.open()

    def read_meanwhile(_tx: Connection) -> bool:
        reading.open()
        return reading.schema_is_current()

    assert writing.write(read_meanwhile)
    reading.close()
    writing.close()


def test_a_read_can_run_in_a_thread(database: Database) -> None:
    import asyncio

    assert asyncio.run(_reading(database)) == 1


def test_every_sqlite_connection_is_durable(bare_sqlite_url: str) -> None:
    database = Database(bare_sqlite_url)
    database.open()

    def pragmas(conn: Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    full = 2
    assert database.write(pragmas) == [full, database.journal_mode, 1, 5000]
    assert database.read(pragmas) == [full, database.journal_mode, 1, 5000]
    new = tuple(map(int, database.library_version.split("."))) >= (3, 51, 3)
    assert database.journal_mode == ("wal" if new else "truncate")
    database.close()


def test_a_sqlite_file_is_for_nobody_else(bare_sqlite_url: str) -> None:
    database = Database(bare_sqlite_url)
    database.open()
    assert database.path is not None
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    database.close()


def test_postgresql_commits_durably_whatever_the_role_was_given(postgres_url: str) -> None:
    first = Database(postgres_url)
    first.open()
    first.write(
        lambda tx: tx.exec_driver_sql(
            f'ALTER DATABASE "{tx.engine.url.database}" SET synchronous_commit = off'
        )
    )
    first.close()
    second = Database(postgres_url)
    second.open()
    setting = second.write(lambda tx: tx.exec_driver_sql("SHOW synchronous_commit").scalar())
    assert setting == "on"
    second.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "mysql://root:hunter2hunter2@db/x",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql+asyncpg://u:hunter2hunter2@h/d",
        "postgresql://u:hunter2hunter2@h:port/d",
    ],
)
def test_a_wrong_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    database = Database(f"postgresql+psycopg://u:hunter2hunter2@/d?host={tmp_path}")
    with pytest.raises(StoreUnavailable) as caught:
        database.open()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(database)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}").open()


@pytest.mark.store
def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is not a database, whatever its name may say" * 100)
    with pytest.raises(DatabaseError):
        Database(f"sqlite:///{path}").open()


def test_a_closed_database_says_so(bare_sqlite_url: str) -> None:
    with pytest.raises(StoreUnavailable):
        Database(bare_sqlite_url).read(lambda c: c)


def test_a_read_under_way_when_its_database_closes_finishes_and_leaves_no_connection(
    migrated_url: str,
) -> None:
    database = Database(migrated_url)
    database.open()

    def closed_meanwhile(conn: Connection) -> tuple[object, object]:
        used = conn.connection.dbapi_connection
        database.close()
        return conn.exec_driver_sql("SELECT 1").scalar_one(), used

    number, used = database.read(closed_meanwhile)
    assert number == 1
    with pytest.raises(Exception, match="closed"):
        used.cursor()  # type: ignore[attr-defined]


@pytest.mark.service
def test_one_process_serves_a_sqlite_file(bare_sqlite_url: str) -> None:
    program = (
        "import sys; from responder.store.database.database import Database\n"
        f"d = Database({bare_sqlite_url!r}); d.open()\n"
        "try:\n    d.lock_for_serving()\nexcept Exception as e:\n    print(e)"
    )
    first = Database(bare_sqlite_url)
    first.open()
    first.lock_for_serving()
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert f"served by another process ({os.getpid()})" in told.stdout
    first.close()
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == ""


@pytest.mark.service
def test_opening_does_not_import_alembic() -> None:
    program = "import sys, responder.store.group_commit; print('alembic' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


def test_a_file_is_served_once_by_whatever_link_it_is_opened(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    first = Database(bare_sqlite_url)
    first.open()
    first.lock_for_serving()
    assert first.path is not None
    (tmp_path / "link.db").symlink_to(first.path)
    second = Database(f"sqlite:///{tmp_path / 'link.db'}")
    second.open()
    with pytest.raises(DatabaseError, match="served by another process"):
        second.lock_for_serving()
    second.close()
    first.close()


def test_a_migration_gives_way_to_who_holds_what_it_needs(bare_postgres_url: str) -> None:
    database = Database(bare_postgres_url)
    database.open()
    database.write(lambda tx: upgrade(tx, "0002"))
    migration = threading.Thread(target=database.migrate)

    def waits_for_looks(conn: Connection) -> bool:
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'looks'::regclass"
        return conn.exec_driver_sql(waiting).first() is not None

    with database.writer.begin() as tx:  # in the order of a replica that serves
        tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        tx.exec_driver_sql("UPDATE looks SET portal = portal")
        migration.start()
        eventually(lambda: database.read(waits_for_looks) or None)
        tx.exec_driver_sql("UPDATE decisions SET portal = portal")
    migration.join(30)
    assert database.schema_is_current()
    database.close()


def test_two_that_wait_for_each_other_both_get_their_turn(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()
    for portal in ("a", "b"):
        database.write(partial(chain.lock, portal=portal))
    both = threading.Barrier(2)

    def crosswise(tx: Connection, first: str, second: str) -> None:
        chain.lock(tx, first)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(2)
        both.abort()  # nobody waits there the second time, alone and with a lock
        chain.lock(tx, second)

    with ThreadPoolExecutor() as threads:
        orders = (("a", "b"), ("b", "a"))
        writes = [
            threads.submit(database.write, partial(crosswise, first=one, second=other))
            for one, other in orders
        ]
        assert [write.result(30) for write in writes] == [None, None]
    database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SET TRANSACTION READ ONLY; CREATE TABLE t (n int)",
        "SET LOCAL idle_in_transaction_session_timeout = 50; SELECT pg_sleep(0)",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_cancel_backend(pg_backend_pid())",
    ],
)
def test_a_server_that_will_not_is_no_fault_of_who_asked(postgres_url: str, statement: str) -> None:
    database = Database(postgres_url)
    database.open()

    def ask(tx: Connection) -> None:
        for part in statement.split("; "):
            tx.exec_driver_sql(part)
        time.sleep(0.3)
        tx.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnavailable):
        database.write(ask)
    database.close()


def test_the_time_is_that_of_the_server(
    postgres_url: str, bare_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ours = datetime.now(UTC), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: ours() + 3_600_000_000_000)
    ahead = {}
    for url in (postgres_url, bare_sqlite_url):
        database = Database(url)
        database.open()
        ahead[database.dialect] = round((database.now() - real) / timedelta(hours=1))
        database.close()
    assert ahead == {"postgresql": 0, "sqlite": 1}
