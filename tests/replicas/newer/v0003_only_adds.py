"""What a later version might add; it takes its time, as on a large table."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a column, and hold the transaction for a while."""
    op.create_table("later", sa.Column("id", sa.BigInteger, primary_key=True))
    op.add_column("sweeps", sa.Column("later", sa.Text))
    op.execute("SELECT pg_sleep(2)")
