"""The end of what is kept long enough: the oldest entries of a chain, and all that hangs on them.

A *prefix* of a chain is removed, with its evidence, its rows of the index and the deliveries that
it concluded, and in the same transaction an entry of the kind `prune` is appended, which tells up
to which number, the hash that stood there, and how many days were kept (`chain`). So the rest still
proves itself. The last entry that is old enough stays: it proves that what stood before it was as
old (`marks`).

It goes no further than the oldest decision that is open, or stopped and not yet verified. A later
entry may still speak of a decision that is gone: its outcome came after the instant, and is kept
until its own time.

The texts of rulesets are not removed: they are few, and name what the rules were in any year.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, or_, select

from responder.store import shadow
from responder.store.chain import append
from responder.store.tables import (
    OPEN,
    TO_VERIFY,
    approvals,
    decisions,
    deliveries,
    entries,
    evidence,
)

MOST = 1_000
_CHUNK = 500
_CLOCKS_DIFFER = timedelta(hours=1)  # a delivery's instant and its evaluation's are of two clocks


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step has removed; `through` is the number of the last entry, `more` to go on."""

    through: int
    entries: int
    more: bool


class _Entry(NamedTuple):
    """What is asked of an entry before it goes."""

    seq: int
    kind: str
    at: datetime
    hash: str


def prune(
    tx: Connection, portal: str, before: datetime, at: datetime, *, most: int = MOST
) -> Pruned | None:
    """Remove entries older than an instant, `most` at once; return None where there is nothing.

    The instant is a day or more before `at`.

    Where nothing but a few markers of earlier times is old enough, they stay: to remove them would
    leave another.
    """
    gone = _oldest(tx, portal, before, most + 1)[:-1]
    if len(gone) < most and all(entry.kind == "prune" for entry in gone):
        return None
    last = gone[-1]
    told = {
        "through": last.seq,
        "hash": last.hash,
        "before": before,
        "days": (at - before).days,
        "entries": len(gone),
    }
    append(tx, portal, "prune", at, told)
    for names in _names(tx, portal, last.seq):
        tx.execute(delete(deliveries).where(concluded_by(tx, portal, names)))
    for table in (evidence, approvals, decisions, entries):
        tx.execute(delete(table).where(table.c.portal == portal, table.c.seq <= last.seq))
    shadow.forget(tx, portal, last.seq)
    return Pruned(last.seq, len(gone), more=len(gone) == most)


def concluded_by(conn: Connection, portal: str, numbers: Sequence[int]) -> ColumnElement[bool]:
    """Say in SQL: the deliveries that these evaluations have concluded.

    The table is searched by time, since nothing finds a delivery by its evaluation.
    """
    made = and_(decisions.c.portal == portal, decisions.c.seq.in_(numbers))
    first, last = conn.execute(
        select(func.min(decisions.c.received_at), func.max(decisions.c.at)).where(made)
    ).one()
    if first is None:
        return false()
    return and_(
        deliveries.c.received_at >= first,
        deliveries.c.received_at <= last + _CLOCKS_DIFFER,
        deliveries.c.evaluation.in_([f"{portal}-{seq}" for seq in numbers]),
    )


def _oldest(conn: Connection, portal: str, before: datetime, most: int) -> list[_Entry]:
    """Return the entries that may go: old enough, and before what is not finished."""
    unfinished = conn.execute(
        select(func.min(decisions.c.seq)).where(decisions.c.portal == portal, or_(OPEN, TO_VERIFY))
    ).scalar()
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
