"""Adds alarms, which approvals were told of, and the index by which decisions are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create a table, columns and an index; replicas of the version before go on serving."""
    op.create_table(
        "alarms",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("about", sa.Text, primary_key=True),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("told_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    for name in ("told_at", "reminded_at"):
        op.add_column("approvals", sa.Column(name, sa.BigInteger))
    acts = sa.text("action <> 'none'")
    op.create_index(
        "decisions_by_hour",
        "decisions",
        ["at", "rule", "outcome"],
        sqlite_where=acts,
        postgresql_where=acts,
    )
    _write_statistics()


def _write_statistics() -> None:
    """Write SQLite's statistics for the new index, as migration 0002 does for the others."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES "
            "('decisions', 'decisions_by_hour', '500000 2 1 1')"
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")
