"""The database's clock, by which replicas agree on what is over: in microseconds since 1970."""

import time

from sqlalchemy import Connection


def now_of(conn: Connection) -> int:
    """Return the database's time; for a file that is our own."""
    if conn.dialect.name == "postgresql":
        statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        return int(conn.exec_driver_sql(statement).scalar_one())
    return time.time_ns() // 1000


def micros_of(seconds: float) -> int:
    """Turn seconds into microseconds."""
    return int(seconds * 1_000_000)
