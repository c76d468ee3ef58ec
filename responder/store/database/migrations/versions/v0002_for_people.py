"""Creates tables for pages, approvals, notices, would-kills, replicas; and more indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables and indexes; replicas of the version before go on serving."""
    _create_sessions()
    _create_replicas()
    _index_for_pages()
    _index_for_storms()
    _create_approvals()
    _create_notices()
    _create_watched()
    _insert_would_kills()
    _write_statistics()


def _create_replicas() -> None:
    """Create the table of living replicas, among which the portals are shared."""
    op.create_table(
        "replicas",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("ruleset", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )


def _index_for_pages() -> None:
    """Index a document's decisions, and the few whose action is not `none`, among a million."""
    has_document = sa.text("document IS NOT NULL")
    op.create_index(
        "decisions_by_document",
        "decisions",
        ["document", "at"],
        sqlite_where=has_document,
        postgresql_where=has_document,
    )
    acts = sa.text("action <> 'none'")
    op.create_index(
        "decisions_that_act",
        "decisions",
        ["at", "portal", "seq", "n"],
        sqlite_where=acts,
        postgresql_where=acts,
    )


def _index_for_storms() -> None:
    """Index calls by document, so that counting one document's does not read a whole day's."""
    called = sa.text("called_at IS NOT NULL")
    op.create_index(
        "decisions_called_on",
        "decisions",
        ["portal", "document", "called_at"],
        sqlite_where=called,
        postgresql_where=called,
    )


def _create_approvals() -> None:
    """Create the table of decisions that need an approval."""
    op.create_table(
        "approvals",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("together", sa.Text, nullable=False),
        sa.Column("lapses_at", sa.BigInteger),
        sa.Column("approved_at", sa.BigInteger),
        sa.Column("approved_by", sa.Text),
        sa.Column("entry", sa.BigInteger),
    )
    op.create_index("approvals_together", "approvals", ["portal", "together"])


def _create_notices() -> None:
    """Create the tables of notifications: how far each chain was read, and what is to be sent."""
    op.create_table(
        "notice_positions",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
    )
    op.create_index("notices_due", "notices", ["portal", "due_at"])


def _create_watched() -> None:
    """Create the tables of would-kills, and of their counts by rule."""
    op.create_table(
        "watched",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("workflow_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("look_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("watched_by_document", "watched", ["portal", "rule", "document"])
    op.create_index("watched_by_time", "watched", ["portal", "rule", "at"])
    op.create_index("watched_by_number", "watched", ["portal", "seq"])
    watching = sa.text("look_at IS NOT NULL")
    op.create_index(
        "watched_due",
        "watched",
        ["portal", "look_at"],
        sqlite_where=watching,
        postgresql_where=watching,
    )
    op.create_table(
        "shadow_figures",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
            for name in ("workflows", "documents", "ended", "running", "stopped", "untold")
        ),
    )


def _insert_would_kills() -> None:
    """Insert the would-kills of the log so far, as `untold`: how they ended is not known."""
    op.execute(
        """
        INSERT INTO watched (portal, rule, workflow_id, seq, document, at, state)
        SELECT portal, rule, workflow_id, min(seq), min(document), min(at), 'untold'
        FROM decisions
        WHERE outcome IN ('would_kill', 'would_terminate')
          AND workflow_id IS NOT NULL AND rule IS NOT NULL AND document IS NOT NULL
        GROUP BY portal, rule, workflow_id
        """
    )
    op.execute(
        """
        INSERT INTO shadow_figures (portal, rule, workflows, documents, untold)
        SELECT portal, rule, count(*), count(DISTINCT document), count(*)
        FROM watched
        GROUP BY portal, rule
        """
    )


def _write_statistics() -> None:
    """Write SQLite's statistics for a long log, so that it uses the partial indexes of open stops.

    Without statistics it takes all equality conditions for equally rare, and reads a million
    decisions of a portal to find the three that are open. The numbers (rows of the index, then how
    many rows share the first column, the first two, and so on) are those that its own ANALYZE wrote
    for such a log.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    connection.exec_driver_sql("ANALYZE alembic_version")  # makes the table of statistics
    connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE tbl = 'decisions'")
    for index, numbers in _RARITY.items():
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('decisions', ?, ?)", (index, numbers)
        )
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # reads it


_RARITY = {
    "sqlite_autoindex_decisions_1": "1000000 401 2 1",
    "decisions_one_open_stop": "10 10 1",
    "decisions_due": "10 10 1",
    "decisions_to_verify": "10 10 1",
    "decisions_by_time": "1000000 2 2 2 1",
    "decisions_by_workflow": "1000000 2 1",
    "decisions_by_rule": "1000000 401 1",
    "decisions_by_call": "1000000 401 2",
    "decisions_by_outcome": "1000000 401 1",
    "decisions_by_change": "1000000 401 1",
    "decisions_by_document": "1000000 11 2",
    "decisions_that_act": "500000 2 2 2 1",
    "decisions_called_on": "375000 401 6 1",
}
