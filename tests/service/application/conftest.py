"""A portal with an application and its OAuth server, and a driver for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store.database.database import Database
from tests.support.installing import Installing, installing


@pytest.fixture
def there(sqlite_url: str, tmp_path: Path) -> Iterator[Installing]:
    """Give a driver of a portal whose application is not installed yet."""
    database = Database(sqlite_url)
    database.open()
    database.migrate()
    with installing(database, tmp_path) as there:
        yield there
    database.close()
