"""Defines the types of columns: instants, and texts from outside.

Instants are stored as microseconds since 1970 in a big integer: exact, and ordered alike by every
database. In texts, characters that PostgreSQL cannot store (NUL, lone surrogates) are replaced, in
both databases, so that a text is the same in one and in the other.
"""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def micros(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Return microseconds since 1970 as an aware instant."""
    return EPOCH + timedelta(microseconds=value)


def clean(words: str) -> str:
    """Return the text with U+FFFD in place of what PostgreSQL cannot store in a text."""
    if words.isascii() and "\x00" not in words:
        return words
    return _UNSTORABLE.sub("\ufffd", words)


class Instant(TypeDecorator[datetime]):
    """An aware instant in a big integer."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the instant as microseconds."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return stored microseconds as an instant."""
        return None if value is None else instant(value)


class Words(TypeDecorator[str]):
    """A text from outside, without characters that only one of the databases could store."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the cleaned text."""
        return None if value is None else clean(value)


Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
"""A text that is compared as bytes, as SQLite compares all of them."""
