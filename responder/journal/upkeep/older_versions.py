"""Finishes what a program of an older version left undone, since it knows fewer tables.

While the replicas of a service are replaced one by one, an older one writes the same log. It erases
the facts of a decision, and leaves the names; it concludes a stop, and leaves what is to be told of
it as it was planned. But of each it appends an entry. So whoever drives a portal now and then reads
what was appended since, and finishes it. What needs nothing is not touched.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from responder.journal.chain_ends import head_of
from responder.journal.naming import names
from responder.journal.telling import tellings
from responder.journal.telling.tellings import State
from responder.model import Outcome
from responder.store.database.portal_tables import tellings as told
from responder.store.database.tables import decisions, entries, name_words
from responder.store.decision_ids import Place, place_of

BACK = 50_000  # entries that the first look goes back
SPAN = 1_000  # entries in one read: a reader must not hold it for long
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of a stop, of which something is still as it was planned."""

    place: Place
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What the entries up to number `through` left undone; `more`: there are later ones.

    `erased` are evaluations whose facts were erased, and whose names or tellings were not.
    """

    through: int
    more: bool
    erased: tuple[int, ...]
    concluded: tuple[Conclusion, ...]

    def __bool__(self) -> bool:
        """Return whether there is anything to finish."""
        return bool(self.erased or self.concluded)


def find(conn: Connection, portal: str, after: int | None) -> Undone:
    """Return what the entries after a number left undone; without a number, the newest ones."""
    head = head_of(conn, portal).seq
    after = max(0, head - BACK) if after is None else after
    through = min(head, after + SPAN)
    found = conn.execute(
        select(entries.c.kind, entries.c.at, entries.c.body)
        .where(
            entries.c.portal == portal,
            entries.c.seq > after,
            entries.c.seq <= through,
            entries.c.kind.in_(("control", "outcome")),
        )
        .order_by(entries.c.seq)
    )
    erased: set[int] = set()
    ended: dict[Place, Conclusion] = {}
    for kind, at, text in found:
        body = json.loads(text)
        place = place_of(str(body.get("decision")))
        if place is not None and kind == "outcome":
            ended[place] = Conclusion(place, Outcome(body["outcome"]), at)
        elif place is not None and body.get("control") == "erase":
            erased.add(place[1])
    planned = _planned(conn, portal, {seq for _, seq, _ in ended})
    return Undone(
        through=through,
        more=through < head,
        erased=tuple(sorted(_left(conn, portal, erased))),
        concluded=tuple(one for place, one in ended.items() if place in planned),
    )


def finish(tx: Connection, portal: str, undone: Undone, now: datetime) -> None:
    """Erase names and tellings of erased facts; make due, or drop, what was planned."""
    for seq in undone.erased:
        names.erase(tx, portal, seq)
        tellings.erase(tx, portal, seq, now)
    for one in undone.concluded:
        tellings.concluded(tx, one.place, one.outcome, one.at)


def _left(conn: Connection, portal: str, evaluations: Collection[int]) -> set[int]:
    """Return those of these evaluations whose names, or what was told of them, are there still."""
    is_known = or_(told.c.user_id.is_not(None), told.c.message.is_not(None))
    left: set[int] = set()
    for some in _chunks(evaluations):
        for table, is_left in (
            (decisions, decisions.c.names.is_not(None)),
            (name_words, name_words.c.seq.is_not(None)),
            (told, is_known),
        ):
            of_them = (table.c.portal == portal, table.c.seq.in_(some))
            left |= set(conn.execute(select(table.c.seq).where(*of_them, is_left)).scalars())
    return left


def _planned(conn: Connection, portal: str, evaluations: Collection[int]) -> set[Place]:
    """Return the decisions of these evaluations of which something is as it was planned."""
    found: set[Place] = set()
    for some in _chunks(evaluations):
        of_them = (told.c.portal == portal, told.c.seq.in_(some), told.c.state == State.PLANNED)
        rows = conn.execute(select(told.c.seq, told.c.n).where(*of_them).distinct())
        found |= {(portal, seq, n) for seq, n in rows}
    return found


def _chunks(numbers: Collection[int]) -> Iterator[list[int]]:
    listed = sorted(numbers)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]
