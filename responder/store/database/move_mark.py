"""Marks a log that was moved to another database, so that nobody writes into the old one any more.

The database itself refuses, by a trigger on every table, and its error names the new place. So the
mark costs nothing before, and it also stops a service of any version that was suspended during the
move: it can begin no transaction that writes, nor commit one. Deliveries that such a service
receives are answered 503, since a 200 would promise the sender that the event is in the log.

The new place is named as for people, without user and password.
"""

from collections.abc import Collection

from sqlalchemy import Connection, inspect, text

_SAYS = "this log was moved to "
_TABLE = "moved_to"
_PREFIX = "responder_moved"

# 25006 is "read-only SQL transaction"; %% is one percent sign, as the driver has placeholders
_REFUSAL = """
CREATE FUNCTION {prefix}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '{says}%%', (SELECT place FROM {table}) USING ERRCODE = '25006';
END $$
"""
_POSTGRES = """
CREATE TRIGGER {prefix} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {prefix}()
"""
_SQLITE = """
CREATE TRIGGER {prefix}_{table}_{act} BEFORE {act} ON {table}
BEGIN SELECT RAISE(ABORT, {message}); END
"""


def mark(tx: Connection, tables: Collection[str], place: str) -> None:
    """Make the database refuse writes to these tables, naming the log's new place."""
    unmark(tx)
    tx.exec_driver_sql(f"CREATE TABLE {_TABLE} (place TEXT NOT NULL)")
    tx.execute(text(f"INSERT INTO {_TABLE} VALUES (:place)"), {"place": place})  # noqa: S608
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(_REFUSAL.format(prefix=_PREFIX, says=_SAYS, table=_TABLE))
        for table in tables:
            tx.exec_driver_sql(_POSTGRES.format(prefix=_PREFIX, table=table))
        return
    message = "'" + f"{_SAYS}{place}".replace("'", "''") + "'"
    for table in tables:
        for act in ("INSERT", "UPDATE", "DELETE"):
            tx.exec_driver_sql(
                _SQLITE.format(prefix=_PREFIX, table=table, act=act, message=message)
            )


def unmark(tx: Connection) -> None:
    """Remove the mark, if there is one."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"DROP FUNCTION IF EXISTS {_PREFIX}() CASCADE")
    else:
        named = text("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE :ours")
        for name in tx.execute(named, {"ours": f"{_PREFIX}%"}).scalars().all():
            tx.exec_driver_sql(f"DROP TRIGGER {name}")
    tx.exec_driver_sql(f"DROP TABLE IF EXISTS {_TABLE}")


def place_of(conn: Connection) -> str | None:
    """Return the place to which the log was moved, or None."""
    if not inspect(conn).has_table(_TABLE):
        return None
    found: str | None = conn.execute(text(f"SELECT place FROM {_TABLE}")).scalar()  # noqa: S608
    return found


def refused(error: Exception) -> bool:
    """Return whether a statement was refused because the log was moved."""
    return _SAYS in str(getattr(error, "orig", ""))
