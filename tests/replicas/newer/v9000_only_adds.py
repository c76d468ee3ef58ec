"""What a later version might add; it takes its time, as on a large table."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

from responder.store.database import upgrade as migrate

_RELEASED = Path(migrate.__file__).parent / "migrations" / "versions"

revision = "9000"
down_revision = max(file.name[1:5] for file in _RELEASED.glob("v0*.py"))
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and a column, and hold the transaction for a while."""
    op.create_table("later", sa.Column("id", sa.BigInteger, primary_key=True))
    op.add_column("sweeps", sa.Column("later", sa.Text))
    op.execute("SELECT pg_sleep(2)")
