"""Counts what rules have stopped, and stores which rules tripped and whether everything is paused.

A stop counts against a limit where its call was made and did, or may have done, something; and
where it belongs to a set that has begun, since a set that has begun is finished. A call that
certainly was not carried out (never sent, or refused by the request limit) leaves its stop waiting
and does not count. One whose answer was lost may have been carried out even where its workflow is
found running afterwards, for it may have come back: its stop counts whatever becomes of it. All of
it is counted in the transaction that would commit the next intent, on rows, so neither a restart
nor another driver begins at zero.

A *set* is what one rule condemned in one evaluation or one run, or what people approved in one
command. Rule and `set_name` identify it, and it has begun once its first intent is written; where
the rules file has changed since, the rest of it must be begun anew. What several runs condemned
while everything was paused, or while the rule was tripped, becomes one set on resume or rearm.

`rearm` resets a rule's counts: what it stopped before no longer counts.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    union_all,
    update,
)

from responder.model import WOULD_OUTCOMES, Outcome
from responder.store.canonical_json import instant_text
from responder.store.database.tables import (
    IN_A_SET,
    OPEN,
    chains,
    decisions,
    insert,
    rearms,
    switches,
    trips,
)
from responder.store.decision_ids import decision_name

COUNTED = (
    Outcome.KILLED,
    Outcome.TERMINATED,
    Outcome.IN_DOUBT,
    Outcome.ALREADY_GONE,  # an older portal answers "unknown" although the call stopped it
)
MAY_BE_DONE = or_(decisions.c.outcome.in_(COUNTED), decisions.c.perhaps_done.is_(True))
RUNS = ("sweep", "schedule")
_PAUSE = "pause"

# What a held stop waits for. What a run condemned is released by the rule's next run, as one set;
# what waits for an approval (`approvals`) is released by that alone.
PAUSED, TRIPPED, DOCUMENT, RUN = "pause", "trip", "document", "run"
APPROVAL = "approval"
_HELD = decisions.c.outcome == Outcome.HELD
_HELD_BY_RUN = and_(_HELD, decisions.c.hold == RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A rule that would have exceeded its limit, and stops nothing until it is rearmed."""

    portal: str
    rule: str
    at: datetime
    why: str


class Freed(NamedTuple):
    """A held decision that is to be concluded as `cleared`, because its rule was rearmed."""

    decision_id: str
    rule: str
    action: str


def acted(conn: Connection, portal: str, rule: str, since: datetime, revision: str) -> int:
    """Count what the rule stopped since then, and what is left of sets this ruleset has begun."""
    given = {"of": portal, "by_rule": rule, "since": since, "ruleset": revision}
    called = conn.execute(_ACTED, given).scalar_one()
    return called + conn.execute(_PENDING, given).scalar_one()


def acted_on(
    conn: Connection,
    portal: str,
    names: Collection[str],
    rule: str,
    since: datetime,
    revision: str,
    *,
    but_set: str,
) -> int:
    """Count what any rule stopped on a document since then, and what is left of sets begun there.

    `names` are all that it has (`element_names`). What was stopped before `rule` was rearmed does
    not count, nor does the rest of its own set `but_set`.
    """
    given = {"of": portal, "by_rule": rule, "since": since, "ruleset": revision}
    given |= {"on": names, "but": but_set}
    called = conn.execute(_ACTED_ON, given).scalar_one()
    return called + conn.execute(_PENDING_ON, given).scalar_one()


def acted_on_any(
    conn: Connection, portal: str, documents: Collection[str], since: datetime
) -> set[str]:
    """Return those of these documents of which `acted_on` may count something since then."""
    given = {"of": portal, "among": sorted(documents), "since": since}
    return set(conn.execute(_TOUCHED, given).scalars()) if documents else set()


def has_begun(conn: Connection, portal: str, rule: str, set_name: str, revision: str) -> bool:
    """Return whether the set's last begin was by this ruleset, and stops of it are still open."""
    query = select(decisions.c.seq).where(_begun_of(portal, rule, set_name, revision), OPEN)
    return conn.execute(query.limit(1)).first() is not None


def begun_on(
    conn: Connection,
    portal: str,
    rule: str,
    set_name: str,
    revision: str,
    documents: Collection[str],
) -> set[str]:
    """Return those of these documents on which a call was made for this set."""
    query = (
        select(decisions.c.document)
        .where(
            _begun_of(portal, rule, set_name, revision),
            decisions.c.calls > 0,
            decisions.c.document.in_(sorted(documents)),
        )
        .distinct()
    )
    return {one for one in conn.execute(query).scalars() if one is not None}


def _begun_of(portal: str, rule: str, set_name: str, revision: str) -> ColumnElement[bool]:
    return and_(
        decisions.c.portal == portal,
        IN_A_SET,
        decisions.c.set_name == set_name,
        decisions.c.rule == rule,
        decisions.c.begun.is_(True),
        decisions.c.begun_by == revision,
    )


