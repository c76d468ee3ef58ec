"""Writes values as canonical JSON, and instants as text, the same in every database."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime

from responder.model import Unknown

_DEEPEST = 40
_MOST_BITS = 14_000  # Python refuses to turn a longer integer into decimal text


def canonical(value: object) -> str:
    """Return a value as canonical JSON in ASCII: sorted keys, no spaces; never raise.

    Whatever a portal sent can be written: a number that JSON lacks, an integer of thousands of
    digits and anything nested deeper than forty levels become text.
    """
    return json.dumps(_plain(value, 0), sort_keys=True, separators=(",", ":"), allow_nan=False)


def instant_text(at: datetime) -> str:
    """Return an instant as UTC text with milliseconds: `2026-09-24T09:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "nested too deeply"
    if isinstance(value, Unknown):
        return {"unknown": value.why}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth + 1) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return value if value.bit_length() <= _MOST_BITS else f"{value:#x}"
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, datetime):
        return instant_text(value)
    return str(value)
