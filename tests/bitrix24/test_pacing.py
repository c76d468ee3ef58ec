"""Tests the arithmetic of the request limit against a bucket like the portal's."""

from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24.pacing import Bucket, drained, filled, take

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
    assert drained(Bucket(50.0, 0.0), 10.0, 2) == Bucket(31.0, 10.0)


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
