"""The tables of the store, alike on SQLite and PostgreSQL.

Instants are kept as microseconds since 1970 in a big integer: exact, and ordered alike by every
database. Texts lose what PostgreSQL cannot hold (NUL, lone surrogates), in both databases, so that
a poisoned text is no different from one to the other. JSON is kept as canonical text (`chain`).
"""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


metadata = MetaData()

# A condition that must be written alike in an index and in a query: SQLite uses a partial index
# only where it can prove that the query implies it.
UNCONCLUDED = text("evaluation IS NULL")
OPEN = text("outcome IN ('waiting', 'held', 'in_doubt')")
ACTING = text("outcome IN ('waiting', 'held', 'in_doubt') AND NOT shadow")
TO_VERIFY = text("verify_at IS NOT NULL")

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("portal", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("event", Words),
    Column("document", Words),
    Column("workflow_id", Words),
    Column("form", LargeBinary, nullable=False),
    Column("evaluation", Text),
    # one index for all that waits, in the order of arrival, so that adding touches one page
    Index(
        "deliveries_waiting",
        "portal",
        "id",
        "document",
        "trigger",
        "workflow_id",
        sqlite_where=UNCONCLUDED,
        postgresql_where=UNCONCLUDED,
    ),
    Index("deliveries_by_time", "received_at", "id"),
    sqlite_autoincrement=True,  # an id is never given twice, not even after pruning
)

chains = Table(
    "chains",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", Text, nullable=False),
    Column("content", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("received_at", Instant),
    Column("trigger", Text, nullable=False),
    Column("event", Words),
    Column("event_names", Text, nullable=False),
    Column("document", Words),
    Column("triple", Text),
    Column("workflow_id", Words),
    Column("template_id", Words),
    Column("rule", Words),
    Column("action", Text, nullable=False),
    Column("ruleset", Text, nullable=False),
    Column("outcome", Text),
    Column("receipt", Boolean),
    Column("detail", Words),
    Column("concluded_at", Instant),
    Column("verified_at", Instant),
    Column("verify_at", Instant),
    Column("due_at", Instant),
    Column("hold", Text),
    Column("shadow", Boolean, nullable=False),
    Column("ready_at", Instant),
    Column("tries", Integer, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("called_at", Instant),
    Column("unknown_id", Boolean, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("concluded", BigInteger),
    Index(
        "decisions_one_open_stop",
        "portal",
        "workflow_id",
        unique=True,
        sqlite_where=ACTING,
        postgresql_where=ACTING,
    ),
    Index("decisions_due", "portal", "due_at", sqlite_where=OPEN, postgresql_where=OPEN),
    Index(
        "decisions_to_verify",
        "portal",
        "verify_at",
        sqlite_where=TO_VERIFY,
        postgresql_where=TO_VERIFY,
    ),
    Index("decisions_by_time", "at", "portal", "seq", "n"),
    Index("decisions_by_workflow", "workflow_id", "at"),
    Index("decisions_by_rule", "rule", "at"),
    Index("decisions_by_call", "portal", "called_at"),
    Index("decisions_by_outcome", "outcome", "at"),
    Index("decisions_by_change", "portal", "changed"),
)

looks = Table(
    "looks",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("document", Words, primary_key=True),
    Column("trigger", Text, primary_key=True),
    Column("workflow_id", Words, primary_key=True),
    Column("event_names", Text, nullable=False),
    Column("due_at", Instant, nullable=False),
    Index("looks_due", "portal", "due_at"),
)

rulesets = Table(
    "rulesets",
    metadata,
    Column("revision", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

trips = Table(
    "trips",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("rule", Words, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("why", Words, nullable=False),
)

rearms = Table(
    "rearms",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("rule", Words, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

switches = Table(
    "switches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Words, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("at", Instant, nullable=False),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("portal", Text, nullable=False),
    Column("rule", Words),
    Column("observe", Boolean, nullable=False),
    Column("by", Words, nullable=False),
    Column("at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("read", Integer, nullable=False),
    Column("total", Integer),
    Column("result", Text),
)

leases = Table(
    "leases",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("level", Double, nullable=False),
    Column("at", Double, nullable=False),
)

breakers = Table(
    "breakers",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("code", Words, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("probe_at", Instant, nullable=False),
)


def insert(tx: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an INSERT that may say what to do on a conflict."""
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
