"""What is meant by values that are written as people write them elsewhere, where it is clear."""

# ruff: noqa: RUF001  # Russian words are among what people write
import pytest

from responder.rules.facts.fields import Type
from responder.rules.load.suggestions import written_values


@pytest.mark.parametrize(
    ("written", "type_", "meant"),
    [
        ("1 000", Type.NUMBER, "1000"),
        ("1\u00a0000,50", Type.NUMBER, "1000.50"),
        ("1,000.5", Type.NUMBER, "1000.5"),
        ("1,5", Type.NUMBER, "1.5"),
        ("1000 руб.", Type.NUMBER, "1000"),
        ("$5", Type.NUMBER, "5"),
        ("much", Type.NUMBER, None),
        ("007", Type.NUMBER, None),
        ("10-20", Type.NUMBER, "{between: [10, 20]}"),
        ("not 5", Type.NUMBER, "{is_not: 5}"),
        ("NOT 5", Type.NUMBER, "{is_not: 5}"),
        ("не 5", Type.NUMBER, "{is_not: 5}"),
        ("5, 6", Type.REFERENCE, "[5, 6]"),
        ("5 or 6", Type.REFERENCE, "[5, 6]"),
        ("5 or so", Type.REFERENCE, None),
        ("user_7", Type.REFERENCE, "7"),
        ("#61", Type.REFERENCE, "61"),
        ("no 61", Type.REFERENCE, "{is_not: 61}"),
        ("not_61", Type.REFERENCE, "{is_not: 61}"),
        ("empty", Type.REFERENCE, "{exists: false}"),
        ("61 // approval", Type.REFERENCE, "61  # approval"),
        ("24.09.2026", Type.DAY, "2026-09-24"),
        ("24/09/2026 9:05", Type.DATE, "2026-09-24T09:05"),
        ("5/6/2026", Type.DAY, None),
        ("31.02.2026", Type.DAY, None),
        ("2026/9/4", Type.DAY, "2026-09-04"),
        ("30", Type.DURATION, "30d"),
        ("3 рабочих дня", Type.DURATION, "3wd"),
        ("1M", Type.DURATION, None),
        ("1 month", Type.DURATION, "30d"),
    ],
)
def test_a_guess_is_only_made_where_there_is_one(
    written: str, type_: Type, meant: str | None
) -> None:
    assert written_values.meant(written, type_) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [("3am", '"03:00"'), ("12 am", '"00:00"'), ("03.30", '"03:30"'), ("25", None), ("noon", None)],
)
def test_a_time_of_day(written: str, meant: str | None) -> None:
    assert written_values.time_of_day(written) == meant
