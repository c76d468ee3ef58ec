"""Defines the tables, alike on SQLite and PostgreSQL. JSON is stored as text (`canonical_json`).

The migrations make tables and indexes. A partial index has the same condition on PostgreSQL, which
is not repeated here: naming it would import that dialect wherever a table is named.
"""

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from responder.store.database.columns import Bytewise, Instant, Words

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()

# A condition that must be written alike in an index and in a query: SQLite uses a partial index
# only where it can prove that the query implies it.
UNCONCLUDED = text("evaluation IS NULL")
OPEN = text("outcome IN ('waiting', 'held', 'in_doubt')")
ACTING = text("outcome IN ('waiting', 'held', 'in_doubt') AND NOT shadow")
TO_VERIFY = text("verify_at IS NOT NULL")
HAS_DOCUMENT = text("document IS NOT NULL")
ACTS = text("action <> 'none'")
WATCHING = text("look_at IS NOT NULL")
CALLED = text("called_at IS NOT NULL")
IN_A_SET = text("set_name IS NOT NULL")
CONDEMNS = text("action IN ('kill', 'terminate')")

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
    # one index of what waits, in order of arrival, so that an insert touches one page of it
    Index(
        "deliveries_waiting",
        "portal",
        "id",
        "document",
        "trigger",
        "workflow_id",
        sqlite_where=UNCONCLUDED,
    ),
    Index("deliveries_by_time", "received_at", "id"),
    Index("deliveries_by_portal", "portal", "received_at"),
    sqlite_autoincrement=True,  # an id is never given twice, not even after pruning
)

# the id up to which the forms of a portal's concluded deliveries are emptied (`delivery_forms`)
emptied = Table(
    "emptied",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("through", BigInteger, nullable=False),
)

# counts of refused deliveries, by the portal they claimed to come from ("" for none of ours)
refusals = Table(
    "refusals",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("why", Text, primary_key=True),
    Column("hour", Instant, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_at", Instant, nullable=False),
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
    # how it was condemned (`entries`), and of which set it is (`limits`)
    Column("asked", Words),
    Column("alone", Boolean),
    Column("spared", Words),
    Column("set_name", Words),
    Column("begun", Boolean),
    Column("begun_by", Text),
    Column("running", Integer),
    Column("postponed_at", Instant),
    Column("perhaps_done", Boolean),
    Column("names", Text),
    Index(
        "decisions_one_open_stop",
        "portal",
        "workflow_id",
        unique=True,
        sqlite_where=ACTING,
    ),
    Index("decisions_due", "portal", "due_at", sqlite_where=OPEN),
    Index("decisions_open_on", "portal", "document", sqlite_where=OPEN),
    Index(
        "decisions_to_verify",
        "portal",
        "verify_at",
        sqlite_where=TO_VERIFY,
    ),
    Index(
        "decisions_by_set",
        "portal",
        "set_name",
        sqlite_where=IN_A_SET,
    ),
    Index("decisions_by_time", "at", "portal", "seq", "n"),
    Index("decisions_by_workflow", "workflow_id", "at"),
    Index("decisions_by_rule", "rule", "at"),
    Index("decisions_by_call", "portal", "called_at"),
    Index(
        "decisions_called_on",
        "portal",
        "document",
        "called_at",
        sqlite_where=CALLED,
    ),
    Index("decisions_by_outcome", "outcome", "at"),
    Index("decisions_by_change", "portal", "changed"),
    Index(
        "decisions_by_document",
        "document",
        "at",
        sqlite_where=HAS_DOCUMENT,
    ),
    Index(
        "decisions_that_act",
        "at",
        "portal",
        "seq",
        "n",
        sqlite_where=ACTS,
    ),
    # all that is counted by hour, so that counting reads the index alone
    Index("decisions_by_hour", "at", "rule", "outcome", sqlite_where=ACTS),
    Index(
        "decisions_that_condemn",
        "at",
        "portal",
        "seq",
        "n",
        sqlite_where=CONDEMNS,
    ),
)

# the words of decisions' names, for the search (`journal.names`); n is 0 for all of an evaluation.
# Compared as bytes, in both databases, so that what begins with a word is a range of them
name_words = Table(
    "name_words",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("word", Bytewise, primary_key=True),
    Column("at", Instant, nullable=False),
    Index("name_words_by_word", "word", "at", "portal", "seq", "n"),
)

# Decisions of rules with mode `approve`. `together` is the same for all that one approval covers,
# `lapses_at` is when a held one expires unanswered, `entry` the seq of the approval's entry. A
# notification that it is held was made at `told_at`, and one that it lapses soon at `reminded_at`.
approvals = Table(
    "approvals",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("together", Text, nullable=False),
    Column("lapses_at", Instant),
    Column("approved_at", Instant),
    Column("approved_by", Words),
    Column("entry", BigInteger),
    Column("told_at", Instant),
    Column("reminded_at", Instant),
    Index("approvals_together", "portal", "together"),
)

# what observing rules would have stopped, until it is known how it ended (`would_kills`)
watched = Table(
    "watched",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("rule", Words, primary_key=True),
    Column("workflow_id", Words, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("document", Words, nullable=False),
    Column("at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("look_at", Instant),
    Column("ended_at", Instant),
    Index("watched_by_document", "portal", "rule", "document"),
    Index("watched_by_time", "portal", "rule", "at"),
    Index("watched_by_number", "portal", "seq"),
    Index("watched_due", "portal", "look_at", sqlite_where=WATCHING),
)

shadow_figures = Table(
    "shadow_figures",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("rule", Words, primary_key=True),
    *(
        Column(name, Integer, nullable=False, server_default=text("0"))
        for name in ("workflows", "documents", "ended", "running", "stopped", "untold")
    ),
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
    Column("asked", Words),
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

# logins to the pages: `id` is the hash of the cookie's token, `mark` that of the password's hash
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
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

notice_positions = Table(
    "notice_positions",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Index("notices_due", "portal", "due_at"),
)


def insert(tx: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an INSERT for this database that may have an ON CONFLICT clause."""
    return insert_of(tx.dialect.name, table)


def insert_of(dialect: str, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return such an INSERT for a database of this dialect; the other's is not imported."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
