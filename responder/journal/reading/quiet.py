"""Counts what a list of decisions folds away: what was only left alone, or looked at."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, distinct, func, select

from responder.journal.reading.search import WINDOW
from responder.store.database.tables import decisions

_QUIET = ("none", "leave")


class Folded(NamedTuple):
    """How many decisions stopped nothing, and on how many documents.

    `at_least`: there are more, which were not counted.
    """

    decisions: int
    documents: int
    at_least: bool


def folded(
    conn: Connection,
    portal: str | None,
    since: datetime,
    until: datetime,
    longest: int = WINDOW,
) -> Folded:
    """Count them between two instants, both included, looking at the newest `longest` decisions."""
    query = select(decisions.c.portal, decisions.c.document, decisions.c.action)
    window = (
        query.where(decisions.c.at >= since, decisions.c.at <= until)
        .order_by(*(decisions.c[name].desc() for name in ("at", "portal", "seq", "n")))
        .limit(longest)
        .subquery()
    )
    chosen = [] if portal is None else [window.c.portal == portal]
    is_quiet = window.c.action.in_(_QUIET)
    found, documents = conn.execute(
        select(func.count(), func.count(distinct(window.c.document))).where(is_quiet, *chosen)
    ).one()
    seen = conn.execute(select(func.count()).select_from(window)).scalar_one()
    return Folded(found, documents, at_least=seen == longest)
