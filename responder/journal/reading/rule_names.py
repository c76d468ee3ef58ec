"""Lists the rules that the decision log names, so that a mistyped name can be corrected."""

from sqlalchemy import Connection, func, select

from responder.store.database.tables import decisions


def rules(conn: Connection) -> list[str]:
    """Return the ids of all rules that ever decided, one index search for each."""
    named: list[str] = []
    query = select(func.min(decisions.c.rule))
    while (rule := conn.execute(query).scalar()) is not None:
        named.append(rule)
        query = select(func.min(decisions.c.rule)).where(decisions.c.rule > rule)
    return named
