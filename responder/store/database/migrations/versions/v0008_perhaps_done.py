"""Adds the column for stops of which a call may have been carried out unseen."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; replicas of the version before go on serving."""
    op.add_column("decisions", sa.Column("perhaps_done", sa.Boolean))
