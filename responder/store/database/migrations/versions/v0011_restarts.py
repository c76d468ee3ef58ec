"""Adds the table of restarts: workflows that were stopped, and that people start anew."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("state <> 'done'")


def upgrade() -> None:
    """Create the table; replicas of the version before go on serving, and restart nothing."""
    op.create_table(
        "restarts",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("anyway", sa.Boolean, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("entry", sa.BigInteger, nullable=False),
        sa.Column("called_at", sa.BigInteger),
        sa.Column("call_entry", sa.BigInteger),
        sa.Column("running", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_entry", sa.BigInteger),
        sa.Column("outcome", sa.Text),
        sa.Column("workflow_id", sa.Text),
        sa.Column("detail", sa.Text),
    )
    op.create_index(
        "restarts_unfinished",
        "restarts",
        ["portal"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
