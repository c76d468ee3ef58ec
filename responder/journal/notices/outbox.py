"""Stores the notifications that are to be sent: of stops, of rules that tripped, of alarms.

Theory of operation. There is no second queue: the chain records what happened, and a notification
of a stop or a trip is only ever made from its entry. Each portal has a *position*, the number of
the entry up to which its chain has been read for this. Reading on turns entries into *notices* and
advances the position, in one transaction. A notice stays until the receiver has accepted it or it
is given up, so one that is refused does not delay any other.

An alarm, or a decision that waits for approval, has no entry. Its message is stored in the
transaction that writes beside it that it was told of, under a number below zero.

A message's id is made of its entry's hash, or of what its alarm is and since when: the same for
every try, replica and restart, and another in every other chain. The names of its decision are
added as it is sent (`notice_names`).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update

from responder.journal.chain import heads
from responder.journal.notices import notice_names
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

_NOTIFIED = frozenset(
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
    """A message, the entry it is made from, and how often sending it has failed."""

    portal: str
    seq: int
    message_id: str
    body: str
    at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that is made of no entry. `identity` is another for each thing that is told."""

    type: str
    data: Mapping[str, object]
    at: datetime
    identity: str


@dataclass(frozen=True, slots=True)
class Behind:
    """A portal whose chain has entries after its position."""

    portal: str
    position: int
    head: int


def begin(tx: Connection, portals: Collection[str]) -> None:
    """Write a position for the portals that have none: what happens from now on is notified."""
    reached = heads(tx)
    for portal in portals:
        row = insert(tx, notice_positions).values(portal=portal, seq=reached.get(portal, 0))
        tx.execute(row.on_conflict_do_nothing())


def behind(conn: Connection, portals: Collection[str]) -> list[Behind]:
    """Return those of these portals that have entries to read."""
    found = conn.execute(
        select(chains.c.portal, notice_positions.c.seq, chains.c.seq)
        .join(notice_positions, notice_positions.c.portal == chains.c.portal)
        .where(chains.c.portal.in_(portals), chains.c.seq > notice_positions.c.seq)
    )
    return [Behind(*row) for row in found]


def read_notices(
    conn: Connection, portal: str, after: int, head: int, base: str = ""
) -> tuple[list[Notice], int]:
    """Return the notices of the entries after a number, and the number up to which it has read.

    `base` is where people reach the pages, or empty.
    """
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
    new = [notice for entry in found if (notice := _notice(conn, entry, base)) is not None]
    return new, found[-1].seq if len(found) == MOST else last


def first_kept(conn: Connection, portal: str) -> int | None:
    """Return the number of the oldest entry that was not pruned."""
    return conn.execute(select(func.min(entries.c.seq)).where(entries.c.portal == portal)).scalar()


def add(tx: Connection, new: Sequence[Notice], portal: str, through: int, now: datetime) -> None:
    """Insert notices, due now, and advance the portal's position."""
    rows = [{**asdict(notice), "due_at": now} for notice in new]
    if rows:
        tx.execute(insert(tx, notices).on_conflict_do_nothing(), rows)
    tx.execute(
        update(notice_positions).where(notice_positions.c.portal == portal).values(seq=through)
    )


def add_messages(tx: Connection, portal: str, some: Sequence[Message], now: datetime) -> None:
    """Insert messages that are made of no entry, due now, under numbers below all others."""
    if not some:
        return
    lowest = tx.execute(select(func.min(notices.c.seq)).where(notices.c.portal == portal)).scalar()
    first = min(0, lowest or 0) - 1
    made = (
        Notice(
            portal=portal,
            seq=first - place,
            message_id=f"msg_{sha256(one.identity.encode()).hexdigest()[:_ID_LENGTH]}",
            body=_body(one.type, one.at, one.data),
            at=one.at,
        )
        for place, one in enumerate(some)
    )
    tx.execute(insert(tx, notices), [{**asdict(notice), "due_at": now} for notice in made])


