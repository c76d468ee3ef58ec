"""Stores the state of a portal's client for the next driver: bucket, breakers, odd answers.

The bucket is that of the portal's request limit, the breakers are those that are open. A portal
that answers a crucial question otherwise than responder relies on is observed, not acted upon:
that is stored too (`withheld`), so that every replica and command sees why.
"""

import time
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, extract, func, select

from responder.model import Breaker
from responder.store.database.clock import now_of
from responder.store.database.portal_tables import breakers as table
from responder.store.database.portal_tables import buckets
from responder.store.database.portal_tables import withheld as answers
from responder.store.database.tables import insert


def bucket(conn: Connection, portal: str) -> tuple[float, float] | None:
    """Return the stored level of the portal's request bucket, and its age in seconds.

    The age is taken on the database's clock, on which drivers on different machines agree.
    """
    found = conn.execute(
        select(buckets.c.level, buckets.c.at).where(buckets.c.portal == portal)
    ).one_or_none()
    return None if found is None else (found.level, max(0.0, now_of(conn) / 1e6 - found.at))


def save_bucket(tx: Connection, portal: str, level: float) -> None:
    """Write the present level of the portal's request bucket, for the next driver."""
    values = {"level": level, "at": _database_time(tx)}
    tx.execute(
        insert(tx, buckets)
        .values(portal=portal, **values)
        .on_conflict_do_update(index_elements=["portal"], set_=values)
    )


def save_breakers(tx: Connection, portal: str, opened: Collection[Breaker]) -> None:
    """Write the portal's open breakers, and delete its others, for the next driver."""
    methods = {breaker.method for breaker in opened}
    for kept in breakers(tx, portal):
        if kept.method not in methods:
            close_breaker(tx, portal, kept.method)
    for breaker in opened:
        open_breaker(tx, breaker)


def open_breaker(tx: Connection, breaker: Breaker) -> None:
    """Open a breaker, or move its next probe.

    A breaker that is open already keeps its `opened_at`.
    """
    now = {"code": breaker.code, "probe_at": breaker.probe_at, "address": breaker.address}
    tx.execute(
        insert(tx, table)
        .values(portal=breaker.portal, method=breaker.method, opened_at=breaker.opened_at, **now)
        .on_conflict_do_update(index_elements=["portal", "method"], set_=now)
    )


def close_breaker(tx: Connection, portal: str, method: str) -> None:
    """Close a breaker; do nothing where it is not open."""
    tx.execute(delete(table).where(table.c.portal == portal, table.c.method == method))


def breakers(conn: Connection, portal: str | None = None) -> list[Breaker]:
    """Return the open breakers of one portal, or of all."""
    query = select(table).order_by(table.c.portal, table.c.method)
    if portal is not None:
        query = query.where(table.c.portal == portal)
    return [Breaker(**record._mapping) for record in conn.execute(query)]


def withheld(conn: Connection) -> dict[str, dict[str, str]]:
    """Return by portal the questions that it answers otherwise, each with what came."""
    found: dict[str, dict[str, str]] = {}
    query = select(answers).order_by(answers.c.portal, answers.c.question)
    for record in conn.execute(query):
        found.setdefault(record.portal, {})[record.question] = record.came
    return found


def withheld_of(conn: Connection, portal: str, host: str | None) -> dict[str, str]:
    """Return the questions that the portal on this host answers otherwise."""
    found = conn.execute(select(answers).where(answers.c.portal == portal))
    return {one.question: one.came for one in found if one.host == host}


def save_withheld(
    tx: Connection, portal: str, found: Mapping[str, str], host: str | None, at: datetime
) -> None:
    """Write which questions a portal answers otherwise, in place of what was written before."""
    tx.execute(delete(answers).where(answers.c.portal == portal))
    for question, came in found.items():
        row = {"portal": portal, "question": question, "came": came, "host": host, "at": at}
        tx.execute(insert(tx, answers).values(**row))


def _database_time(tx: Connection) -> float | ColumnElement[int]:
    """Return the database's time in seconds, as an expression that an INSERT evaluates."""
    if tx.dialect.name == "postgresql":
        return extract("epoch", func.clock_timestamp())
    return time.time()
