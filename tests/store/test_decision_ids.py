"""Tests of the names of decisions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.store.decision_ids import decision_name, place_of

PLACES = {
    "main-17-1": ("main", 17, 1),
    "main-17-12": ("main", 17, 12),
    "a-portal-17-1": ("a-portal", 17, 1),
    "main-0-0": ("main", 0, 0),
    "main-17": None,
    "main": None,
    "": None,
    "main-17-": None,
    "main--1": None,
    "main-x-1": None,
    "main-17-x": None,
    "main-17-1.0": None,
    "main-17-²": None,  # a digit, and no number
    "main-17-\u0661": None,  # a digit of another script
    "main-1234567890-1": None,  # no log is so long
}


@pytest.mark.parametrize(("name", "place"), PLACES.items())
def test_where_a_decision_of_this_name_stands(
    name: str, place: tuple[str, int, int] | None
) -> None:
    assert place_of(name) == place


number = st.integers(0, 10**9 - 1)


@given(st.text(), number, number)
def test_a_name_reads_back_as_the_place_it_was_made_of(portal: str, seq: int, n: int) -> None:
    assert place_of(decision_name(portal, seq, n)) == (portal, seq, n)


@given(st.text())
def test_any_text_is_a_name_or_none(text: str) -> None:
    place_of(text)
