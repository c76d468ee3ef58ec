"""Adds counts of refused deliveries, how far forms were emptied, and the address of a breaker."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables and a column; replicas of the version before go on serving."""
    op.create_table(
        "refusals",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("why", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "emptied",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("through", sa.BigInteger, nullable=False),
    )
    op.add_column("breakers", sa.Column("address", sa.Text))
