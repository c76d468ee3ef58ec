"""Which rules the decision log names, so that one who mistypes a name can be helped."""

from sqlalchemy import Connection, func, select

from responder.store.database.tables import decisions


def rules(conn: Connection) -> list[str]:
    """Return the ids of all rules that ever decided, by skipping through the index."""
    named: list[str] = []
    query = select(func.min(decisions.c.rule))
    while (rule := conn.execute(query).scalar()) is not None:
        named.append(rule)
        query = select(func.min(decisions.c.rule)).where(decisions.c.rule > rule)
    return named