def begin(tx: Connection, portal: str, sets: Iterable[tuple[str, str]], revision: str) -> None:
    """Mark the open stops of sets (rule, name) as begun by this ruleset: they will be finished."""
    names: dict[str, list[str]] = {}
    for rule, name in sets:
        names.setdefault(rule, []).append(name)
    of = {"of": portal, "by_revision": revision}
    for rule, of_sets in names.items():
        tx.execute(_BEGIN, of | {"by_rule": rule, "of_sets": of_sets})


def would_have(conn: Connection, portal: str, rule: str, since: datetime) -> int:
    """Count the stops that the rule, observing, would have made since then."""
    query = select(func.count()).where(_would(portal, since, decisions.c.rule == rule))
    return conn.execute(query).scalar_one()


def would_have_stopped(conn: Connection, portal: str, rule: str, since: datetime) -> set[str]:
    """Return the ids of the workflows that the rule, observing, would have stopped since then."""
    which = _would(portal, since, decisions.c.rule == rule)
    query = select(decisions.c.workflow_id).where(which)
    return {one for one in conn.execute(query).scalars() if one is not None}


def would_have_on(conn: Connection, portal: str, names: Collection[str], since: datetime) -> int:
    """Count the stops that observing rules would have made on a document of these names."""
    query = select(func.count()).where(_would(portal, since, decisions.c.document.in_(names)))
    return conn.execute(query).scalar_one()


def _would(portal: str, since: datetime, which: ColumnElement[bool]) -> ColumnElement[bool]:
    would = decisions.c.outcome.in_(WOULD_OUTCOMES)
    return and_(decisions.c.portal == portal, which, would, decisions.c.at >= since)


def trip(tx: Connection, portal: str, rule: str, at: datetime, why: str) -> None:
    """Trip a rule; a rule that is tripped already keeps its reason."""
    new = insert(tx, trips).values(portal=portal, rule=rule, at=at, why=why)
    tx.execute(new.on_conflict_do_nothing())


def tripped(conn: Connection, portal: str | None = None) -> list[Trip]:
    """Return the tripped rules of one portal, or of all."""
    query = select(trips).order_by(trips.c.at, trips.c.rule)
    if portal is not None:
        query = query.where(trips.c.portal == portal)
    return [
        Trip(portal=row.portal, rule=row.rule, at=row.at, why=row.why)
        for row in conn.execute(query)
    ]


def holding(conn: Connection, portal: str) -> set[str]:
    """Return the names of rules that are tripped or have held stops."""
    query = select(decisions.c.rule).where(decisions.c.portal == portal, OPEN, _HELD).distinct()
    return {trip.rule for trip in tripped(conn, portal)} | set(conn.execute(query).scalars())


def rearm(tx: Connection, portal: str, rule: str, at: datetime) -> int:
    """Reset the rule's counts and make what it held due to be judged afresh; return how many.

    The caller has locked the head of the portal's chain, so this and a trip are in the order of
    their entries.
    """
    tx.execute(delete(trips).where(trips.c.portal == portal, trips.c.rule == rule))
    head = tx.execute(select(chains.c.seq).where(chains.c.portal == portal)).scalar() or 0
    tx.execute(
        insert(tx, rearms)
        .values(portal=portal, rule=rule, at=at, seq=head)
        .on_conflict_do_update(index_elements=["portal", "rule"], set_={"at": at, "seq": head})
    )
    held = (decisions.c.portal == portal, decisions.c.rule == rule)
    return _release(
        tx, at, f"rearmed {instant_text(at)}", *held, decisions.c.hold == TRIPPED
    ) + _release(tx, at, None, *held, decisions.c.hold == DOCUMENT)


def clear_later(tx: Connection, portal: str, rule: str, at: datetime) -> int:
    """Mark what the rule's runs hold as a set as due to be cleared; return how many stops."""
    # There may be many thousands, so the driver clears them some at a time (`freed`).
    return tx.execute(
        update(decisions)
        .where(decisions.c.portal == portal, OPEN, _HELD_BY_RUN, decisions.c.rule == rule)
        .values(due_at=at)
    ).rowcount


def freed(conn: Connection, portal: str, most: int) -> list[Freed]:
    """Return at most so many decisions that `clear_later` has made due, the longest due first."""
    of = (decisions.c.portal, decisions.c.seq, decisions.c.n)
    query = (
        select(*of, decisions.c.rule, decisions.c.action)
        .where(decisions.c.portal == portal, OPEN, _HELD_BY_RUN, decisions.c.due_at.is_not(None))
        .order_by(decisions.c.due_at)
        .limit(most)
    )
    return [Freed(decision_name(*row[:3]), row.rule, row.action) for row in conn.execute(query)]


def pause(tx: Connection, at: datetime, by: str) -> bool:
    """Pause all new calls, of every portal; return False where they were paused already."""
    begin = insert(tx, switches).values(name=_PAUSE, at=at, by=by).on_conflict_do_nothing()
    made = tx.execute(begin.returning(switches.c.name))  # PostgreSQL counts no inserted row
    return made.first() is not None


