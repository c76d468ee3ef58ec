"""Defines the tables of portals: driver, client's state, application, restarts, and what is told.

Its `metadata` has these and all other tables.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, Table, Text, text

from responder.store.database.columns import Instant, Words
from responder.store.database.tables import metadata

__all__ = [
    "alarms",
    "applications",
    "breakers",
    "buckets",
    "held_installations",
    "leases",
    "metadata",
    "offline_takings",
    "replicas",
    "restarts",
    "tellings",
    "withheld",
]

# written alike in the index and in queries
TO_TELL = text("due_at IS NOT NULL")
UNFINISHED = text("state <> 'done'")

leases = Table(
    "leases",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

replicas = Table(
    "replicas",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("ruleset", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("level", Double, nullable=False),
    Column("at", Double, nullable=False),
)

breakers = Table(
    "breakers",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("code", Words, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("probe_at", Instant, nullable=False),
    Column("address", Text),
)

# crucial questions that a portal answers otherwise than is relied on, and what came
withheld = Table(
    "withheld",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("came", Words, nullable=False),
    Column("host", Text),
    Column("at", Instant, nullable=False),
)

# alarms of a portal that stand (`ended_at` is null) or ended lately; `told_at` is when a
# notification of it was made
alarms = Table(
    "alarms",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("about", Words, primary_key=True),
    Column("sentence", Words, nullable=False),
    Column("since", Instant, nullable=False),
    Column("told_at", Instant),
    Column("ended_at", Instant),
)

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

# what is told in the portal of a decision: one row for the timeline, and one for each person
tellings = Table(
    "tellings",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("audience", Text, nullable=False),
    Column("user_id", Words),
    Column("state", Text, nullable=False),
    Column("message", Words),
    Column("mark", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("due_at", Instant),
    Column("sent_at", Instant),
    Column("tries", Integer, nullable=False),
    Column("ended_at", Instant),
    Column("result", Words),
    Index("tellings_due", "portal", "due_at", sqlite_where=TO_TELL),
)

# Stopped workflows that people start anew. `entry`, `call_entry` and `end_entry` are the entries of
# the request, of the call's intent and of its outcome; `running` is what ran before the call.
restarts = Table(
    "restarts",
    metadata,
    Column("portal", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("anyway", Boolean, nullable=False),
    Column("by", Words, nullable=False),
    Column("at", Instant, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("called_at", Instant),
    Column("call_entry", BigInteger),
    Column("running", Text),
    Column("ended_at", Instant),
    Column("end_entry", BigInteger),
    Column("outcome", Text),
    Column("workflow_id", Words),
    Column("detail", Words),
    Index("restarts_unfinished", "portal", sqlite_where=UNFINISHED),
)
