"""Creates the first tables: inbox, journal, second looks, rulesets, leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UNCONCLUDED = sa.text("evaluation IS NULL")
_OPEN = sa.text("outcome IN ('waiting', 'held', 'in_doubt')")
_ACTING = sa.text("outcome IN ('waiting', 'held', 'in_doubt') AND NOT shadow")
_TO_VERIFY = sa.text("verify_at IS NOT NULL")


def upgrade() -> None:
    """Create the tables."""
    _create_inbox()
    _create_journal()
    _create_decisions()
    _create_looks()
    _create_limits()
    _create_runs()
    _create_lanes()


def _create_inbox() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("document", sa.Text),
        sa.Column("workflow_id", sa.Text),
        sa.Column("form", sa.LargeBinary, nullable=False),
        sa.Column("evaluation", sa.Text),
        sqlite_autoincrement=True,
    )
    _partial(
        "deliveries_waiting",
        "deliveries",
        ["portal", "id", "document", "trigger", "workflow_id"],
        _UNCONCLUDED,
    )
    op.create_index("deliveries_by_time", "deliveries", ["received_at", "id"])


def _create_journal() -> None:
    op.create_table(
        "chains",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "rulesets",
        sa.Column("revision", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.BigInteger),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("event", sa.Text),
        sa.Column("event_names", sa.Text, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("triple", sa.Text),
        sa.Column("workflow_id", sa.Text),
        sa.Column("template_id", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("ruleset", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("receipt", sa.Boolean),
        sa.Column("detail", sa.Text),
        sa.Column("concluded_at", sa.BigInteger),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("verify_at", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("hold", sa.Text),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("ready_at", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("unknown_id", sa.Boolean, nullable=False),
        sa.Column("called_at", sa.BigInteger),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("concluded", sa.BigInteger),
    )
    _partial(
        "decisions_one_open_stop", "decisions", ["portal", "workflow_id"], _ACTING, unique=True
    )
    _partial("decisions_due", "decisions", ["portal", "due_at"], _OPEN)
    _partial("decisions_to_verify", "decisions", ["portal", "verify_at"], _TO_VERIFY)
    op.create_index("decisions_by_time", "decisions", ["at", "portal", "seq", "n"])
    op.create_index("decisions_by_workflow", "decisions", ["workflow_id", "at"])
    op.create_index("decisions_by_rule", "decisions", ["rule", "at"])
    op.create_index("decisions_by_call", "decisions", ["portal", "called_at"])
    op.create_index("decisions_by_outcome", "decisions", ["outcome", "at"])
    op.create_index("decisions_by_change", "decisions", ["portal", "changed"])


def _create_looks() -> None:
    op.create_table(
        "looks",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("trigger", sa.Text, primary_key=True),
        sa.Column("workflow_id", sa.Text, primary_key=True),
        sa.Column("event_names", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
    )
    op.create_index("looks_due", "looks", ["portal", "due_at"])


def _create_limits() -> None:
    for name in ("trips", "rearms"):
        op.create_table(
            name,
            sa.Column("portal", sa.Text, primary_key=True),
            sa.Column("rule", sa.Text, primary_key=True),
            sa.Column("at", sa.BigInteger, nullable=False),
            sa.Column("why", sa.Text, nullable=False)
            if name == "trips"
            else sa.Column("seq", sa.BigInteger, nullable=False),
        )
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sweeps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("portal", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("observe", sa.Boolean, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("read", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("result", sa.Text),
    )


def _create_lanes() -> None:
    op.create_table(
        "leases",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "buckets",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("level", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "breakers",
        sa.Column("portal", sa.Text, primary_key=True),
        sa.Column("method", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("probe_at", sa.BigInteger, nullable=False),
    )


def _partial(
    name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False
) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
