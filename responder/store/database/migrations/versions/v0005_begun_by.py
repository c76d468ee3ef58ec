"""Adds the column for the ruleset by which a set was begun."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; replicas of the version before go on serving."""
    op.add_column("decisions", sa.Column("begun_by", sa.Text))
