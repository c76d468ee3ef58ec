"""Which clock counts where the machine's and the database's differ."""

from datetime import UTC, datetime, timedelta

import pytest

from responder.service.replicas.database_time import Clock

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize("differ", [120.0, -120.0, 0.6])
def test_a_clock_that_differs_follows_the_databases(differ: float) -> None:
    clock = Clock(lambda: NOW)
    clock.compare(NOW, NOW + seconds(differ + 0.1), NOW + seconds(0.2))
    assert clock() == NOW + seconds(differ)


def test_clocks_that_hardly_differ_are_left_alone() -> None:
    clock = Clock(lambda: NOW)
    clock.compare(NOW, NOW + seconds(0.4), NOW)
    assert clock() == NOW


def test_a_clock_that_was_set_right_is_followed_no_longer() -> None:
    clock = Clock(lambda: NOW)
    clock.compare(NOW, NOW + seconds(60), NOW)
    clock.compare(NOW, NOW + seconds(60.3), NOW)
    assert clock() == NOW + seconds(60)  # it does not follow every little difference
    clock.compare(NOW, NOW + seconds(0.1), NOW)
    assert clock() == NOW


@pytest.mark.parametrize("took", [3.0, -1.0])
def test_an_answer_that_took_too_long_says_nothing(took: float) -> None:
    clock = Clock(lambda: NOW)
    clock.compare(NOW, NOW + seconds(60), NOW + seconds(took))
    assert clock() == NOW
