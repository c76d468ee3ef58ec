"""The filters of the log in its address: days and times are those of the admin's time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from responder.service.pages.log.decision_filters import Filters

MOSCOW = ZoneInfo("Europe/Moscow")


def test_a_time_is_one_of_the_zone_and_a_day_ends_there() -> None:
    wanted = Filters.of({"from": "2026-09-24T12:00", "to": "2026-09-24"}).wanted(MOSCOW)
    assert wanted.since == datetime(2026, 9, 24, 9, 0, tzinfo=UTC)
    assert wanted.until == datetime(2026, 9, 24, 21, 0, tzinfo=UTC)
    assert Filters.of({"from": "2026-09-24T12:00Z"}).wanted(MOSCOW).since == datetime(
        2026, 9, 24, 12, 0, tzinfo=UTC
    )