def due(conn: Connection, portals: Collection[str], now: datetime, most: int) -> list[Notice]:
    """Return the notices that are due as they are to be sent, with names, the longest due first."""
    query = (
        select(notices)
        .where(notices.c.portal.in_(portals), notices.c.due_at <= now)
        .order_by(notices.c.due_at, notices.c.portal, notices.c.seq)
        .limit(most)
    )
    found = [_of_row(row) for row in conn.execute(query).all()]
    return [replace(one, body=notice_names.named(conn, one.body)) for one in found]


def older(conn: Connection, portals: Collection[str], before: datetime) -> list[Notice]:
    """Return the unsent notices of what happened before an instant."""
    query = (
        select(notices)
        .where(notices.c.portal.in_(portals), notices.c.at < before)
        .order_by(notices.c.at)
        .limit(MOST)
    )
    return [_of_row(row) for row in conn.execute(query)]


def remove(tx: Connection, notice: Notice) -> None:
    """Delete a notice that was accepted or given up."""
    tx.execute(delete(notices).where(_is(notice)))


def postpone(tx: Connection, notice: Notice, due_at: datetime) -> None:
    """Count a failed try, and write when the next one is due."""
    tx.execute(update(notices).where(_is(notice)).values(tries=notice.tries + 1, due_at=due_at))


def waiting(conn: Connection, portals: Collection[str]) -> int:
    """Count the unsent notices."""
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


def decision_link(base: str, decision_id: str) -> str:
    """Return the address of a decision's page."""
    return f"{base}/decisions/{decision_id}"


def _notice(conn: Connection, entry: Row[Any], base: str) -> Notice | None:
    """Return the notice that an entry leads to, or None."""
    body = json.loads(entry.body)
    of_stop = entry.kind == "outcome"
    found = _stop(conn, entry.portal, body, base) if of_stop else _trip(entry.portal, body, base)
    if found is None:
        return None
    return Notice(
        portal=entry.portal,
        seq=entry.seq,
        message_id=f"msg_{entry.hash[:_ID_LENGTH]}",
        body=_body(found[0], entry.at, found[1]),
        at=entry.at,
    )


def _body(kind: str, at: datetime, data: Mapping[str, object]) -> str:
    return canonical({"type": kind, "timestamp": instant_text(at), "data": data})


def _trip(portal: str, body: Mapping[str, Any], base: str) -> tuple[str, dict[str, object]] | None:
    if body.get("control") != "trip":
        return None
    rule = body["rule"]
    data = {"portal": portal, "rule": rule, "why": body["why"], "link": f"{base}/rules#{rule}"}
    return "rule.tripped", data


def _stop(
    conn: Connection, portal: str, body: Mapping[str, Any], base: str
) -> tuple[str, dict[str, object]] | None:
    """Return type and data of a stop's message: ids, the rule and its reason, no read values."""
    outcome, name = body["outcome"], body["decision"]
    place = place_of(name)
    if outcome not in _NOTIFIED or place is None:
        return None
    found = decided(conn, place[1], place[2], portal)
    if found.get("mode") == Mode.OBSERVE or not _is_worth_notice(conn, outcome, name):
        return None
    data = {"decision": name, "portal": portal, **shown(found)}
    data |= {"outcome": outcome, "receipt": body["receipt"], "link": decision_link(base, name)}
    return f"workflow.{outcome}", data


def _is_worth_notice(conn: Connection, outcome: str, name: str) -> bool:
    """Return False for a workflow that ended by itself before any call was made."""
    place = place_of(name)
    if outcome != Outcome.ALREADY_GONE or place is None:
        return True
    calls = conn.execute(select(decisions.c.calls).where(is_decision(place))).scalar()
    return calls is None or calls > 0


def decided(conn: Connection, seq: int, n: int, portal: str) -> dict[str, Any]:
    """Return what the evaluation's entry has of a decision; nothing if it was pruned meanwhile."""
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


def shown(found: Mapping[str, Any]) -> dict[str, object]:
    """Return what is stored of a decision for its message: nothing read from the portal."""
    names = ("at", "document", "workflow", "rule", "because", "action", "ruleset")
    return {name: found.get(name) for name in names}