def resume(tx: Connection, at: datetime) -> int | None:
    """Allow calls again, make what the pause held due, and return how many; None if not paused."""
    if tx.execute(delete(switches).where(switches.c.name == _PAUSE)).rowcount == 0:
        return None
    return _release(tx, at, f"resumed {instant_text(at)}", decisions.c.hold == PAUSED)


def paused(conn: Connection) -> tuple[datetime, str] | None:
    """Return since when and by whom everything is paused, or None.

    A caller that decides by it locks the head of the portal's chain first. The entry of a pause is
    appended in the transaction that begins the pause, so the two are in the order of the chain.
    """
    query = select(switches.c.at, switches.c.by).where(switches.c.name == _PAUSE)
    found = conn.execute(query).one_or_none()
    return None if found is None else (found.at, found.by)


def held(conn: Connection, portal: str) -> int:
    """Count the held stops of a portal."""
    query = select(func.count()).where(decisions.c.portal == portal, OPEN, _HELD)
    return conn.execute(query).scalar_one()


def _release(
    tx: Connection, at: datetime, set_name: str | None, *which: ColumnElement[bool]
) -> int:
    """Mark held stops as due to be judged afresh; with a name, those of runs become one set."""
    held = and_(OPEN, _HELD, *which)
    if set_name is not None:
        tx.execute(
            update(decisions)
            .where(held, decisions.c.trigger.in_(RUNS), decisions.c.begun.is_not(True))
            .values(set_name=set_name)
        )
    return tx.execute(
        update(decisions)
        .where(held)
        .values(
            outcome=Outcome.WAITING,
            hold=None,
            due_at=at,
            postponed_at=at,
            detail="judged afresh",
        )
    ).rowcount


def _since_rearm() -> ColumnElement[bool]:
    """Return the condition that leaves out what was concluded before the rule was rearmed."""
    # By the order of the log, not by time: after our clock was set back, everything that the rule
    # stops would look older than the rearm until the clock has caught up, and would not count.
    rearmed = (
        select(rearms.c.seq)
        .where(rearms.c.portal == bindparam("of"), rearms.c.rule == bindparam("by_rule"))
        .scalar_subquery()
    )
    # What is still open counts by its newest call, and always while nobody knows what that did.
    newest = func.coalesce(decisions.c.concluded, decisions.c.changed)
    return or_(decisions.c.outcome == Outcome.IN_DOUBT, newest > func.coalesce(rearmed, 0))


_IS_LEFT = and_(
    OPEN,
    decisions.c.begun.is_(True),
    decisions.c.begun_by.is_not_distinct_from(bindparam("ruleset")),  # for `not_`, never null
    decisions.c.outcome.in_((Outcome.WAITING, Outcome.HELD)),
    func.coalesce(decisions.c.hold, "") != DOCUMENT,
)

_OF = decisions.c.portal == bindparam("of")

# Built once: building such a statement takes several times as long as carrying it out.
_BEGIN = (
    update(decisions)
    .where(
        _OF,
        IN_A_SET,
        decisions.c.set_name.in_(bindparam("of_sets", expanding=True)),
        decisions.c.rule == bindparam("by_rule"),
        OPEN,
        or_(
            decisions.c.begun.is_not(True),
            decisions.c.begun_by.is_distinct_from(bindparam("by_revision")),
        ),
    )
    .values(begun=True, begun_by=bindparam("by_revision"))
)
_BEGUN = (
    select(func.count())
    .select_from(decisions)
    .where(
        _OF,
        decisions.c.called_at >= bindparam("since"),
        MAY_BE_DONE,
        not_(_IS_LEFT),
        _since_rearm(),
    )
)
_LEFT = select(func.count()).select_from(decisions).where(_OF, _IS_LEFT)
_AMONG = decisions.c.document.in_(bindparam("among", expanding=True))
_TOUCHED = union_all(
    *(
        select(decisions.c.document).where(
            _OF,
            decisions.c.document.in_(bindparam("among", expanding=True)),
            which,
        )
        for which in (
            decisions.c.called_at >= bindparam("since"),
            and_(OPEN, decisions.c.begun.is_(True)),
        )
    )
)
_ACTED = _BEGUN.where(decisions.c.rule == bindparam("by_rule"))
_ON = decisions.c.document.in_(bindparam("on", expanding=True))
_ACTED_ON = _BEGUN.where(_ON)
_PENDING = _LEFT.where(decisions.c.rule == bindparam("by_rule"))
_called = decisions.alias()
_PENDING_ON = _LEFT.where(
    _ON,
    or_(decisions.c.rule != bindparam("by_rule"), decisions.c.set_name != bindparam("but")),
    # Of a set that has made no call on this document yet, nothing counts here: it is checked
    # against the document's limit itself when it makes the first.
    exists().where(
        _called.c.portal == decisions.c.portal,
        _called.c.document.in_(bindparam("on", expanding=True)),
        _called.c.called_at.is_not(None),
        _called.c.rule == decisions.c.rule,
        _called.c.set_name == decisions.c.set_name,
    ),
)
