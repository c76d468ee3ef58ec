"""Reads the database's clock, on which replicas agree, in microseconds since 1970."""

import time

from sqlalchemy import Connection


def now_of(conn: Connection) -> int:
    """Return the database's time in microseconds; for a SQLite file it is this machine's."""
    if conn.dialect.name == "postgresql":
        statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        return int(conn.exec_driver_sql(statement).scalar_one())
    return time.time_ns() // 1000


def micros_of(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return int(seconds * 1_000_000)
