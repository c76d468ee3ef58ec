"""Where a portal can reserve events, they are reserved, stored and cleared."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from responder.stop.gate import Gate
from responder.store.database.database import Connection
from tests.support.installed import (
    CLEAR,
    EXTENDED,
    GET,
    LIST,
    DrivingByApplication,
    documents,
)
from tests.support.rounds import play

pytestmark = pytest.mark.portal

T = TypeVar("T")
DEALS = range(1, 8)


@pytest.fixture
def driven(reserving: DrivingByApplication) -> DrivingByApplication:
    return reserving


def test_rows_that_a_dead_process_has_reserved_are_read_first(
    driven: DrivingByApplication,
) -> None:
    driven.lost_deals(range(1, 121))
    driven.change(*range(1, 121))
    driven.there.offline.reserve(driven.there.offline.rows[:60])
    driven.there.offline.reserve(driven.there.offline.rows[60:110])

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 120
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(range(1, 121)), 1)


def test_what_a_request_reserves_that_arrives_long_after_it_was_given_up_is_read_within_the_hour(
    driven: DrivingByApplication,
) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.later(minutes=3)
        await driven.until_idle()
        driven.lost_deals(DEALS)
        driven.change(*DEALS)
        driven.there.offline.reserve(driven.there.offline.rows)
        driven.later(minutes=61)
        await driven.until_idle()
        assert driven.killed == len(DEALS)
        assert driven.kept == []

    play(driven, story)


def test_a_plan_that_reserves_no_more_is_noticed_at_once(driven: DrivingByApplication) -> None:

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.sandbox.features.discard(EXTENDED)
        driven.lost_deals(DEALS)
        driven.change(*DEALS)
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == len(DEALS)
        assert driven.client.breakers.opened == {}

    play(driven, story)


@pytest.mark.parametrize("by_the_docs", [True, False])
def test_rows_are_cleared_whichever_name_the_portal_obeys(
    by_the_docs: bool, driven: DrivingByApplication
) -> None:
    driven.there.offline.by_the_docs = by_the_docs
    driven.lost_deals(DEALS)
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.kept == []

    play(driven, story)


def test_rows_that_cannot_be_cleared_are_not_stored_again(driven: DrivingByApplication) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)
    driven.sandbox.fail_next(CLEAR, ("error", 400, "ERROR_CORE", "not now"), times=4)

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(8):
            await driven.until_idle()
            driven.later(seconds=61)
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(DEALS), 1)


class FaultyGate(Gate):
    """A gate in which a fault of ours strikes the next commit (`is_struck`)."""

    is_struck = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit, or fail."""
        if FaultyGate.is_struck:
            FaultyGate.is_struck = False
            raise ValueError("a fault of ours")
        return await super().write(work)


def test_rows_that_a_fault_of_ours_left_reserved_are_listed_and_read(
    driven: DrivingByApplication,
) -> None:
    driven.gate = FaultyGate

    def strike() -> None:
        FaultyGate.is_struck = True

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.later(minutes=3)
        await driven.until_idle()
        driven.lost_deals(DEALS)
        driven.change(*DEALS)
        driven.before(GET, strike)
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == 0
        assert len(driven.kept) == len(DEALS)
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == len(DEALS)
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(DEALS), 1)


def test_where_reserved_rows_cannot_be_listed_others_are_read(
    driven: DrivingByApplication,
) -> None:
    driven.sandbox.denied_methods.add(LIST)
    driven.lost_deals(DEALS)
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == len(DEALS)

    play(driven, story)
