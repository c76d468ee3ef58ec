"""What a receiver of notifications is to be told: concluded stops, and rules that tripped.

Theory of operation. There is no second queue: the chain of entries says what happened, and nothing
is told that does not stand in it. Each portal has a *position*, the number of the entry up to which
its chain has been read for this. Reading on turns what is worth telling into *notices* and moves
the position, in one transaction. A notice stays until the receiver has taken it or it is given up,
so one that is refused keeps no other waiting.

A message's id is made of its entry's hash: the same for every try, replica and restart, and another
in every other chain.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update

from responder.journal.chain import heads
from responder.model import Mode, Outcome
from responder.store.canonical_json import canonical, instant_text
from responder.store.database.tables import (
    chains,
    decisions,
    entries,
    insert,
    notice_positions,
    notices,
)
from responder.store.decision_ids import is_decision, place_of

MOST = 200  # messages in one transaction
SPAN = 5_000  # entries in one: a reader must not hold it for long

_TOLD = frozenset(
    outcome.value
    for outcome in (
        Outcome.KILLED,
        Outcome.TERMINATED,
        Outcome.ALREADY_GONE,
        Outcome.REFUSED,
        Outcome.GAVE_UP,
    )
)
_ID_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message, what it is made from, and how far telling it has come."""

    portal: str
    seq: int
    message_id: str
    body: str
    at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Behind:
    """A portal whose chain has entries after its position."""

    portal: str
    position: int
    head: int


def begin(tx: Connection, portals: Collection[str]) -> None:
    """Begin with what happens from now on, for the portals that have no position yet."""
    reached = heads(tx)
    for portal in portals:
        row = insert(tx, notice_positions).values(portal=portal, seq=reached.get(portal, 0))
        tx.execute(row.on_conflict_do_nothing())


def behind(conn: Connection, portals: Collection[str]) -> list[Behind]:
    """Return those of these portals that have something to read."""
    found = conn.execute(
        select(chains.c.portal, notice_positions.c.seq, chains.c.seq)
        .join(notice_positions, notice_positions.c.portal == chains.c.portal)
        .where(chains.c.portal.in_(portals), chains.c.seq > notice_positions.c.seq)
    )
    return [Behind(*row) for row in found]


def read_on(conn: Connection, portal: str, after: int, head: int) -> tuple[list[Notice], int]:
    """Return what is to be told of the entries after a number, and up to which it has read."""
    last = min(head, after + SPAN)
    found = conn.execute(
        select(entries)
        .where(
            entries.c.portal == portal,
            entries.c.seq > after,
            entries.c.seq <= last,
            entries.c.kind.in_(("outcome", "control")),
        )
        .order_by(entries.c.seq)
        .limit(MOST)
    ).all()
    told = [notice for entry in found if (notice := _notice(conn, entry)) is not None]
    return told, found[-1].seq if len(found) == MOST else last


def first_kept(conn: Connection, portal: str) -> int | None:
    """Return the number of the oldest entry that was not pruned."""
    return conn.execute(select(func.min(entries.c.seq)).where(entries.c.portal == portal)).scalar()


def keep(tx: Connection, new: Sequence[Notice], portal: str, through: int, now: datetime) -> None:
    """Keep what was read, to be told now, and move the portal's position."""
    rows = [{**asdict(notice), "due_at": now} for notice in new]
    if rows:
        tx.execute(insert(tx, notices).on_conflict_do_nothing(), rows)
    tx.execute(
        update(notice_positions).where(notice_positions.c.portal == portal).values(seq=through)
    )


def due(conn: Connection, portals: Collection[str], now: datetime, most: int) -> list[Notice]:
    """Return what is to be told now, the longest due first."""
    query = (
        select(notices)
        .where(notices.c.portal.in_(portals), notices.c.due_at <= now)
        .order_by(notices.c.due_at, notices.c.portal, notices.c.seq)
        .limit(most)
    )
    return [_of_row(row) for row in conn.execute(query)]


