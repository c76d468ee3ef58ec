"""Whatever a portal kept is stored before it is removed there, and judged after that."""

import pytest

from responder.store.applications import offline_takings
from responder.store.inbox import inbox
from tests.support.installed import (
    CHANGED,
    CLEAR,
    GET,
    LIST,
    DrivingByApplication,
    documents,
)
from tests.support.rounds import PORTAL, play

pytestmark = pytest.mark.portal

DEALS = range(1, 8)


def test_what_was_kept_is_judged_when_driving_begins(driven: DrivingByApplication) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == len(DEALS)
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(DEALS), 1)


def test_two_hundred_documents_are_read_at_once(driven_anywhere: DrivingByApplication) -> None:
    driven = driven_anywhere
    many = range(1, 201)
    driven.lost_deals(many)
    driven.change(*many)

    async def story(driven: DrivingByApplication) -> None:
        assert await driven.until_idle() < 20  # rounds, and no time was let pass
        assert driven.killed == len(many)
        assert driven.kept == []

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(many), 1)


def test_where_nothing_happens_a_poll_is_one_call(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.later(seconds=80)  # until the reserved rows are listed a second time
        await driven.until_idle()
        driven.calls()
        for _ in range(5):
            assert not await driven.round()
            driven.later(seconds=61)
            await driven.until_idle()
            assert driven.calls() in ([GET], [LIST])

    play(driven, story)


def test_what_happens_between_two_polls_is_read_with_the_next(
    driven: DrivingByApplication,
) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.lost_deals(DEALS)
        driven.change(*DEALS)
        assert not await driven.round()
        driven.later(seconds=61)
        await driven.until_idle()
        assert driven.killed == len(DEALS)

    play(driven, story)


def test_an_announcement_is_heard_and_is_no_event_to_judge(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.lost_deals(DEALS)
        driven.change(*DEALS)
        announce(driven, times=3)
        driven.later(seconds=2)
        await driven.until_idle()
        driven.later(seconds=2)
        await driven.until_idle()
        assert driven.killed == len(DEALS)

    play(driven, story)
    none = [one for one in driven.decisions() if one["document"] is None]
    assert [(one["reason"], one["event"], one["events"]) for one in none] == [
        ("no_document", "ONOFFLINEEVENT", 3)
    ]
    assert "keeps events" in str(none[0]["detail"])


def announce(driven: DrivingByApplication, times: int) -> None:
    row = inbox.row(PORTAL, driven.now(), "event", "ONOFFLINEEVENT", None, None, b"form")
    driven.database.write(lambda tx: inbox.add(tx, [row] * times))


def test_what_came_both_ways_is_judged_as_one(driven: DrivingByApplication) -> None:
    driven.lost_deals([759])
    driven.change(759)
    driven.deliver([759])

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    (decision,) = [one for one in driven.decisions() if one["outcome"] == "killed"]
    assert decision["events"] == 2
    assert driven.received() == {"deal:759": 2}


@pytest.mark.parametrize("fault", ["act_then_drop", "drop_before", "big", "503_limit"])
@pytest.mark.parametrize("method", [GET, LIST, CLEAR, "feature.get", "batch"])
def test_a_lost_answer_loses_no_event(
    method: str, fault: str, driven: DrivingByApplication
) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)
    driven.sandbox.fail_next(method, fault)

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(4):
            await driven.until_idle()
            driven.later(seconds=40)
        await driven.until_idle()
        assert driven.kept == []
        assert driven.waiting == 0
        assert driven.killed == len(DEALS)
        assert driven.database.read(lambda c: offline_takings.under_way(c, PORTAL)) is None

    play(driven, story)
    assert set(driven.received()) == documents(DEALS)


def test_rows_that_stay_although_they_were_cleared_are_stored_once(
    driven: DrivingByApplication,
) -> None:
    many = range(1, 61)
    driven.lost_deals(many)
    driven.change(*many)
    driven.there.offline.reserve(driven.there.offline.rows)
    driven.there.offline.keeps_cleared = True

    async def story(driven: DrivingByApplication) -> None:
        for _ in range(4):
            await driven.until_idle()
            driven.later(seconds=61)
        assert driven.killed == len(many)

    play(driven, story)
    assert driven.received() == dict.fromkeys(documents(many), 1)


def test_the_plan_is_asked_for_once_a_day(driven: DrivingByApplication) -> None:
    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.calls().count("feature.get") == 1
        for _ in range(3):
            driven.later(hours=7)
            await driven.until_idle()
        assert "feature.get" not in driven.calls()
        driven.later(hours=7)
        await driven.until_idle()
        assert driven.calls().count("feature.get") == 1

    play(driven, story)


def test_rows_that_say_little_or_nothing_are_stored_or_left_out(
    driven: DrivingByApplication,
) -> None:
    queue = driven.there.offline
    driven.bind("ONCRMDEALADD", "ONUSERADD")
    driven.sandbox.happens(CHANGED, None)  # EVENT_DATA is false
    driven.sandbox.happens("ONUSERADD", {"ID": 7})
    driven.sandbox.happens(CHANGED, {"FIELDS": {"ID": "no number"}})
    queue.put("", {"FIELDS": {"ID": 8}}, None)
    queue.put("X" * 300, {"FIELDS": {"ID": 8}}, 0)
    driven.lost_deals([759])
    driven.change(759)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 1
        assert driven.kept == []
        assert driven.waiting == 0

    play(driven, story)
    assert driven.received() == {None: 3, "deal:759": 1}


def test_rows_of_other_connectors_are_left_alone(driven: DrivingByApplication) -> None:
    driven.there.bindings.add(CHANGED, connector="another-program")
    driven.lost_deals([759])
    driven.change(759)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        assert driven.killed == 1

    play(driven, story)
    assert [row.connector for row in driven.there.offline.rows] == ["another-program"]
    assert driven.received() == {"deal:759": 1}


def test_no_process_id_is_ever_empty_and_nothing_is_marked_as_an_error(
    driven: DrivingByApplication,
) -> None:
    driven.lost_deals(DEALS)
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()
        driven.later(seconds=90)
        await driven.until_idle()

    play(driven, story)
    for call in driven.sandbox.calls:
        assert call.method != "event.offline.error"
        if call.method in (GET, CLEAR):
            assert call.params.get("process_id", "none") != ""
        if call.method == CLEAR:
            assert call.params["id"]
            assert call.params["message_id"]


def test_where_the_lease_has_no_time_left_nothing_is_taken_or_cleared(
    driven: DrivingByApplication,
) -> None:
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        driven.leased = False
        await driven.until_idle()
        assert not {GET, CLEAR} & set(driven.calls())
        assert len(driven.kept) == len(DEALS)

    play(driven, story)


def test_a_portal_that_refuses_to_read_holds_up_no_event(driven: DrivingByApplication) -> None:
    driven.sandbox.denied_methods.add(GET)
    driven.sandbox.denied_methods.add(LIST)
    driven.lost_deals([759])

    async def story(driven: DrivingByApplication) -> None:
        driven.deliver([759])
        await driven.until_idle()
        assert driven.killed == 1
        assert GET in driven.client.breakers.opened or LIST in driven.client.breakers.opened

    play(driven, story)


def test_events_are_counted_as_they_are_read(driven: DrivingByApplication) -> None:
    driven.change(*DEALS)

    async def story(driven: DrivingByApplication) -> None:
        await driven.until_idle()

    play(driven, story)
    shown = driven.metrics.render().decode()
    assert f'responder_offline_events_total{{portal="main"}} {len(DEALS)}.0' in shown
