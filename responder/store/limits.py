"""How much a rule has done, what tripped, and whether everything is paused.

What counts against a limit is a stop whose call was made and which did or may have done something:
one that was refused or given up does not. All of it is counted in the transaction that
would commit the next intent, on rows, so that neither a restart nor another driver begins at zero.

`rearm` begins a rule's counts anew: what was before it is forgiven.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from responder.model import Outcome
from responder.store.places import decision_name, not_among, numbered
from responder.store.tables import OPEN, chains, decisions, insert, rearms, switches, trips

COUNTED = (
    Outcome.KILLED,
    Outcome.TERMINATED,
    Outcome.IN_DOUBT,
    Outcome.WAITING,
    Outcome.ALREADY_GONE,  # an older portal answers "unknown" although the call stopped it
)
_WOULD = (Outcome.WOULD_KILL, Outcome.WOULD_TERMINATE)
_PAUSE = "pause"

# What a held stop waits for. What a run condemned is freed by another run, as one set again; what
# waits for somebody's approval (`approvals`) is freed by that alone.
PAUSED, TRIPPED, DOCUMENT, RUN = "pause", "trip", "document", "run"
APPROVAL = "approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A rule that would have done more than its limit allows, and does nothing until rearmed."""

    portal: str
    rule: str
    at: datetime
    why: str


def acted(
    conn: Connection, portal: str, rule: str, since: datetime, but: Collection[str] = ()
) -> int:
    """Count the stops this rule has begun since then, the decisions in `but` left out."""
    statement = _acted(conn.dialect.name)
    return conn.execute(statement, _given(conn, portal, rule, since, but)).scalar_one()


def acted_on(
    conn: Connection,
    portal: str,
    document: str,
    rule: str,
    since: datetime,
    but: Collection[str] = (),
) -> int:
    """Count the stops any rule has begun on a document since then, or since `rule` was rearmed."""
    given = _given(conn, portal, rule, since, but)
    return conn.execute(_acted_on(conn.dialect.name), {**given, "on": document}).scalar_one()


def would_have(conn: Connection, portal: str, rule: str, since: datetime) -> int:
    """Count what a rule has said since then that it would do."""
    query = (
        select(func.count())
        .select_from(decisions)
        .where(
            decisions.c.portal == portal,
            decisions.c.rule == rule,
            decisions.c.outcome.in_(_WOULD),
            decisions.c.at >= since,
        )
    )
    return conn.execute(query).scalar_one()


def would_have_on(conn: Connection, portal: str, document: str, since: datetime) -> int:
    """Count what rules have said since then that they would do on a document."""
    query = (
        select(func.count())
        .select_from(decisions)
        .where(
            decisions.c.portal == portal,
            decisions.c.document == document,
            decisions.c.outcome.in_(_WOULD),
            decisions.c.at >= since,
        )
    )
    return conn.execute(query).scalar_one()


def trip(tx: Connection, portal: str, rule: str, at: datetime, why: str) -> None:
    """Trip a rule; one that is tripped already keeps its reason."""
    tx.execute(
        insert(tx, trips).values(portal=portal, rule=rule, at=at, why=why).on_conflict_do_nothing()
    )


def tripped(conn: Connection, portal: str | None = None) -> list[Trip]:
    """Return the rules that are tripped, in one portal or in all."""
    query = select(trips).order_by(trips.c.at, trips.c.rule)
    if portal is not None:
        query = query.where(trips.c.portal == portal)
    return [
        Trip(portal=row.portal, rule=row.rule, at=row.at, why=row.why)
        for row in conn.execute(query)
    ]


def holding(conn: Connection, portal: str) -> set[str]:
    """Name the rules that are tripped or have stops that are held."""
    query = (
        select(decisions.c.rule)
        .where(decisions.c.portal == portal, OPEN, decisions.c.outcome == Outcome.HELD)
        .distinct()
    )
    return {trip.rule for trip in tripped(conn, portal)} | set(conn.execute(query).scalars())


