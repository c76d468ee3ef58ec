"""One SQLite for the tables of limits: each row is written into it, and taken back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store.database.database import Connection, Database


@pytest.fixture(scope="module")
def sqlite(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Open a SQLite with the schema in it."""
    path = tmp_path_factory.mktemp("limits") / "responder.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    database.open()
    yield database
    database.close()


@pytest.fixture
def tx(sqlite: Database) -> Iterator[Connection]:
    """Begin a transaction, of which nothing stays."""
    with sqlite.writer.connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()
