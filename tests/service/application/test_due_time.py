"""When something is due next, also where the clock was ahead."""

from datetime import UTC, datetime, timedelta

from responder.service.application.due_time import DueTime

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)


def due_in_a_minute() -> DueTime:
    due = DueTime(A_MINUTE)
    due.set(NOW + A_MINUTE)
    return due


def test_to_begin_with_it_is_due() -> None:
    due = DueTime(A_MINUTE)
    due.hasten(NOW + A_MINUTE)
    assert due.is_over(NOW)
    assert due.seconds_left(NOW) == 0


def test_it_is_due_at_its_time() -> None:
    due = due_in_a_minute()
    assert not due.is_over(NOW)
    assert due.seconds_left(NOW) == 60
    assert due.is_over(NOW + A_MINUTE)
    assert due.seconds_left(NOW + 2 * A_MINUTE) == 0


def test_it_is_hastened_and_never_put_off() -> None:
    due = due_in_a_minute()
    due.hasten(NOW + 2 * A_MINUTE)
    assert due.seconds_left(NOW) == 60
    due.hasten(NOW)
    assert due.is_over(NOW)


def test_a_time_that_a_clock_ahead_has_set_is_over() -> None:
    due = due_in_a_minute()
    an_hour_ago = NOW - timedelta(hours=1)
    assert due.is_over(an_hour_ago)
    assert due.seconds_left(an_hour_ago) == 0
