"""Writes instants for people in the time zone of RESPONDER_TIMEZONE. Machines get UTC, always."""

import re
from datetime import datetime, tzinfo

_INSTANT = re.compile(
    r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|\+00:00)",
    re.ASCII,
)


def zone_label(at: datetime, zone: tzinfo) -> str:
    """Return what a zone is called at an instant: `MSK`, or `UTC+04` where it has no such name."""
    name = at.astimezone(zone).tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def in_table(at: datetime | str, zone: tzinfo) -> str:
    """Return an instant for a column whose head names the zone: `2026-09-24 12:00:00`."""
    exact = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{exact.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def in_line(at: datetime | str, zone: tzinfo) -> str:
    """Return an instant with its zone: `2026-09-24 12:00:00 MSK`."""
    exact = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{in_table(exact, zone)} {zone_label(exact, zone)}"


def in_text(text: str, zone: tzinfo) -> str:
    """Return a text in which every instant, written as in JSON, is written as `in_line` does."""
    return _INSTANT.sub(lambda found: _or_unchanged(found[0], zone), text)


def _or_unchanged(written: str, zone: tzinfo) -> str:
    try:
        return in_line(written, zone)
    except (ValueError, OverflowError):
        return written  # it only looks like an instant
