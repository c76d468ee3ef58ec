"""Adds what withholds a portal, and the local applications of portals."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables; replicas of the version before go on serving."""
    op.create_table(
        "withheld",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("question", sa.Text, primary_key=True),
        sa.Column("came", sa.Text, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "applications",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("oauth_host", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("application_token_sha256", sa.Text, nullable=False),
        sa.Column("key_mark", sa.Text, nullable=False),
        sa.Column("tokens", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("installed_at", sa.BigInteger, nullable=False),
        sa.Column("refreshed_at", sa.BigInteger, nullable=False),
        sa.Column("refresh_sent_at", sa.BigInteger),
        sa.Column("registration", sa.Text),
    )
    op.create_table(
        "held_installations",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("try_at", sa.BigInteger),
        sa.Column("result", sa.Text),
    )
    op.create_table(
        "offline_takings",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("documents", sa.Text, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
    )
