"""Stores what is to be told in the portal of a decision, and what became of it.

Theory of operation. A *telling* is one message to one recipient: a comment in the document's
timeline, or a notification to a user. Its row is written in the transaction that makes it true, and
its state is

    planned   of a call whose intent is committed: whom to tell, and what, once it is stopped
    due       to be sent at `due_at`
    sending   committed before the request goes out; if its answer or its record is lost, it stays
              so, and at `due_at`, when the portal carries it out no more, it is looked for
    told, failed, in_doubt, dropped, nobody
              ended, for the reason in `result`

A planned telling becomes due in the transaction of its stop's outcome, and is dropped with any
outcome but a stop. A warning is dropped in the transaction that concludes its decision. So nothing
is told that the log does not have, and nothing before.

Whom is told what is a fact about people: the rows are no entries of the chain, and can be erased.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    not_,
    select,
    update,
)

from responder.journal.entries import document_in
from responder.model import STOPPED, Audience, Document, Outcome
from responder.store.database.portal_tables import tellings
from responder.store.database.tables import decisions, evidence
from responder.store.decision_ids import Place, decision_name, place_of

ERASED = "the facts behind it were erased"
_MARK_BYTES = 5


class Kind(StrEnum):
    """Whether something is told afterwards (`tell`) or beforehand (`warn`)."""

    TELL = "tell"
    WARN = "warn"


class State(StrEnum):
    """How far a telling has come; the last five are final."""

    PLANNED = "planned"
    DUE = "due"
    SENDING = "sending"
    TOLD = "told"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    DROPPED = "dropped"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTelling:
    """A message to one recipient, to be written. `why`: nobody is told as this audience."""

    audience: Audience
    user: str | None = None
    message: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A telling that is due, with the document, and whether its decision waits or is held still."""

    place: Place
    kind: Kind
    number: int
    user: str | None
    state: State
    message: str
    mark: str
    at: datetime
    sent_at: datetime | None
    tries: int
    document: Document
    waits: bool

    @property
    def decision_id(self) -> str:
        """Return the id of the decision that it tells of."""
        return decision_name(*self.place)


def write(
    tx: Connection, decision_id: str, kind: Kind, new: Sequence[NewTelling], at: datetime
) -> None:
    """Write the tellings of one kind of a decision, once: where it has some, nothing is written.

    A warning is due at once. What is told afterwards waits for the outcome of its stop.
    """
    place = place_of(decision_id)
    if place is None or not new or tx.execute(select(exists().where(_of(place, kind)))).scalar():
        return
    portal, seq, n = place
    planned = State.PLANNED if kind is Kind.TELL else State.DUE
    rows = [
        {
            "portal": portal,
            "seq": seq,
            "n": n,
            "kind": kind.value,
            "place": number,
            "audience": one.audience.value,
            "user_id": one.user,
            "state": (State.NOBODY if one.message is None else planned).value,
            "message": one.message,
            "mark": f"#r-{secrets.token_hex(_MARK_BYTES)}",
            "at": at,
            "due_at": at if planned is State.DUE and one.message is not None else None,
            "sent_at": None,
            "tries": 0,
            "ended_at": at if one.message is None else None,
            "result": one.why,
        }
        for number, one in enumerate(new, start=1)
    ]
    tx.execute(tellings.insert(), rows)


def replan(tx: Connection, decision_id: str) -> None:
    """Remove what was planned for an earlier call of a decision: the facts may be others now."""
    place = place_of(decision_id)
    if place is not None:
        tx.execute(delete(tellings).where(_of(place, Kind.TELL)))


def told_of(tx: Connection, among: Mapping[str, object]) -> set[Place]:
    """Return the decisions of which something is told; `among` is as `record` selects them."""
    return {(row.portal, row.seq, row.n) for row in tx.execute(_ANY, dict(among))}


def concluded(tx: Connection, place: Place, outcome: Outcome, at: datetime) -> None:
    """Make due what is told of a stop, or drop it; drop warnings that were not sent."""
    drop = {"state": State.DROPPED.value, "due_at": None, "ended_at": at}
    planned = and_(_of(place, Kind.TELL), tellings.c.state == State.PLANNED)
    if outcome in STOPPED:
        due_now = {"state": State.DUE.value, "at": at, "due_at": at}
        tx.execute(update(tellings).where(planned).values(**due_now))
    else:
        tx.execute(update(tellings).where(planned).values(**drop, result=f"it was {outcome}"))
    unsent = and_(_of(place, Kind.WARN), tellings.c.state == State.DUE)
    tx.execute(update(tellings).where(unsent).values(**drop, result=f"it was {outcome} before"))


