"""Storms for the tests of storms: how one begins, and how all of it must have ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from responder.bitrix24.lists.requests import TRIES
from responder.bitrix24.lists.workflows import PAGES_ON_TRUST
from responder.bitrix24.sandbox import Kind
from responder.journal.audit.integrity import check_log
from responder.store.database.database import Database
from tests.support.rounds import INSTANCES, Driving, driving

MANY = range(1, 121)


@pytest.fixture
def driven(tmp_path: Path, database: Database) -> Iterator[Driving]:
    yield from _quietly_driven(tmp_path, database, "cloud")


@pytest.fixture
def driven_on_premise(tmp_path: Path, database: Database) -> Iterator[Driving]:
    """Drive a portal on which any number of workflows may run on one deal."""
    yield from _quietly_driven(tmp_path, database, "on_premise")


def _quietly_driven(place: Path, database: Database, kind: Kind) -> Iterator[Driving]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with driving(database, place, kind=kind) as made:
        yield made
    structlog.reset_defaults()


async def begin(there: Driving, numbers: range = MANY) -> None:
    """Let a storm come, and read, judge and call the first of it."""
    there.lost_deals(numbers)
    there.deliver(numbers)
    await there.round()


def spoil_the_list(there: Driving) -> None:
    """Let the next reading of all that runs fail, so that all is read one by one."""
    there.sandbox.fail_next(INSTANCES, "500", times=TRIES * PAGES_ON_TRUST)


def read_singly(there: Driving) -> int:
    """Count the documents that were read by themselves."""
    return len(there.sandbox.calls_of("crm.item.get"))


async def all_is_done(there: Driving, numbers: range = MANY) -> None:
    """Come to rest, and see that each was killed once and nothing is left."""
    await there.come_to_rest()
    assert not there.sandbox.workflows
    assert len(there.sandbox.killed) == len(set(there.sandbox.killed))
    assert there.outcomes()["killed"] == len(numbers)
    assert there.waiting == 0
    assert check_log(there.database)[1] == []