def rearm(tx: Connection, portal: str, rule: str, at: datetime) -> int:
    """Forgive a rule what it did, and have what it held judged afresh; return how much that is."""
    tx.execute(delete(trips).where(trips.c.portal == portal, trips.c.rule == rule))
    head = tx.execute(select(chains.c.seq).where(chains.c.portal == portal)).scalar() or 0
    tx.execute(
        insert(tx, rearms)
        .values(portal=portal, rule=rule, at=at, seq=head)
        .on_conflict_do_update(index_elements=["portal", "rule"], set_={"at": at, "seq": head})
    )
    return _free(
        tx,
        at,
        decisions.c.portal == portal,
        decisions.c.rule == rule,
        decisions.c.hold.in_((TRIPPED, DOCUMENT)),
    )


def held_by_run(conn: Connection, portal: str, rule: str) -> list[str]:
    """Return the decisions of a rule that a run condemned and that are held as its set."""
    found = conn.execute(
        select(decisions.c.portal, decisions.c.seq, decisions.c.n).where(
            decisions.c.portal == portal,
            decisions.c.rule == rule,
            OPEN,
            decisions.c.outcome == Outcome.HELD,
            decisions.c.hold == RUN,
        )
    )
    return [decision_name(*row) for row in found]


def pause(tx: Connection, at: datetime, by: str) -> bool:
    """Stop all new calls, of every portal. Return False where that was so already."""
    begin = insert(tx, switches).values(name=_PAUSE, at=at, by=by).on_conflict_do_nothing()
    made = tx.execute(begin.returning(switches.c.name))  # PostgreSQL counts no inserted row
    return made.first() is not None


def resume(tx: Connection, at: datetime) -> int | None:
    """Allow calls again, and have what was held judged afresh; None where nothing was paused."""
    if tx.execute(delete(switches).where(switches.c.name == _PAUSE)).rowcount == 0:
        return None
    return _free(tx, at, decisions.c.hold == PAUSED)


def paused(conn: Connection, *, lock: bool = False) -> tuple[datetime, str] | None:
    """Return since when and by whom everything is paused, or None."""
    query = select(switches.c.at, switches.c.by).where(switches.c.name == _PAUSE)
    if lock:
        query = query.with_for_update(read=True)
    found = conn.execute(query).one_or_none()
    return None if found is None else (found.at, found.by)


def held(conn: Connection, portal: str) -> int:
    """Count the stops that are held."""
    query = select(func.count()).where(
        decisions.c.portal == portal, OPEN, decisions.c.outcome == Outcome.HELD
    )
    return conn.execute(query).scalar_one()


def _free(tx: Connection, at: datetime, *which: ColumnElement[bool]) -> int:
    return tx.execute(
        update(decisions)
        .where(OPEN, decisions.c.outcome == Outcome.HELD, *which)
        .values(outcome=Outcome.WAITING, hold=None, due_at=at, detail="judged afresh")
    ).rowcount


@cache
def _acted(dialect: str) -> Select[int]:
    return _begun(dialect).where(decisions.c.rule == bindparam("by_rule"))


@cache
def _acted_on(dialect: str) -> Select[int]:
    return _begun(dialect).where(decisions.c.document == bindparam("on"))


def _begun(dialect: str) -> Select[int]:
    """Count the calls of each decision, so that one workflow killed twice counts twice."""
    return (
        select(func.coalesce(func.sum(decisions.c.calls), 0))
        .select_from(decisions)
        .where(
            decisions.c.portal == bindparam("of"),
            decisions.c.called_at >= bindparam("since"),
            decisions.c.outcome.in_(COUNTED),
            not_among(dialect, "but"),
            _unforgiven(),
        )
    )


def _given(
    conn: Connection, portal: str, rule: str, since: datetime, but: Collection[str]
) -> dict[str, object]:
    return {"of": portal, "by_rule": rule, "since": since, "but": numbered(conn, but)}


def _unforgiven() -> ColumnElement[bool]:
    """Leave out what was settled before the rule was rearmed: by the log's order, not by a clock.

    A clock that steps back would else forgive all that the rule does until it has caught up.
    """
    rearmed = (
        select(rearms.c.seq)
        .where(rearms.c.portal == bindparam("of"), rearms.c.rule == bindparam("by_rule"))
        .scalar_subquery()
    )
    return or_(decisions.c.concluded.is_(None), decisions.c.concluded > func.coalesce(rearmed, 0))
