"""Adds names of what is condemned, the index of their words, and an index of what condemns."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

_WORD = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_CONDEMNS = sa.text("action IN ('kill', 'terminate')")


def upgrade() -> None:
    """Add all of it; replicas of the version before go on serving, and write no names."""
    op.add_column("decisions", sa.Column("names", sa.Text))
    op.create_index(
        "decisions_that_condemn",
        "decisions",
        ["at", "portal", "seq", "n"],
        sqlite_where=_CONDEMNS,
        postgresql_where=_CONDEMNS,
    )
    op.create_table(
        "name_words",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("word", _WORD, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("name_words_by_word", "name_words", ["word", "at", "portal", "seq", "n"])
    _write_statistics()


def _write_statistics() -> None:
    """Write SQLite's statistics of the new indexes, of which it knows none by itself.

    The first number is the rows of an index, the next how many of them share its first column, its
    first two, and so on.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    for table, index, numbers in _SHARED:
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", (table, index, numbers)
        )
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # reads it


_SHARED = (
    ("decisions", "decisions_that_condemn", "500000 2 2 1 1"),
    ("name_words", "sqlite_autoindex_name_words_1", "4000000 1000000 8 8 1"),
    ("name_words", "name_words_by_word", "4000000 400 1 1 1 1"),
)
