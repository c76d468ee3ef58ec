"""People read instants in their own time zone; what looks like an instant and is none stays."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from responder.adapters.local_time import in_line, in_table, in_text, zone_label

AT = datetime(2026, 9, 24, 21, 30, 5, 123_000, tzinfo=UTC)
MOSCOW, DUBAI = ZoneInfo("Europe/Moscow"), ZoneInfo("Asia/Dubai")


@pytest.mark.parametrize(
    ("zone", "label", "shown"),
    [
        (UTC, "UTC", "2026-09-24 21:30:05"),
        (MOSCOW, "MSK", "2026-09-25 00:30:05"),
        (DUBAI, "UTC+04", "2026-09-25 01:30:05"),
    ],
)
def test_an_instant_is_written_in_the_zone(zone: tzinfo, label: str, shown: str) -> None:
    assert zone_label(AT, zone) == label
    assert in_table(AT, zone) == in_table("2026-09-24T21:30:05.123Z", zone) == shown
    assert in_line(AT, zone) == f"{shown} {label}"
    sentence = (
        "after 2026-09-24T21:30:05.123Z or 2026-09-24T21:30:05+00:00; not 2026-99-99T99:99:99Z"
    )
    written = f"{shown} {label}"
    assert in_text(sentence, zone) == f"after {written} or {written}; not 2026-99-99T99:99:99Z"
