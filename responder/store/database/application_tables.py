"""Defines the tables of local applications. Its `metadata` has these and all other tables."""

from sqlalchemy import Column, Table, Text

from responder.store.database.columns import Instant, Words
from responder.store.database.tables import metadata

__all__ = ["applications", "held_installations", "metadata", "offline_takings"]

# the local application of a portal, once an administrator has installed it; `tokens` is encrypted
applications = Table(
    "applications",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Words),
    Column("domain", Text, nullable=False),
    Column("member_id", Words, nullable=False),
    Column("client_id", Words, nullable=False),
    Column("oauth_host", Text, nullable=False),
    Column("user_id", Words, nullable=False),
    Column("application_token_sha256", Text, nullable=False),
    Column("key_mark", Text, nullable=False),
    Column("tokens", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("installed_at", Instant, nullable=False),
    Column("refreshed_at", Instant, nullable=False),
    Column("refresh_sent_at", Instant),
    Column("registration", Text),
)

# installation messages that nobody has verified yet; `message` is encrypted
held_installations = Table(
    "held_installations",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("message", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("try_at", Instant),
    Column("result", Words),
)

# offline events that are stored, and whose taking from the portal was not confirmed yet
offline_takings = Table(
    "offline_takings",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("documents", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
)
