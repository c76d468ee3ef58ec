"""Parses the time since which something is asked for: `1h`, `30d`, or an instant with its zone."""

import re
from datetime import UTC, datetime, timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH = re.compile(r"([0-9]{1,6})([smhdw])")

SINCE_HELP = "Only since then: 30s, 15m, 2h, 7d ago, or 2026-11-28T10:00Z."


def instant_of(text: str, now: datetime) -> datetime:
    """Return the instant that is meant; raise ValueError for a text that means none."""
    length = _LENGTH.fullmatch(text)
    if length is not None:
        try:
            return now - timedelta(**{_UNITS[length[2]]: int(length[1])})
        except OverflowError:
            raise ValueError(f"takes no {text}, which is before all time") from None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "takes a number and a unit (30s, 15m, 2h, 7d), or a time with its zone "
            f"(2026-11-28T10:00Z), not {text!r}"
        ) from None
    if instant.tzinfo is None:
        raise ValueError(f"takes a time with its zone (2026-11-28T10:00Z), not {text!r}")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"takes no {text}, which is beyond all time") from None


class Since(click.ParamType[datetime]):
    """The type of options such as `--since`."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the instant, or end the program with what the option takes."""
        if isinstance(value, datetime):
            return value
        try:
            return instant_of(str(value).strip(), datetime.now(UTC))
        except ValueError as error:
            option = "It" if param is None else param.opts[0]
            raise click.UsageError(f"{option} {error}", ctx) from None


SINCE = Since()