def older(conn: Connection, portals: Collection[str], before: datetime) -> list[Notice]:
    """Return what happened before an instant and is still to be told."""
    query = (
        select(notices)
        .where(notices.c.portal.in_(portals), notices.c.at < before)
        .order_by(notices.c.at)
        .limit(MOST)
    )
    return [_of_row(row) for row in conn.execute(query)]


def done(tx: Connection, notice: Notice) -> None:
    """Forget a notice: it was taken, or is given up."""
    tx.execute(delete(notices).where(_is(notice)))


def postpone(tx: Connection, notice: Notice, due_at: datetime) -> None:
    """Count a try that failed, and tell it again later."""
    tx.execute(update(notices).where(_is(notice)).values(tries=notice.tries + 1, due_at=due_at))


def waiting(conn: Connection, portals: Collection[str]) -> int:
    """Count what is still to be told."""
    query = select(func.count()).select_from(notices).where(notices.c.portal.in_(portals))
    return conn.execute(query).scalar_one()


def _is(notice: Notice) -> ColumnElement[bool]:
    return and_(notices.c.portal == notice.portal, notices.c.seq == notice.seq)


def _of_row(row: Row[Any]) -> Notice:
    return Notice(
        portal=row.portal,
        seq=row.seq,
        message_id=row.message_id,
        body=row.body,
        at=row.at,
        tries=row.tries,
    )


def _notice(conn: Connection, entry: Row[Any]) -> Notice | None:
    """Write the message that an entry is worth, if it is worth one."""
    body = json.loads(entry.body)
    of_stop = entry.kind == "outcome"
    told = _stop(conn, entry.portal, body) if of_stop else _trip(entry.portal, body)
    if told is None:
        return None
    kind, data = told
    message = {"type": kind, "timestamp": instant_text(entry.at), "data": data}
    return Notice(
        portal=entry.portal,
        seq=entry.seq,
        message_id=f"msg_{entry.hash[:_ID_LENGTH]}",
        body=canonical(message),
        at=entry.at,
    )


def _trip(portal: str, body: Mapping[str, Any]) -> tuple[str, dict[str, object]] | None:
    if body.get("control") != "trip":
        return None
    return "rule.tripped", {"portal": portal, "rule": body["rule"], "why": body["why"]}


def _stop(
    conn: Connection, portal: str, body: Mapping[str, Any]
) -> tuple[str, dict[str, object]] | None:
    """Tell of a stop that ended: ids, the rule and its reason, and nothing that was read."""
    outcome, name = body["outcome"], body["decision"]
    place = place_of(name)
    if outcome not in _TOLD or place is None:
        return None
    decided = _decided(conn, place[1], place[2], portal)
    if decided.get("mode") == Mode.OBSERVE or not _worth_it(conn, outcome, name):
        return None
    data = {"decision": name, "portal": portal, **_shown(decided)}
    data |= {"outcome": outcome, "receipt": body["receipt"]}
    return f"workflow.{outcome}", data


def _worth_it(conn: Connection, outcome: str, name: str) -> bool:
    """Leave out what ended by itself before it was called; a call may have ended the others."""
    place = place_of(name)
    if outcome != Outcome.ALREADY_GONE or place is None:
        return True
    calls = conn.execute(select(decisions.c.calls).where(is_decision(place))).scalar()
    return calls is None or calls > 0


def _decided(conn: Connection, seq: int, n: int, portal: str) -> dict[str, Any]:
    """Read what the evaluation says of a decision; nothing where that was pruned meanwhile."""
    found = conn.execute(
        select(entries.c.body, entries.c.at).where(
            entries.c.portal == portal, entries.c.seq == seq, entries.c.kind == "evaluation"
        )
    ).one_or_none()
    if found is None:
        return {}
    evaluation = json.loads(found.body)
    document = evaluation["document"]
    return {
        **evaluation["decisions"][n - 1],
        "at": instant_text(found.at),
        "document": None if document is None else document["triple"],
        "ruleset": evaluation["ruleset"],
    }


def _shown(decided: Mapping[str, Any]) -> dict[str, object]:
    names = ("at", "document", "workflow", "rule", "because", "action", "ruleset")
    return {name: decided.get(name) for name in names}
