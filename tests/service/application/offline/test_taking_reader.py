"""Where a portal cannot reserve events, none is judged before it was taken."""

from typing import Literal

import pytest

from responder.bitrix24.sandbox.answers import RefusedError
from responder.store.applications import offline_takings
from tests.support.installed import (
    CHANGED,
    CLEAR,
    GET,
    LIST,
    DrivingByApplication,
    documents,
)
from tests.support.rounds import DEAL, PORTAL, play

pytestmark = pytest.mark.portal

DEALS = range(1, 8)


@pytest.fixture
def driven(taking: DrivingByApplication) -> DrivingByApplication:
    return taking


def test_rows_reserved_while_the_plan_allowed_it_are_read_without_it(
    driven: DrivingByApplication,
) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)
    driven.there.offline.reserve(driven.there.offline.rows[:4])

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == len(DEALS)
        assert driven.kept == []

    play(driven, story)


def test_a_change_merged_into_a_row_that_is_taken_is_judged(
    driven: DrivingByApplication,
) -> None:
    driven.sandbox.add_item(2, 5, stageSemanticId="P")
    driven.sandbox.start_workflow((*DEAL, "DEAL_5"), 61)
    driven.change(5)

    def lose_it() -> None:
        driven.lose_deal_in_between(5)

    driven.before(GET, lose_it)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 1
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == {"deal:5": 1}  # the change was merged, and came alone


def test_while_a_taking_may_be_under_way_its_documents_are_not_judged(
    driven: DrivingByApplication,
) -> None:
    driven.sandbox.add_item(2, 5, stageSemanticId="P")
    driven.sandbox.start_workflow((*DEAL, "DEAL_5"), 61)
    driven.lost_deals([6])
    driven.change(5)
    driven.before(GET, lambda: driven.lose_deal_in_between(5))
    driven.sandbox.fail_next(GET, "act_then_drop")

    async def story(driven: DrivingByApplication) -> None:
        driven.deliver([5, 6])
        await driven.until_idle()
        assert driven.killed == 1  # the other one
        driven.later(seconds=60)
        driven.deliver([5])
        await driven.until_idle()
        assert driven.killed == 1
        assert driven.waiting == 3
        driven.later(seconds=16)
        await driven.until_idle()
        assert driven.killed == 2

    play(driven, story)
    assert {one["events"] for one in driven.decisions()} == {1, 3}


def test_a_row_that_the_taking_shows_first_is_stored(driven: DrivingByApplication) -> None:
    driven.lost_deals([1, 2, 3])
    driven.change(1, 2, 3)
    late = driven.there.offline.rows.pop(1)  # its change is not committed yet
    driven.before(GET, lambda: driven.there.offline.rows.append(late))

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 3

    play(driven, story)
    assert driven.received() == {"deal:1": 1, "deal:2": 1, "deal:3": 1}


def test_what_happens_after_the_listing_stays_for_the_next(driven: DrivingByApplication) -> None:
    driven.lost_deals([1, 2])
    driven.change(1)
    driven.before(GET, lambda: driven.change(2))

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.kept == [CHANGED]
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == 2

    play(driven, story)


def test_rows_that_cannot_be_taken_hide_no_others(driven: DrivingByApplication) -> None:
    driven.lost_deals(range(1, 81))
    driven.change(*range(1, 81))
    for row in driven.there.offline.rows[:60]:
        row.error = 1  # somebody has set them aside

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 80
        assert len(driven.kept) == 60
        driven.later(seconds=61)
        driven.calls()
        await driven.until_idle()
        assert driven.calls().count(GET) == 2  # once more, when the second of a change is over
        driven.later(seconds=61)
        await driven.until_idle()
        assert GET not in driven.calls()

    play(driven, story)
    twice = dict.fromkeys(documents(range(1, 61)), 2)
    assert driven.received() == twice | dict.fromkeys(documents(range(61, 81)), 1)


def test_a_row_that_cannot_be_taken_is_judged_when_it_changes_within_its_second(
    driven: DrivingByApplication,
) -> None:
    driven.sandbox.add_item(2, 5, stageSemanticId="P")
    driven.sandbox.start_workflow((*DEAL, "DEAL_5"), 61)
    driven.change(5)
    (row,) = driven.there.offline.rows
    row.error, at = 1, row.at

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 0
        driven.lose_deal_in_between(5)
        row.at = at  # in the same second
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == 1

    play(driven, story)