def due(conn: Connection, portal: str, now: datetime, most: int) -> list[Telling]:
    """Return the tellings that are due, the longest due first.

    Those whose facts an older version has erased are left out (`upkeep.older_versions`).
    """
    query = (
        select(tellings, decisions.c.triple, decisions.c.outcome)
        .join(decisions, _SAME)
        .join(evidence, _FACTS)
        .where(tellings.c.portal == portal, tellings.c.due_at <= now, evidence.c.salt != "")
        .order_by(tellings.c.due_at, tellings.c.seq, tellings.c.n, tellings.c.place)
        .limit(most)
    )
    return [_telling(row) for row in conn.execute(query)]


def begin(
    tx: Connection, some: Sequence[Telling], at: datetime, look_at: datetime
) -> list[Telling]:
    """Write that these are being sent, and when to look for one of which nothing is heard.

    Return those that may be sent: not what was dropped, or erased, since it was read.
    """
    sending = {"state": State.SENDING.value, "sent_at": at, "due_at": look_at}
    return [
        replace(one, state=State.SENDING, sent_at=at)
        for one in some
        if tx.execute(_change(one).values(**sending)).rowcount
    ]


def end(tx: Connection, one: Telling, state: State, result: str | None, at: datetime) -> None:
    """Write the final state of a telling, and why."""
    tx.execute(
        update(tellings)
        .where(_is(one))
        .values(state=state.value, due_at=None, ended_at=at, result=result, tries=one.tries + 1)
    )


def postpone(
    tx: Connection, one: Telling, state: State, due_at: datetime, why: str, *, counts: bool
) -> None:
    """Write when a telling is tried, or looked for, again; `counts`: this was a try.

    What was erased meanwhile stays as it is: of it, neither whom nor what is known any more.
    """
    tries = one.tries + 1 if counts else one.tries
    again = {"state": state.value, "due_at": due_at, "tries": tries, "result": why}
    tx.execute(_change(one).values(**again))


def erase(tx: Connection, portal: str, seq: int, at: datetime) -> int:
    """Remove whom and what was told of an evaluation's decisions; return how many were emptied.

    What was not sent by then is not sent any more. Of what is being sent, the answer is still
    written, if it comes.
    """
    ours = and_(tellings.c.portal == portal, tellings.c.seq == seq)
    is_sent = tellings.c.state == State.SENDING
    for state, unended in ((State.IN_DOUBT, is_sent), (State.DROPPED, not_(is_sent))):
        tx.execute(
            update(tellings)
            .where(ours, tellings.c.ended_at.is_(None), unended)
            .values(state=state.value, due_at=None, ended_at=at, result=ERASED)
        )
    told = and_(ours, tellings.c.user_id.is_not(None) | tellings.c.message.is_not(None))
    return tx.execute(update(tellings).where(told).values(message=None, user_id=None)).rowcount


# Built once: it is asked of every stop that is concluded, and most tell nobody.
_ANY = select(tellings.c.portal, tellings.c.seq, tellings.c.n).where(
    tellings.c.portal == bindparam("of"),
    tellings.c.seq.in_(bindparam("evaluations", expanding=True)),
    tellings.c.n.in_(bindparam("places", expanding=True)),
)
_SAME = and_(
    decisions.c.portal == tellings.c.portal,
    decisions.c.seq == tellings.c.seq,
    decisions.c.n == tellings.c.n,
)


_FACTS = and_(evidence.c.portal == tellings.c.portal, evidence.c.seq == tellings.c.seq)


def _of(place: Place, kind: Kind) -> ColumnElement[bool]:
    portal, seq, n = place
    return and_(
        tellings.c.portal == portal,
        tellings.c.seq == seq,
        tellings.c.n == n,
        tellings.c.kind == kind.value,
    )


def _is(one: Telling) -> ColumnElement[bool]:
    return and_(_of(one.place, one.kind), tellings.c.place == one.number)


def _change(one: Telling) -> Update:
    """Return the change of a telling that is as it was read: neither dropped nor erased since."""
    return update(tellings).where(_is(one), tellings.c.state == one.state.value)


def _telling(row: Row[tuple[object, ...]]) -> Telling:
    return Telling(
        place=(row.portal, row.seq, row.n),
        kind=Kind(row.kind),
        number=row.place,
        user=row.user_id,
        state=State(row.state),
        message=row.message or "",
        mark=row.mark,
        at=row.at,
        sent_at=row.sent_at,
        tries=row.tries,
        document=document_in(row.triple),
        waits=row.outcome in (Outcome.WAITING, Outcome.HELD),
    )
