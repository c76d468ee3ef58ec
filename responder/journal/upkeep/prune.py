"""Removes the oldest entries of a chain, with all rows that belong to them.

A *prefix* of a chain is removed, with its evidence, its rows of the index and the deliveries that
it concluded, and in the same transaction an entry of the kind `prune` is appended, which has the
number and the hash of the last entry removed, and how many days were kept (`chain`). So the rest
still proves itself. The last entry that is old enough stays: it proves that those before it were as
old (`checkpoint_marks`).

Pruning goes no further than the oldest decision that is open, stopped and not yet verified, or
being started anew. A later entry may still name a decision that is gone: its outcome is younger,
and is kept until its own time.

The texts of rulesets are not removed: they are few, and show what the rules were in any year.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, select

from responder.journal import would_kills
from responder.journal.chain import append
from responder.store import sweep_runs
from responder.store.database.portal_tables import UNFINISHED, restarts, tellings
from responder.store.database.tables import (
    OPEN,
    TO_VERIFY,
    approvals,
    decisions,
    deliveries,
    entries,
    evidence,
    name_words,
)

MOST = 1_000
DAY = timedelta(days=1)
PRUNED = "pruned"  # a key of `sweep_runs`; a schedule's key has a space in it
_CHUNK = 500
_CLOCKS_DIFFER = timedelta(hours=1)  # replicas that receive and that drive have clocks of their own


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result of one step: `through` is the last number removed, `more` whether to go on."""

    through: int
    entries: int
    more: bool


class _Entry(NamedTuple):
    """An entry, as far as pruning reads it."""

    seq: int
    kind: str
    at: datetime
    hash: str


def prune(
    tx: Connection, portal: str, before: datetime, at: datetime, *, most: int = MOST
) -> Pruned | None:
    """Remove at most so many entries older than an instant; return None where there are none.

    `before` is a day or more before `at`. Where only a few markers of earlier prunes are old
    enough, they stay: removing them would leave another marker.
    """
    gone = _oldest(tx, portal, before, most + 1)[:-1]
    if len(gone) < most and all(entry.kind == "prune" for entry in gone):
        return None
    last = gone[-1]
    body = {
        "through": last.seq,
        "hash": last.hash,
        "before": before,
        "days": (at - before).days,
        "entries": len(gone),
    }
    append(tx, portal, "prune", at, body)
    for names in _names(tx, portal, last.seq):
        tx.execute(delete(deliveries).where(concluded_by(tx, portal, names)))
    for table in (evidence, approvals, name_words, restarts, tellings, decisions, entries):
        tx.execute(delete(table).where(table.c.portal == portal, table.c.seq <= last.seq))
    would_kills.forget(tx, portal, last.seq)
    return Pruned(last.seq, len(gone), more=len(gone) == most)


def capped(conn: Connection, portal: str, wanted: datetime) -> datetime:
    """Return the instant before which entries may be removed: at most a day past the last one."""
    # a clock that is a year ahead for a minute must not remove a year's log
    oldest = select(entries.c.at).where(entries.c.portal == portal)
    known = (
        conn.execute(oldest.order_by(entries.c.seq).limit(1)).scalar(),
        sweep_runs.last(conn, portal).get(PRUNED),
    )
    reach = max((at for at in known if at is not None), default=None)
    return wanted if reach is None else min(wanted, reach + DAY)


def record_pruned(tx: Connection, portal: str, before: datetime) -> None:
    """Record up to which instant the log is pruned."""
    sweep_runs.record_run(tx, portal, PRUNED, before)


def concluded_by(conn: Connection, portal: str, numbers: Sequence[int]) -> ColumnElement[bool]:
    """Return the SQL condition for the deliveries that these evaluations have concluded.

    Deliveries have no index by evaluation, so the table is searched by time. Where that finds fewer
    than the evaluations say that they concluded, a clock was set meanwhile, and the whole table is
    searched.
    """
    named = and_(
        deliveries.c.portal == portal,
        deliveries.c.evaluation.in_([f"{portal}-{seq}" for seq in numbers]),
    )
    events = _events(conn, portal, numbers)
    if not events:
        return false()
    made = and_(decisions.c.portal == portal, decisions.c.seq.in_(numbers))
    first, last = conn.execute(
        select(func.min(decisions.c.received_at), func.max(decisions.c.at)).where(made)
    ).one()
    if first is None or last is None:
        return named
    by_time = and_(
        deliveries.c.received_at >= first,
        deliveries.c.received_at <= last + _CLOCKS_DIFFER,
        named,
    )
    found = conn.execute(select(func.count()).select_from(deliveries).where(by_time)).scalar_one()
    return by_time if found >= events else named


def _events(conn: Connection, portal: str, numbers: Sequence[int]) -> int:
    """Return how many deliveries these evaluations say they concluded."""
    bodies = conn.execute(
        select(entries.c.body).where(entries.c.portal == portal, entries.c.seq.in_(numbers))
    ).scalars()
    return sum(json.loads(body).get("events", 0) for body in bodies)


def _oldest(conn: Connection, portal: str, before: datetime, most: int) -> list[_Entry]:
    """Return the entries that may be removed: old enough, and before everything unfinished."""
    unfinished = _first_unfinished(conn, portal)
    query = (
        select(entries.c.seq, entries.c.kind, entries.c.at, entries.c.hash)
        .where(entries.c.portal == portal)
        .order_by(entries.c.seq)
        .limit(most)
    )
    if unfinished is not None:
        query = query.where(entries.c.seq < unfinished)
    oldest = []
    for entry in map(_Entry._make, conn.execute(query)):
        if entry.at >= before:
            break
        oldest.append(entry)
    return oldest


def _first_unfinished(conn: Connection, portal: str) -> int | None:
    """Return the oldest evaluation with a decision that is open, unverified, or restarted now."""
    # three statements: each condition has an index of its own, and no index has several
    found = [
        conn.execute(
            select(func.min(decisions.c.seq)).where(decisions.c.portal == portal, rare)
        ).scalar()
        for rare in (OPEN, TO_VERIFY)
    ]
    # an older version prunes the decision, and leaves the row of its restart
    of_decision = and_(*(restarts.c[name] == decisions.c[name] for name in ("portal", "seq", "n")))
    being_restarted = (
        select(func.min(restarts.c.seq))
        .join(decisions, of_decision)
        .where(restarts.c.portal == portal, UNFINISHED)
    )
    found.append(conn.execute(being_restarted).scalar())
    return min((seq for seq in found if seq is not None), default=None)


def _names(conn: Connection, portal: str, through: int) -> list[list[int]]:
    """Return the numbers of the evaluations up to a number, in chunks."""
    numbers = list(
        conn.execute(
            select(decisions.c.seq)
            .where(decisions.c.portal == portal, decisions.c.seq <= through)
            .distinct()
            .order_by(decisions.c.seq)
        ).scalars()
    )
    return [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