@pytest.mark.parametrize(
    "refusal",
    [
        ("error", 400, "ERROR_ARGUMENT", "Wrong filter"),
        ("error", 403, "WRONG_LICENSE", "Not in this plan"),
        ("error", 403, "ACCESS_DENIED", "Denied"),
    ],
)
def test_rows_whose_taking_is_refused_for_long_are_stored_once_and_once_more_in_the_end(
    driven: DrivingByApplication, refusal: tuple[Literal["error"], int, str, str]
) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)
    driven.sandbox.fail_next(GET, refusal, times=1000)

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(20):
            await driven.until_idle()
            driven.later(seconds=61)
        assert driven.killed == len(DEALS)
        assert driven.received() == dict.fromkeys(documents(DEALS), 1)
        assert 3 <= driven.calls().count(GET) <= 12
        driven.sandbox.faults.clear()
        driven.later(minutes=6)
        await driven.until_idle()
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(DEALS), 2)


def test_rows_whose_taking_alone_is_refused_are_stored_with_each_try_and_those_grow_seldom(
    driven: DrivingByApplication,
) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)

    def refuse() -> None:
        driven.before(GET, refuse)
        if driven.sandbox.calls_of(GET)[-1].params["filter"] != {">=ID": 1, "<=ID": 0}:
            raise RefusedError(400, "ERROR_ARGUMENT", "Wrong filter")

    driven.before(GET, refuse)

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(20):
            await driven.until_idle()
            driven.later(seconds=61)

    play(driven, story)
    (times,) = {*driven.received().values()}
    assert 5 <= times <= 8


@pytest.mark.parametrize("fault", [None, "act_then_drop"])
def test_a_row_that_was_judged_and_changes_before_it_is_taken_at_last_is_judged_again(
    driven: DrivingByApplication, fault: Literal["act_then_drop"] | None
) -> None:
    driven.sandbox.add_item(2, 5, stageSemanticId="P")
    driven.sandbox.start_workflow((*DEAL, "DEAL_5"), 61)
    driven.change(5)
    driven.there.offline.rows[0].at -= 60
    refusals = 2  # after which it was stored twice
    stored = 0

    def refuse() -> None:
        nonlocal refusals, stored
        driven.before(GET, refuse)
        if driven.sandbox.calls_of(GET)[-1].params["filter"] == {">=ID": 1, "<=ID": 0}:
            return
        if refusals:
            refusals -= 1
            raise RefusedError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        driven.before(GET, lambda: None)
        if fault is not None:
            driven.sandbox.fail_next(GET, fault)
        stored = driven.received()["deal:5"]
        driven.lose_deal_in_between(5)

    driven.before(GET, refuse)

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(4):
            await driven.until_idle()
            driven.later(seconds=61)
        driven.later(seconds=61)
        await driven.until_idle()
        assert stored == 3  # before it was taken, whoever dies after that
        assert driven.kept == []
        assert driven.killed == 1

    play(driven, story)


def test_where_reserved_rows_cannot_be_cleared_others_are_read(
    driven: DrivingByApplication,
) -> None:
    driven.sandbox.fail_next(CLEAR, ("error", 403, "WRONG_LICENSE", "no"), times=1000)
    driven.lost_deals(DEALS)
    driven.change(*DEALS)
    driven.there.offline.reserve(driven.there.offline.rows[:2])

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(4):
            await driven.until_idle()
            driven.later(seconds=61)
        assert driven.killed == len(DEALS)
        assert len(driven.kept) == 2

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(DEALS), 1)


def test_the_document_of_a_refused_taking_is_judged(driven: DrivingByApplication) -> None:
    driven.sandbox.denied_methods.add(GET)
    driven.lost_deals([759])
    driven.change(759)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 1
        assert driven.kept == [CHANGED]
        assert driven.database.read(lambda c: offline_takings.under_way(c, PORTAL)) is None
        for _ in range(9):
            driven.later(seconds=6)
            await driven.until_idle()
        assert driven.received() == {"deal:759": 1}  # not again at each try

    play(driven, story)


def test_a_taking_that_a_dead_process_left_is_over_in_time(driven: DrivingByApplication) -> None:
    driven.lost_deals([759])
    driven.change(759)
    driven.database.write(lambda tx: offline_takings.begin(tx, PORTAL, ["deal:759"], driven.now()))

    async def story(driven: DrivingByApplication) -> None:
        driven.deliver([759])
        await driven.until_idle()
        assert GET not in driven.calls()
        assert driven.killed == 0
        driven.later(seconds=76)
        await driven.until_idle()
        assert driven.killed == 1
        assert driven.kept == []

    play(driven, story)


def test_a_taking_that_an_application_left_holds_nothing_up_when_it_is_gone(
    driven: DrivingByApplication,
) -> None:
    driven.lost_deals([759])
    driven.sandbox.denied_methods |= {GET, LIST}
    driven.database.write(lambda tx: offline_takings.begin(tx, PORTAL, ["deal:759"], driven.now()))

    async def story(driven: DrivingByApplication) -> None:
        driven.deliver([759])
        await driven.until_idle()
        assert driven.killed == 0
        driven.later(seconds=76)
        await driven.until_idle()
        assert driven.killed == 1

    play(driven, story)
