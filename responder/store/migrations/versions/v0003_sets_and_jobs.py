"""What a stop remembers of how it was condemned: the rules asked, who was spared, its set."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that may be empty, so that replicas of the version before go on serving."""
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
    op.create_index(
        "decisions_by_set",
        "decisions",
        ["portal", "set_name"],
        sqlite_where=in_a_set,
        postgresql_where=in_a_set,
    )
    _name_the_sets_that_are_open()
    _tell_sqlite_what_is_rare()


def _name_the_sets_that_are_open() -> None:
    """Let each evaluation's open stops be a set; it is begun where a call was made."""
    op.execute(
        """
        UPDATE decisions
        SET set_name = portal || '-' || seq,
            begun = CASE WHEN calls > 0 THEN TRUE ELSE FALSE END
        WHERE outcome IN ('waiting', 'held', 'in_doubt') AND NOT shadow
        """
    )


def _tell_sqlite_what_is_rare() -> None:
    """Say of the new index what the last migration said of the others."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('decisions', ?, ?)",
            ("decisions_by_set", "375000 401 3"),
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")
