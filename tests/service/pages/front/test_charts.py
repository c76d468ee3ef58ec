"""Bars as paths."""

import pytest

from responder.model import OPEN_OUTCOMES, Outcome
from responder.service.pages.front.charts import SERIES, share, sparkline, stacked, top_of


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (7, 8), (9, 10), (10, 10), (13, 20), (61, 80), (999, 1000)],
)
def test_an_axis_ends_at_a_round_number_that_can_be_halved(highest: int, top: int) -> None:
    assert top_of(highest) == top


def test_bars_stand_one_on_the_other_and_in_their_columns() -> None:
    first, second = stacked([(1, 0), (1, 3)], top=4)
    assert first == "M0.1 75h0.8v25h-0.8zM1.1 75h0.8v25h-0.8z"
    assert second == "M1.1 0h0.8v75h-0.8z"


def test_one_of_a_thousand_is_seen() -> None:
    (path,) = stacked([(1,)], top=1000)
    assert path == "M0.1 98.5h0.8v1.5h-0.8z"


def test_nothing_is_no_path() -> None:
    assert sparkline([]) == sparkline([0, 0]) == ""
    assert sparkline([0, 2]) == "M1.1 0h0.8v100h-0.8z"


def test_every_outcome_of_what_was_condemned_has_one_colour() -> None:
    shown = [outcome for series in SERIES for outcome in series.outcomes]
    assert sorted(shown) == sorted({*Outcome} - {Outcome.LEFT})
    assert next(one for one in SERIES if one.name == "open").outcomes == set(OPEN_OUTCOMES)


def test_a_share_is_a_percentage() -> None:
    assert [share(1, 4), share(9, 4), share(1, 0)] == [25, 100, 0]
