"""Reads values as the portal writes them: instants with an offset, ids as digits."""

import re
from datetime import datetime

_DIGITS = re.compile(r"[0-9]{1,18}")


def number(value: object) -> int | None:
    """Return a whole number from digits, or None for anything else."""
    text = "" if isinstance(value, bool) else str(value) if isinstance(value, int | str) else ""
    return int(text) if _DIGITS.fullmatch(text) else None


def instant(value: object) -> datetime | None:
    """Return an instant with an offset, or None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def has_offset(value: object) -> bool:
    """Return whether a value is an instant with an offset."""
    return instant(value) is not None
