"""Adds an index of each portal's newest delivery, and corrects SQLite's statistics."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index; replicas of the version before go on serving."""
    op.create_index("deliveries_by_portal", "deliveries", ["portal", "received_at"])
    _write_statistics()


def _write_statistics() -> None:
    """Write statistics that assume few portals, so that SQLite never reads all decisions of one.

    Those of migration 0002 say that 401 decisions share a portal; so SQLite, asked about a hundred
    workflows, read all decisions of the portal. The first number is the rows of an index, the next
    how many of them share its first column, its first two, and so on.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    for table, indexes in _SHARED.items():
        for index, numbers in indexes.items():
            connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = ?", (index,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
                (table, index, numbers),
            )
    connection.exec_driver_sql("ANALYZE sqlite_schema")  # reads it


_SHARED = {
    "decisions": {
        "sqlite_autoindex_decisions_1": "1000000 250000 2 1",
        "decisions_by_call": "1000000 250000 2",
        "decisions_by_change": "1000000 250000 1",
        "decisions_by_outcome": "1000000 250000 1",
        "decisions_by_rule": "1000000 100000 1",
        "decisions_called_on": "375000 100000 6 1",
        "decisions_by_set": "375000 100000 3",
    },
    "deliveries": {
        "deliveries_waiting": "1000 1000 1 1 1 1",
        "deliveries_by_time": "1000000 2 1",
        "deliveries_by_portal": "1000000 250000 2",
    },
}
