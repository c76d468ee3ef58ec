"""In a long log SQLite finds what is rare by the index of what is rare."""

import pytest

from responder.store.database.database import Database

OPEN = "outcome IN ('waiting', 'held', 'in_doubt')"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (f"portal = 'a' AND {OPEN} AND outcome = 'held'", "decisions_due"),
        (f"portal = 'a' AND {OPEN} ORDER BY seq LIMIT 1000", "decisions_due"),
        (f"portal = 'a' AND {OPEN} AND due_at <= 5 ORDER BY due_at", "decisions_due"),
        (f"portal = 'a' AND {OPEN} AND document IN ('x', 'y')", "decisions_open_on"),
        (f"portal = 'a' AND {OPEN} AND begun AND document = 'x'", "decisions_open_on"),
        (f"portal = 'a' AND workflow_id = 'x' AND {OPEN} AND NOT shadow", "one_open_stop"),
        ("portal = 'a' AND workflow_id = 'x' AND rule = 'y' ORDER BY seq DESC", "by_workflow"),
        ("portal = 'a' AND verify_at IS NOT NULL AND verify_at <= 5", "decisions_to_verify"),
        ("portal = 'a' AND rule = 'x' AND called_at >= 5", "decisions_by_call"),
        ("rule = 'x' ORDER BY at DESC, portal DESC, seq DESC, n DESC", "decisions_by_rule"),
        ("outcome = 'left' ORDER BY at DESC, portal DESC, seq DESC, n DESC", "by_outcome"),
        ("action <> 'none' ORDER BY at DESC, portal DESC, seq DESC, n DESC", "that_act"),
        ("at < 5 ORDER BY at DESC, portal DESC, seq DESC, n DESC", "decisions_by_time"),
        ("document IN ('x') AND document IS NOT NULL AND at <= 5", "decisions_by_document"),
    ],
)
def test_it_does_not_walk_through_a_whole_portal(sqlite_url: str, query: str, index: str) -> None:
    database = Database(sqlite_url)
    database.open()
    explain = f"EXPLAIN QUERY PLAN SELECT * FROM decisions WHERE {query}"  # noqa: S608 -- our own
    plan = database.read(lambda conn: [row[3] for row in conn.exec_driver_sql(explain)])
    database.close()
    assert index in plan[0], plan
