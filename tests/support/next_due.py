"""When a portal's next stop, verification or second look is due."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from responder.store.database.tables import OPEN, TO_VERIFY, decisions, looks


def next_due(conn: Connection, portal: str) -> datetime | None:
    """Return when the next of them is due; None where nothing is."""
    queries = (
        select(func.min(decisions.c.due_at)).where(decisions.c.portal == portal, OPEN),
        select(func.min(decisions.c.verify_at)).where(decisions.c.portal == portal, TO_VERIFY),
        select(func.min(looks.c.due_at)).where(looks.c.portal == portal),
    )
    found = [conn.execute(query).scalar() for query in queries]
    return min((at for at in found if at is not None), default=None)
