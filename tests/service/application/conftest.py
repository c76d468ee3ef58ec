"""A portal with an application and its OAuth server, and a driver for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store.database.database import Database
from tests.support.installing import Installing, installing


@pytest.fixture
def there(sqlite_database: Database, tmp_path: Path) -> Iterator[Installing]:
    """Give a driver of a portal whose application is not installed yet."""
    with installing(sqlite_database, tmp_path) as there:
        yield there
