"""Counts for the pages, for all rules and portals at once: stops, held stops, heads of chains."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Select, and_, func, or_, select

from responder.model import WOULD_OUTCOMES, Outcome
from responder.store.database.tables import ACTING, OPEN, chains, decisions, entries, rearms
from responder.store.limits import DOCUMENT, MAY_BE_DONE, RUN, TRIPPED

_ENTRIES = 1_000  # of each chain, in which control entries are searched for

Counts = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An entry by which a person, or the program itself, changed how a portal is driven."""

    portal: str
    seq: int
    at: datetime
    body: Mapping[str, Any]


def acted(conn: Connection, portals: Collection[str], since: datetime) -> Counts:
    """Count what each rule has stopped since then, as its limit does, by (portal, rule).

    What is left of a set that has begun is not counted here.
    """
    forgiven = and_(rearms.c.portal == decisions.c.portal, rearms.c.rule == decisions.c.rule)
    query = (
        _of_each(decisions.c.rule)
        .select_from(decisions.outerjoin(rearms, forgiven))
        .where(
            decisions.c.portal.in_(portals),
            decisions.c.called_at >= since,
            MAY_BE_DONE,
            or_(
                decisions.c.outcome == Outcome.IN_DOUBT,
                func.coalesce(decisions.c.concluded, decisions.c.changed)
                > func.coalesce(rearms.c.seq, 0),
            ),
        )
    )
    return _counted(conn, query)


def would_have(conn: Connection, since: datetime) -> Counts:
    """Count each rule's would-kills since then, by (portal, rule)."""
    said = (decisions.c.outcome.in_(WOULD_OUTCOMES), decisions.c.at >= since)
    return _counted(conn, _of_each(decisions.c.rule).where(*said))


def held(conn: Connection) -> Counts:
    """Count each rule's held stops, by (portal, rule)."""
    return _counted(
        conn, _of_each(decisions.c.rule).where(OPEN, decisions.c.outcome == Outcome.HELD)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByRule:
    """The stops that a rule holds and that rearming it frees: how many, and on which documents.

    `documents` has the first of them, by name, each with its number of stops.
    """

    stops: int
    documents_in_all: int
    documents: Mapping[str, int]

    @property
    def sentence(self) -> str:
        """Return in words what rearming frees."""
        if not self.stops:
            return "It holds nothing; its counts begin at zero again."
        named = (f"{ref} ({n})" if n > 1 else ref for ref, n in self.documents.items())
        more = self.documents_in_all - len(self.documents)
        rest = f" and {more} more" if more else ""
        return (
            f"It holds {_counted_in_words(self.stops, 'stop')} on "
            f"{_counted_in_words(self.documents_in_all, 'document')}: {', '.join(named)}{rest}. "
            "Each is judged afresh, and stopped if it is condemned again."
        )


def _counted_in_words(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def held_by_rule(
    conn: Connection, portals: Collection[str], rule: str, most: int = 20
) -> HeldByRule:
    """Return what rearming a rule would free in these portals."""
    which = (
        decisions.c.portal.in_(portals),
        OPEN,
        decisions.c.outcome == Outcome.HELD,
        decisions.c.rule == rule,
        decisions.c.hold.in_((TRIPPED, DOCUMENT, RUN)),
    )
    by_document = (
        select(decisions.c.portal, decisions.c.document, func.count().label("stops"))
        .where(*which)
        .group_by(decisions.c.portal, decisions.c.document)
        .subquery()
    )
    in_all = select(func.count(), func.coalesce(func.sum(by_document.c.stops), 0))
    documents, stops = conn.execute(in_all.select_from(by_document)).one()
    named = select(by_document).order_by(by_document.c.document, by_document.c.portal).limit(most)
    several = len(portals) > 1
    return HeldByRule(
        stops=int(stops),
        documents_in_all=documents,
        documents={
            f"{row.document} of {row.portal}" if several else row.document: row.stops
            for row in conn.execute(named)
        },
    )


def open_stops(conn: Connection) -> Counts:
    """Count the stops that are not concluded, by (portal, outcome)."""
    return _counted(conn, _of_each(decisions.c.outcome).where(ACTING))


def failed(conn: Connection, since: datetime) -> dict[str, int]:
    """Count, by portal, the stops condemned since then that the portal refused or that gave up."""
    found = conn.execute(
        select(decisions.c.portal, func.count().label("failed"))
        .where(decisions.c.outcome.in_((Outcome.REFUSED, Outcome.GAVE_UP)), decisions.c.at >= since)
        .group_by(decisions.c.portal)
    )
    return {row.portal: row.failed for row in found}


def _of_each(column: Column[str]) -> Select[str, str, int]:
    return select(decisions.c.portal, column, func.count()).group_by(decisions.c.portal, column)


def _counted(conn: Connection, query: Select[str, str, int]) -> Counts:
    return {(portal, one): count for portal, one, count in conn.execute(query)}


def heads(conn: Connection) -> dict[str, tuple[int, str]]:
    """Return number and hash of the last entry of each portal's chain."""
    found = conn.execute(select(chains).order_by(chains.c.portal))
    return {record.portal: (record.seq, record.hash) for record in found}


def recent_controls(conn: Connection, most: int = 20) -> list[Control]:
    """Return the newest control entries among each chain's last entries, the newest first."""
    found: list[Control] = []
    for portal, (head, _) in heads(conn).items():
        rows = conn.execute(
            select(entries)
            .where(
                entries.c.portal == portal,
                entries.c.seq > head - _ENTRIES,
                entries.c.kind == "control",
            )
            .order_by(entries.c.seq.desc())
            .limit(most)
        )
        found += [
            Control(portal=portal, seq=row.seq, at=row.at, body=json.loads(row.body))
            for row in rows
        ]
    return sorted(found, key=lambda act: act.at, reverse=True)[:most]
