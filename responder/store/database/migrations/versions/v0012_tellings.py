"""Adds what is told in the portal: whom, of which decision, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; replicas of the version before go on serving, and tell nobody."""
    op.create_table(
        "tellings",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("sent_at", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("result", sa.Text),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "tellings_due",
        "tellings",
        ["portal", "due_at"],
        sqlite_where=due,
        postgresql_where=due,
    )
