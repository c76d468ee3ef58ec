"""Counts what was decided about workflows by hour, rule and outcome, for pictures.

All of it is read from one index, and a day at a time, so that no reading lasts long.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, and_, func, literal_column, select, type_coerce

from responder.store.database.columns import instant
from responder.store.database.tables import ACTS, decisions

_HOUR = 3_600_000_000  # in microseconds, as instants are stored


class Tally(NamedTuple):
    """The number of decisions of one hour (`at` is its beginning), rule and outcome."""

    at: datetime
    rule: str | None
    outcome: str | None
    decisions: int


def tallies(conn: Connection, since: datetime, until: datetime) -> list[Tally]:
    """Count the decisions between two instants that condemned a workflow, or left it alone."""
    hour = type_coerce(decisions.c.at, BigInteger).op("/")(literal_column(str(_HOUR)))
    query = (
        select(hour.label("hour"), decisions.c.rule, decisions.c.outcome, func.count().label("n"))
        .where(ACTS, and_(decisions.c.at >= since, decisions.c.at < until))
        .group_by("hour", decisions.c.rule, decisions.c.outcome)
    )
    return [
        Tally(instant(row.hour * _HOUR), row.rule, row.outcome, row.n)
        for row in conn.execute(query)
    ]
