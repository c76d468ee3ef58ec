"""The types of columns: instants, and texts from outside.

Instants are kept as microseconds since 1970 in a big integer: exact, and ordered alike by every
database. Texts lose what PostgreSQL cannot hold (NUL, lone surrogates), in both databases, so that
a poisoned text is no different from one to the other.
"""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def micros(at: datetime) -> int:
    """Turn an aware instant into microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Turn microseconds since 1970 into an aware instant."""
    return EPOCH + timedelta(microseconds=value)


def clean(words: str) -> str:
    """Replace what PostgreSQL cannot store in a text by U+FFFD."""
    if words.isascii() and "\x00" not in words:
        return words
    return _UNSTORABLE.sub("\ufffd", words)


class Instant(TypeDecorator[datetime]):
    """An aware instant in a big integer."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Store microseconds."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read microseconds."""
        return None if value is None else instant(value)


class Words(TypeDecorator[str]):
    """A text from outside, cleaned of what only one of the databases could hold."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Clean the text."""
        return None if value is None else clean(value)
