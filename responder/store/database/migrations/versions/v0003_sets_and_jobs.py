"""Adds columns for how a stop was condemned: the rules asked, the workflows spared, its set."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns and indexes; replicas of the version before go on serving."""
    for name, kind in (
        ("asked", sa.Text),
        ("alone", sa.Boolean),
        ("spared", sa.Text),
        ("set_name", sa.Text),
        ("begun", sa.Boolean),
        ("running", sa.Integer),
        ("postponed_at", sa.BigInteger),
    ):
        op.add_column("decisions", sa.Column(name, kind))
    op.add_column("looks", sa.Column("asked", sa.Text))
    in_a_set = sa.text("set_name IS NOT NULL")
    is_open = sa.text("outcome IN ('waiting', 'held', 'in_doubt')")
    for name, column, where in (
        ("decisions_by_set", "set_name", in_a_set),
        ("decisions_open_on", "document", is_open),
    ):
        op.create_index(
            name, "decisions", ["portal", column], sqlite_where=where, postgresql_where=where
        )
    _name_the_sets_that_are_open()
    _write_statistics()


def _name_the_sets_that_are_open() -> None:
    """Make each evaluation's open stops one set, begun where a call was made."""
    op.execute(
        """
        UPDATE decisions
        SET set_name = portal || '-' || seq,
            begun = CASE WHEN calls > 0 THEN TRUE ELSE FALSE END
        WHERE outcome IN ('waiting', 'held', 'in_doubt') AND NOT shadow
        """
    )


def _write_statistics() -> None:
    """Write SQLite's statistics for the new indexes, as migration 0002 does for the others."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES "
            "('decisions', 'decisions_by_set', '375000 401 3'), "
            "('decisions', 'decisions_open_on', '100 100 1')"
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")
