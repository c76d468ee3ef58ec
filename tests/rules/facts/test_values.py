"""Tests of reading single values: durations, and what is empty."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Unknown
from responder.rules.facts import values
from responder.rules.facts.fields import Type


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("10m", timedelta(minutes=10)),
        ("45s", timedelta(seconds=45)),
        ("2w", timedelta(weeks=2)),
        ("1d 12h", timedelta(hours=36)),
        ("0s", timedelta()),
        ("30", None),
        ("d", None),
        ("-1d", None),
        ("1.5h", None),
        ("1y", None),
        ("30D", None),
        ("999999999w", None),
        ("", None),
    ],
)
def test_durations(written: str, length: timedelta | None) -> None:
    assert values.duration(written) == length


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9999)))
def test_a_duration_in_words_reads_back_to_the_second(length: timedelta) -> None:
    whole = timedelta(seconds=int(length.total_seconds()))
    assert values.duration(values.duration_in_words(length)) == whole


def test_a_duration_may_lie_ahead() -> None:
    assert values.duration_in_words(timedelta(seconds=-3661)) == "-1h 1m 1s"


@pytest.mark.parametrize(
    ("value", "type_", "empty"),
    [
        (None, Type.TEXT, True),
        ("", Type.NUMBER, True),
        ([], Type.ANY, True),
        ({}, Type.ANY, True),
        (0, Type.REFERENCE, True),
        ("0", Type.REFERENCE, True),
        (0.0, Type.REFERENCE, True),
        (0, Type.NUMBER, False),
        ("0", Type.ANY, False),
        (False, Type.REFERENCE, False),
        (False, Type.TRUTH, False),
        ("00", Type.REFERENCE, False),
    ],
)
def test_empty_is_null_nothing_and_0_in_a_reference(
    value: object, type_: Type, empty: bool
) -> None:
    assert values.is_empty(value, type_) is empty


def test_what_cannot_be_read_is_shown_and_clipped() -> None:
    read = values.number("x" * 100)
    assert read == Unknown("`" + "x" * 39 + "…` is not a number")
