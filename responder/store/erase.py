"""The erasure of what a person may ask to be forgotten: the facts behind a decision.

What stands of a document (facts, values that tests saw, the workflow's row) is evidence, kept once
for an evaluation and once for each of its calls; all of it goes, with the received forms. What
stays is what was decided, by which rule, and what became of it. The entry that is appended names
who erased what; the digests stay, so the chain holds.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from responder.store.chain import append, canonical
from responder.store.database import Database
from responder.store.places import Place, place_of
from responder.store.prune import concluded_by
from responder.store.tables import OPEN, decisions, deliveries, entries, evidence


class NotErasable(Exception):  # noqa: N818 -- it says a state, not a mistake
    """There is no such decision, or it is not concluded yet."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The entries that lost their evidence, and how many forms of deliveries were emptied."""

    entries: tuple[int, ...]
    deliveries: int


def erase(tx: Connection, decision_id: str, *, by: str, at: datetime) -> Erased | None:
    """Erase the facts behind a decision; return None where they were erased before.

    An evaluation's other decisions rest on the same facts, and lose them too. Raise NotErasable
    where there is no such decision, or one of the evaluation is still open.
    """
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql("PRAGMA secure_delete = ON")
    place = place_of(decision_id)
    if place is None or not _is_there(tx, place):
        raise NotErasable(f"there is no decision {decision_id}")
    portal, seq, _ = place
    numbers = _with_evidence(tx, portal, [seq, *_intents(tx, portal, seq)])
    if not numbers:
        return None
    told = {"control": "erase", "decision": decision_id, "by": by, "entries": numbers}
    eraser = append(tx, portal, "control", at, told)
    tx.execute(
        update(evidence)
        .where(evidence.c.portal == portal, evidence.c.seq.in_(numbers))
        .values(salt="", content=canonical({"erased": eraser}))
    )
    emptied = tx.execute(
        update(deliveries).where(concluded_by(tx, portal, [seq])).values(form=b"")
    ).rowcount
    return Erased(tuple(numbers), emptied)


def scrub(database: Database) -> bool:
    """Have the database let go of what was erased; False where it could not at once.

    SQLite keeps it in the write-ahead log until that is emptied, PostgreSQL in dead rows until they
    are vacuumed.
    """
    if database.dialect == "postgresql":
        with database.writer.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("VACUUM evidence, deliveries")
        return True
    raw = database.writer.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, *_ = cursor.fetchone() or (0,)
        cursor.close()
    finally:
        raw.close()
    return not busy


def _is_there(conn: Connection, place: Place) -> bool:
    portal, seq, n = place
    of_evaluation = (decisions.c.portal == portal, decisions.c.seq == seq)
    numbers = set(conn.execute(select(decisions.c.n).where(*of_evaluation)).scalars())
    still_open = conn.execute(select(decisions.c.n).where(*of_evaluation, OPEN)).scalars().first()
    if still_open is not None:
        name = f"{portal}-{seq}-{still_open}"
        raise NotErasable(f"{name} is not concluded yet: it would gather new facts")
    return n in numbers


def _intents(conn: Connection, portal: str, seq: int) -> Iterator[int]:
    """Yield the numbers of the intents of an evaluation's calls."""
    last = conn.execute(
        select(func.max(decisions.c.changed)).where(
            decisions.c.portal == portal, decisions.c.seq == seq
        )
    ).scalar()
    found = conn.execute(
        select(entries.c.seq, entries.c.body)
        .where(
            entries.c.portal == portal,
            entries.c.seq > seq,
            entries.c.seq <= last,
            entries.c.kind == "intent",
        )
        .order_by(entries.c.seq)
    )
    for number, body in found:
        place = place_of(json.loads(body)["decision"])
        if place is not None and place[1] == seq:
            yield number


def _with_evidence(conn: Connection, portal: str, numbers: Sequence[int]) -> list[int]:
    return list(
        conn.execute(
            select(evidence.c.seq)
            .where(evidence.c.portal == portal, evidence.c.seq.in_(numbers), evidence.c.salt != "")
            .order_by(evidence.c.seq)
        ).scalars()
    )
