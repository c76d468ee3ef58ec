"""What the gate writes with whatever it commits."""

from datetime import timedelta

from responder.store import client_state
from tests.support.rounds import PORTAL, Driving, play
from tests.support.storms import driven as driven

A_MINUTE = timedelta(minutes=1)


def _breakers(there: Driving) -> list[str]:
    rows = there.database.read(lambda conn: client_state.breakers(conn, PORTAL))
    return [row.method for row in rows]


def test_breakers_that_changed_are_written_by_a_commit_that_is_made_anyway(
    driven: Driving,
) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals([1, 2])
        there.deliver([1])
        await there.round()
        there.deliver([2])
        there.client.breakers.open("user.get", "ACCESS_DENIED", A_MINUTE)
        before = there.commits.commits
        await there.round()
        assert there.outcomes() == {"killed": 2}
        assert there.commits.commits == before + 2  # the intent, and what came of it
        assert _breakers(there) == ["user.get"]

    play(driven, story)


def test_breakers_that_changed_are_written_where_nothing_else_is(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.client.breakers.open("user.get", "ACCESS_DENIED", A_MINUTE)
        await there.round()
        assert _breakers(there) == ["user.get"]
        there.client.breakers.close("user.get")
        await there.round()
        assert _breakers(there) == []
        before = there.commits.commits
        await there.round()
        assert there.commits.commits == before

    play(driven, story)
