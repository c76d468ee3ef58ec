"""Drivers of portals that keep events, and that can reserve them or cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store.database.database import Database
from tests.support.installed import CHANGED, DrivingByApplication, driving_by_application


@pytest.fixture(params=["reserving", "taking"])
def driven(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_database: Database
) -> Iterator[DrivingByApplication]:
    """Give a driver whose portal can reserve events, and one whose portal cannot."""
    yield from driving(tmp_path, sqlite_database, extended=request.param == "reserving")


@pytest.fixture(params=["reserving", "taking"])
def driven_anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, database: Database
) -> Iterator[DrivingByApplication]:
    """Give the same two on each kind of database."""
    yield from driving(tmp_path, database, extended=request.param == "reserving")


@pytest.fixture
def reserving(tmp_path: Path, sqlite_database: Database) -> Iterator[DrivingByApplication]:
    yield from driving(tmp_path, sqlite_database, extended=True)


@pytest.fixture
def taking(tmp_path: Path, sqlite_database: Database) -> Iterator[DrivingByApplication]:
    yield from driving(tmp_path, sqlite_database, extended=False)


def driving(place: Path, database: Database, *, extended: bool) -> Iterator[DrivingByApplication]:
    with driving_by_application(database, place, extended=extended) as found:
        found.bind(CHANGED)
        yield found
