"""A time zone is known by its name; a name of none is refused, and never repeated."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from responder.settings.time_zone import zone_named


def test_utc_needs_no_files_of_zones() -> None:
    assert zone_named("UTC") is UTC
    assert zone_named("Europe/Moscow") == ZoneInfo("Europe/Moscow")


@pytest.mark.parametrize(
    "name", ["Moscow", "MSK+3", "../etc/passwd", "/etc/passwd", "Europe", "\0"]
)
def test_a_name_of_no_zone_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone: write a name such as") as refused:
        zone_named(name)
    assert name not in str(refused.value).replace("Europe/Moscow", "")
