"""What no rule names is concluded without a call, and counted once."""

from responder.store.inbox import second_looks
from tests.support.rounds import PORTAL, Driving, play
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.storms import driven as driven

ADDED = "ONCRMDEALADD"  # which no rule of these names
NOTHING = 'responder_decisions_total{action="none",outcome="none"}'


def test_a_second_look_that_no_rule_asks_for_any_more_ends_without_an_entry(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        now = there.now()
        there.database.write(
            lambda tx: second_looks.schedule(
                tx, PORTAL, "deal:1", "event", None, (ADDED,), now, None
            )
        )
        await there.until_idle()
        there.later(hours=1)
        later = there.now()
        assert there.database.read(lambda conn: second_looks.due(conn, PORTAL, later)) == []
        assert there.decisions() == []
        assert NOTHING not in there.metrics.render().decode()
        assert there.sandbox.http_requests == 0

    play(driven, story)


def test_events_that_no_rule_names_are_concluded_and_counted_as_one(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.deliver([1, 2, 3], ADDED)
        await there.until_idle()
        assert there.waiting == 0
        assert len(there.decisions()) == 1
        assert f"{NOTHING} 1.0" in there.metrics.render().decode()
        assert there.sandbox.http_requests == 0

    play(driven, story)


def test_after_a_flood_that_no_rule_names_the_driver_rests(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.deliver(range(1, 501), ADDED)
        assert not await there.round()  # so that it wakes later, and concludes many again
        assert there.waiting == 0

    play(driven, story)


def test_what_a_rule_names_behind_such_a_flood_is_judged_at_once(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1])
        there.deliver(range(2, 502), ADDED)
        there.deliver([1])
        assert await there.round()
        await there.until_idle()
        assert there.killed_once()
        assert len(there.sandbox.killed) == 1
        assert there.waiting == 0

    play(driven, story)
