"""Fills a PostgreSQL database as a busy portal does in a year, so that its planner sees big tables.

The rows are made by the server. What they say is made up: plans are read from them, and no pages.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from responder.store.database.columns import micros
from responder.store.database.database import Database

PORTAL, RULE = "main", "rule-1"
UNTIL = datetime(2026, 9, 24, 12, tzinfo=UTC)
HEAD = 10_000_000  # the number of the newest entry
SINCE = micros(UNTIL - timedelta(hours=1))

# Two decisions for each evaluation, made a minute after the one before: one that condemns, and one
# of the rest. Of twenty, two are only observed; the last fifty are open. Of the words of its names
# one is in all of them.
_MADE = """
SELECT i, CASE mod(i, 10) WHEN 0 THEN 'second' ELSE 'main' END AS portal,
       {head} - ({count} - i) * 3 - 2 AS seq,
       {until} - ({count} - i) * 60000000 AS at, 'deal:' || mod(i * 7919, 90000) AS document
FROM generate_series(1::bigint, {count}) AS i
"""
_STATEMENTS = (
    """
    INSERT INTO decisions (portal, seq, n, at, received_at, trigger, event_names, document,
                           workflow_id, rule, action, ruleset, outcome, verify_at, due_at, shadow,
                           tries, calls, called_at, unknown_id, changed, concluded, set_name, begun)
    SELECT portal, seq, 1, at, at, 'event', '[]', document, md5(i::text),
           'rule-' || mod(i, 20), 'kill',
           'r', CASE WHEN i > {count} - 50 THEN 'waiting' WHEN mod(i, 10) = 0 THEN 'would_kill'
                     ELSE 'killed' END,
           CASE WHEN mod(i, 20000) = 1 THEN at END, CASE WHEN i > {count} - 50 THEN at END, false,
           0, (mod(i, 10) > 0)::int, CASE WHEN mod(i, 10) > 0 THEN at END, false, seq + 2,
           CASE WHEN i <= {count} - 50 THEN seq + 2 END, 'main-' || seq, mod(i, 10) > 0
    FROM ({made}) AS made
    """,
    """
    INSERT INTO decisions (portal, seq, n, at, received_at, trigger, event_names, document, action,
                           ruleset, shadow, tries, calls, unknown_id, changed)
    SELECT portal, seq, 2, at, at, 'event', '[]', document, 'none', 'r', false, 0, 0, false, seq
    FROM ({made}) AS made
    """,
    """
    INSERT INTO entries (portal, seq, kind, at, body, hash)
    SELECT portal, seq + k, (ARRAY['evaluation', 'intent', 'outcome'])[k + 1], at, repeat('x', 200),
           repeat('0', 64)
    FROM ({made}) AS made, generate_series(0, 2) AS k
    """,
    """
    INSERT INTO evidence (portal, seq, salt, content)
    SELECT portal, seq + k, 's', repeat('x', 1600) FROM ({made}) AS made, generate_series(0, 1) AS k
    """,
    """
    INSERT INTO name_words (portal, seq, n, word, at)
    SELECT portal, seq, 0, word, at
    FROM ({made}) AS made, unnest(ARRAY['approval', 'w' || mod(i, 500), md5(i::text)]) AS word
    """,
    """
    INSERT INTO deliveries (portal, received_at, trigger, event, document, form, evaluation)
    SELECT portal, at, 'event', 'ONCRMDEALUPDATE', document, 'x',
           CASE WHEN i <= {count} - 50 THEN portal || '-' || seq END
    FROM ({made}) AS made, generate_series(0, 1) AS k ORDER BY i
    """,
    "INSERT INTO chains VALUES ('main', {head}, 'x'), ('second', {head}, 'x')",
    "INSERT INTO leases VALUES ('main', 'x', 1, 1), ('second', 'x', 1, 1)",
)


def plant(database: Database, evaluations: int) -> None:
    """Write them, and let the planner know."""

    def write(tx: Connection) -> None:
        numbers = {"until": micros(UNTIL), "count": evaluations, "head": HEAD}
        for statement in _STATEMENTS:
            made = _MADE.format(**numbers)
            tx.exec_driver_sql(statement.format(made=made, **numbers))

    database.write(write)
    with database.writer.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        # of a small sample it would not always make the same plans
        connection.exec_driver_sql("SET default_statistics_target = 1000")
        connection.exec_driver_sql("VACUUM ANALYZE")
