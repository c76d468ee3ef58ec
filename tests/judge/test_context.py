"""How long a driver leaves alone what it looks at now and then."""

from datetime import UTC, datetime, timedelta

from responder.judge.context import Interval

NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def test_what_was_looked_at_is_left_alone_for_an_interval() -> None:
    interval = Interval(A_SECOND)
    assert interval.is_over(NOON)
    assert not interval.is_over(NOON + A_SECOND / 2)
    assert interval.is_over(NOON + A_SECOND)
    assert not interval.is_over(NOON + A_SECOND)


def test_what_may_have_more_to_see_is_looked_at_at_once() -> None:
    interval = Interval(A_SECOND)
    assert interval.is_over(NOON)
    interval.end()
    assert interval.is_over(NOON)


def test_a_clock_that_was_set_back_makes_no_interval_longer() -> None:
    interval = Interval(A_SECOND)
    assert interval.is_over(NOON)
    assert interval.is_over(NOON - timedelta(hours=1))
