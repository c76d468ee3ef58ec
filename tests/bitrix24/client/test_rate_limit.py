"""Tests the arithmetic of the limits against a bucket and a count of time like the portal's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.bitrix24.client.rate_limit import (
    BATCH,
    BATCH_SECONDS,
    MINUTE_SECONDS,
    UNKNOWN_SECONDS,
    WINDOW_SECONDS,
    Bucket,
    ahead,
    drained,
    exhausted,
    filled,
    fitting,
    measured,
    recent,
    room,
    shut_seconds,
    take,
    used,
)
from responder.bitrix24.sandbox.method_time import OperatingTime

LIMITS = st.sampled_from([(2.0, 50.0), (5.0, 250.0), (0.5, 1.0)])
PAUSES = st.lists(st.floats(0, 120, allow_nan=False), min_size=1, max_size=200)
INSTANTS = st.floats(0, 2e9, allow_nan=False)
LEVELS = st.floats(0, 1e4, allow_nan=False)


def test_the_first_requests_of_a_burst_do_not_wait() -> None:
    bucket = Bucket(0.0, 100.0)
    for _ in range(45):
        bucket, wait = take(bucket, 100.0, 2, 50)
        assert wait == 0
    assert take(bucket, 100.0, 2, 50)[1] > 0


def test_a_full_bucket_empties_at_a_little_less_than_the_rate() -> None:
    assert drained(Bucket(50.0, 0.0), 10.0, 2) == Bucket(30.4, 10.0)


def test_a_bucket_of_one_lets_one_request_through() -> None:
    assert take(Bucket(0.0, 0.0), 0.0, 2, 1)[1] == 0


def test_after_the_portal_said_it_is_full_the_next_request_waits() -> None:
    bucket = filled(Bucket(3.0, 0.0), 7.0, 50)
    assert bucket == Bucket(50.0, 7.0)
    assert take(bucket, 7.0, 2, 50)[1] > 0


def test_saying_that_it_is_full_forgives_no_debt() -> None:
    assert filled(Bucket(70.0, 0.0), 7.0, 50).level == 70.0


@given(LIMITS, PAUSES)
def test_whoever_waits_as_told_is_never_limited_by_the_portal(
    limits: tuple[float, float], pauses: list[float]
) -> None:
    rate, burst = limits
    ours, now = Bucket(0.0, 0.0), 0.0
    theirs, seen_at = 0.0, 0.0
    for pause in pauses:
        now += pause
        ours, wait = take(ours, now, rate, burst)
        now += wait
        theirs = max(0.0, theirs - (now - seen_at) * rate) + 1
        seen_at = now
        assert theirs <= burst + 1e-6


@given(LIMITS, st.integers(1, 200))
def test_requests_promised_at_one_moment_keep_their_distance(
    limits: tuple[float, float], count: int
) -> None:
    rate, burst = limits
    bucket, sent_at = Bucket(0.0, 0.0), []
    for _ in range(count):
        bucket, wait = take(bucket, 0.0, rate, burst)
        sent_at.append(wait)
    assert sent_at == sorted(sent_at)
    for place, at in enumerate(sent_at):
        assert place + 1 - at * rate <= burst + 1e-6


@given(LEVELS, INSTANTS, INSTANTS, LIMITS)
def test_no_clock_makes_a_level_negative_or_a_wait_endless(
    level: float, at: float, now: float, limits: tuple[float, float]
) -> None:
    rate, burst = limits
    bucket, wait = take(Bucket(level, at), now, rate, burst)
    assert 1 <= bucket.level <= level + 1
    assert bucket.at == now
    assert 0 <= wait <= (level + 1) / (rate * 0.9)


@given(LEVELS, INSTANTS, st.floats(0, 1e6), LIMITS)
def test_a_clock_that_steps_back_leaks_nothing(
    level: float, at: float, back: float, limits: tuple[float, float]
) -> None:
    assert drained(Bucket(level, at), at - back, limits[0]).level == level


def test_what_was_slow_once_is_trusted_again_by_degrees() -> None:
    assert recent(None, 0.2) == 0.2
    assert recent(0.2, 3.0) == 3.0
    assert recent(8.0, 0.1) == 2.0
    assert recent(0.1, -1.0) == 0.025


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        ([0.0] * 200, 50),
        ([0.2] * 200, 50),
        ([0.5] * 200, 20),
        ([4.0] * 200, 2),
        ([60.0, 0.0], 1),
        ([1.0, 60.0, 1.0], 1),
        ([0.1], 1),
        ([], 0),
    ],
)
def test_a_batch_holds_what_took_ten_seconds_and_one_command_at_least(
    seconds: list[float], count: int
) -> None:
    assert fitting(seconds) == count


@given(st.lists(st.floats(0, 100), min_size=1, max_size=120))
def test_no_batch_of_several_commands_takes_over_ten_seconds(seconds: list[float]) -> None:
    count = fitting(seconds)
    assert 1 <= count <= BATCH
    assert count == 1 or sum(seconds[:count]) <= BATCH_SECONDS


def test_what_an_answer_told_is_forgotten_after_ten_minutes() -> None:
    known = measured(399.0, 1_060.0, 1_000.0, 5_000.0)
    assert used(known, 5_599.0) == 399.0
    assert used(known, 5_600.0) == 0.0
    assert used(known, 4_999.0) == 0.0  # the clock was set back
    assert used(None, 0.0) == 0.0


def test_a_reset_is_counted_by_the_portals_own_clock() -> None:
    assert shut_seconds(measured(500.0, 1_060.0, 1_000.0, 5_000.0), 5_000.0) == 60.0
    assert shut_seconds(measured(500.0, 5_030.0, None, 5_000.0), 5_000.0) == 30.0


@pytest.mark.parametrize("reset_at", [None, 900.0])
def test_a_minute_is_waited_where_no_reset_is_known(reset_at: float | None) -> None:
    assert shut_seconds(measured(500.0, reset_at, 1_000.0, 1_000.0), 1_000.0) == MINUTE_SECONDS
    assert shut_seconds(None, 1_000.0) == MINUTE_SECONDS


def test_no_reset_lies_further_away_than_ten_minutes() -> None:
    assert shut_seconds(measured(500.0, 1e9, 1_000.0, 1_000.0), 1_000.0) == WINDOW_SECONDS


def test_a_refusal_uses_up_the_time_and_keeps_the_reset_that_was_told_last() -> None:
    known = exhausted(measured(100.0, 1_300.0, 1_000.0, 1_000.0), 1_200.0)
    assert room(known, 1_200.0, 0.0) == 0
    assert shut_seconds(known, 1_200.0) == 100.0
    assert shut_seconds(exhausted(None, 1_200.0), 1_200.0) == MINUTE_SECONDS


@pytest.mark.parametrize(
    ("seconds", "each", "count"),
    [(0.0, 0.1, 50), (395.0, 0.0, 50), (395.0, 1.0, 5), (399.9, 1.0, 1), (400.0, 0.0, 0)],
)
def test_a_method_has_room_for_what_is_left_of_its_time(
    seconds: float, each: float, count: int
) -> None:
    assert room(measured(seconds, None, None, 0.0), 0.0, each) == count


@settings(max_examples=50)
@given(
    st.floats(0.01, 2.0),
    st.lists(st.tuples(st.floats(0, 90), st.floats(0, 2)), min_size=50, max_size=400),
)
def test_a_method_that_keeps_to_its_room_is_never_refused_for_its_time(
    cost: float, moments: list[tuple[float, float]]
) -> None:
    theirs, known, took = OperatingTime(), None, UNKNOWN_SECONDS
    now, shut_until = 0.0, 0.0
    for pause, of_others in moments:
        now += pause
        theirs.spend("kill", of_others, now)
        assert not theirs.is_over("kill", now)
        if now < shut_until:
            continue
        count = 1 if shut_until else min(fitting([took] * BATCH), room(known, now, took))
        for _ in range(count):
            assert not theirs.is_over("kill", now)
            theirs.spend("kill", cost, now)
        known = measured(theirs.used("kill", now), theirs.reset_at("kill", now), now, now)
        took = recent(took, cost)
        shut_until = 0.0 if room(known, now, took) else now + shut_seconds(known, now)


@given(LIMITS, st.lists(st.tuples(st.floats(0, 60), st.integers(0, 40)), max_size=30))
def test_what_is_written_down_ahead_is_never_less_than_what_was_sent_but_for_that_lead(
    limits: tuple[float, float], lives: list[tuple[float, int]]
) -> None:
    """Each life of a driver begins with what the last one wrote, and ends without a word."""
    rate, burst = limits
    row, now, theirs, seen_at = Bucket(0.0, 0.0), 0.0, 0.0, 0.0
    for pause, requests in lives:
        now += pause
        ours, counted = row, 0
        for number in range(requests):
            if number >= counted:
                row = Bucket(drained(ours, now, rate).level + ahead(burst), now)
                counted = number + ahead(burst)
            ours, wait = take(ours, now, rate, burst)
            now += wait
            theirs = max(0.0, theirs - (now - seen_at) * rate) + 1
            seen_at = now
            assert theirs <= max(burst, 1 + ahead(burst)) + 1e-6
