"""Finds the time zone in which people are shown instants, by its name."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo


def zone_named(name: str) -> tzinfo:
    """Return the zone of this name, such as `Europe/Moscow`; raise ValueError where there is none.

    The error does not hold the name.
    """
    if name.upper() == "UTC":
        return UTC  # known without the system's files
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name is that of a folder of zones
        raise ValueError("is no time zone: write a name such as Europe/Moscow") from None
