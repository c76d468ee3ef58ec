"""Plays stories of rules and the portal, in which the kind of database plays no part, on SQLite.

What they send to it, those of `test_round_sets`, `test_round_holds` and `test_sweeper` send to each
kind.
"""

from pathlib import Path

import pytest

from responder.store.database.database import Database
from tests.support.stories import Tell, teller


@pytest.fixture
def tell(tmp_path: Path, sqlite_database: Database) -> Tell:
    """Give what plays a story by some rules."""
    return teller(sqlite_database, tmp_path)
