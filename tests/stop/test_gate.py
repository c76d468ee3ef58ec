"""What the gate writes with whatever it commits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import event
from sqlalchemy.engine import Engine

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


@contextmanager
def _heard() -> Iterator[Sequence[str]]:
    """Give every statement that is sent within the block."""
    sent: list[str] = []

    def hear(*told: object) -> None:
        sent.append(str(told[2]))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def test_many_stops_are_written_by_few_statements_more_than_one(driven: Driving) -> None:
    async def story(there: Driving) -> None:
        there.lost_deals(range(1, 22))
        there.deliver([1])
        with _heard() as of_one:
            await there.round()
        there.deliver(range(2, 22))
        with _heard() as of_many:
            await there.round()
        assert there.outcomes() == {"killed": 21}
        assert len(of_many) <= len(of_one) + 20

    play(driven, story)
