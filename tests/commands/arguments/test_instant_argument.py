"""A time is given as how long ago it was, or as an instant with its zone."""

from datetime import UTC, datetime, timedelta

import pytest

from responder.commands.arguments.instant_argument import instant_of

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("8w", NOW - timedelta(weeks=8)),
        ("2026-11-28T09:00Z", NOW - timedelta(hours=1)),
        ("2026-11-28 12:00+03:00", NOW - timedelta(hours=1)),
        ("2026-11-28T09:00:00.500Z", NOW - timedelta(minutes=59, seconds=59.5)),
    ],
)
def test_an_instant_is_understood(text: str, instant: datetime) -> None:
    assert instant_of(text, NOW) == instant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("soon", "a number and a unit .30s, 15m, 2h, 7d., or a time with its zone .*, not 'soon'"),
        ("1", "not '1'"),
        ("-1h", "not '-1h'"),
        ("", "not ''"),
        ("999999w", "takes no 999999w, which is before all time"),
        ("2026-11-28", "a time with its zone .2026-11-28T10:00Z., not '2026-11-28'"),
        ("2026-11-28T10:00", "a time with its zone"),
        ("0001-01-01T00:00+14:00", "beyond all time"),
    ],
)
def test_another_text_is_answered_with_what_is_taken(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        instant_of(text, NOW)
