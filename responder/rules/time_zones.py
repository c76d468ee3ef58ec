"""Converts a time of day to an instant in zones whose clocks change, and parses names of zones.

Where clocks go forward some times of day do not exist; such a time means the first instant after it
that does. Where they go back some exist twice; such a time means the first of both.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from responder.rules.load.key_parser import Keys
from responder.rules.load.suggestions import synonyms
from responder.rules.yaml_positions import Table, nearest

_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_OFFSET = re.compile(r"[+-][0-9]")
_NO_NAMES = frozenset({"time", "zone", "timezone", "local", "city", "the", "of"})
_SECOND = timedelta(seconds=1)
_Otherwise = TypeVar("_Otherwise", bound=tzinfo | None)


def read(table: Table, keys: Keys, otherwise: _Otherwise) -> tzinfo | _Otherwise:
    """Read the key `timezone` of a map; return `otherwise` where it is missing or wrong."""
    name = keys.text(table, "timezone")
    if name is None:
        return otherwise
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        node = table.get("timezone")
        assert node is not None
        meant = _zone_meant(name)
        message = f"there is no time zone `{name}`"
        if _OFFSET.search(name):
            message += ": it is named by a city, such as Europe/Moscow"
        keys.mistakes.error(node, message, meant)
        return otherwise


def _zone_meant(name: str) -> str | None:
    """Return the zone that is meant by a wrong name, or by a city among other words."""
    words = [word for word in re.split(r"[\s/,()]+", name) if word.lower() not in _NO_NAMES]
    whole = synonyms.meant(name, (), synonyms.ZONES) or _zone_of(name)
    if whole is not None or _OFFSET.search(name) or len(words) < 1:
        return whole
    found = (synonyms.ZONES.get(word.lower()) or _zone_of(word) for word in words)
    return next((zone for zone in found if zone), None)


def _zone_of(name: str) -> str | None:
    """Return the zone of a city, or the zone with the nearest name.

    An offset (UTC+3) is no zone: those that have such names (Etc/GMT-3) say the opposite.
    """
    if _OFFSET.search(name):
        return None
    zones = sorted(available_timezones())
    city = name.strip().lower().replace(" ", "_")
    found = next((zone for zone in zones if zone.lower().rpartition("/")[2] == city), None)
    return found or nearest(name, [zone for zone in zones if "/" in zone], likeness=0.75)


def time_of_day(written: str) -> time | None:
    """Parse a time of day as a rule writes it, `09:00`; None if the text is not one."""
    found = _TIME.fullmatch(written)
    return time(int(found[1]), int(found[2])) if found else None


def instant(day: date, at: time, zone: tzinfo) -> datetime:
    """Return the instant of this time on this day, in UTC."""
    local = datetime.combine(day, at, zone)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    return _change_between(local.replace(fold=1).astimezone(UTC), found, zone)


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the second at which the clocks of a zone are changed."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
