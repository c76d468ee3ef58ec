"""Erases the facts behind a decision, as a person may ask.

What is kept of a document (facts, values that tests saw, the workflow's row) is evidence, once for
an evaluation and once for each of its calls; all of it is erased, with the names (`names`), the
forms of the deliveries, and with what was told in the portal, and whom.
What stays is what was decided, by which rule, and what came of it. The entry that is appended names
who erased what; the digests stay, so the chain holds.

Finding the calls of an evaluation takes reading the log from it to its last outcome, which may be
very long. So that is read first, some entries at a time; a concluded decision gets no more of them.
Each erasure is then a short transaction of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select, update

from responder.journal.chain import append
from responder.journal.chain_ends import Readable
from responder.journal.naming import names
from responder.journal.telling import tellings
from responder.journal.upkeep.prune import concluded_by
from responder.model import OPEN_OUTCOMES
from responder.store.canonical_json import canonical
from responder.store.database.database import Database
from responder.store.database.tables import decisions, deliveries, entries, evidence
from responder.store.decision_ids import Place, decision_name, place_of

_ENTRIES = 2_000  # read at once


class NotErasable(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: there is no such decision, or it is not concluded yet."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The entries that lost their evidence, and how many forms of deliveries were emptied."""

    entries: tuple[int, ...]
    deliveries: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The places of the facts behind a decision: its evaluation, and these entries."""

    decision_id: str
    portal: str
    seq: int
    entries: tuple[int, ...]


def find(database: Readable, decision_id: str) -> Facts:
    """Return the places of the facts behind a decision.

    Raise NotErasable where there is no such decision, or one of its evaluation is still open.
    """
    place = place_of(decision_id)
    last = None if place is None else database.read(lambda conn: _last_entry(conn, place))
    if place is None or last is None:
        raise NotErasable(f"there is no decision {decision_id}")
    portal, seq, _ = place
    found = [seq]
    for start in range(seq + 1, last + 1, _ENTRIES):
        end = min(start + _ENTRIES, last + 1)
        found += database.read(partial(_intents, portal=portal, of=seq, start=start, end=end))
    return Facts(decision_id, portal, seq, tuple(found))


def remove(tx: Connection, facts: Facts, *, by: str, at: datetime) -> Erased | None:
    """Erase facts that were found; return None where they were erased before.

    An evaluation's other decisions rest on the same facts, and lose them too.
    """
    numbers = _with_evidence(tx, facts.portal, facts.entries)
    if not numbers:
        return None
    body = {"control": "erase", "decision": facts.decision_id, "by": by, "entries": numbers}
    eraser = append(tx, facts.portal, "control", at, body)
    tx.execute(
        update(evidence)
        .where(evidence.c.portal == facts.portal, evidence.c.seq.in_(numbers))
        .values(salt="", content=canonical({"erased": eraser}))
    )
    names.erase(tx, facts.portal, facts.seq)
    tellings.erase(tx, facts.portal, facts.seq, at)
    emptied = tx.execute(
        update(deliveries).where(concluded_by(tx, facts.portal, [facts.seq])).values(form=b"")
    ).rowcount
    return Erased(tuple(numbers), emptied)


def scrub(database: Database) -> bool:
    """Free the storage that holds what was erased; return False where that was not possible now.

    SQLite overwrites it in the file (`engines`), and keeps it in the write-ahead log until that is
    truncated; PostgreSQL keeps it in dead rows until they are vacuumed.
    """
    if database.dialect == "postgresql":
        with database.writer.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(
                "VACUUM evidence, deliveries, decisions, name_words, tellings"
            )
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


def _last_entry(conn: Connection, place: Place) -> int | None:
    """Return the last entry about an evaluation; None where there is no such decision."""
    portal, seq, n = place
    rows = conn.execute(
        select(decisions.c.n, decisions.c.outcome, decisions.c.changed).where(
            decisions.c.portal == portal, decisions.c.seq == seq
        )
    ).all()
    if n not in {row.n for row in rows}:
        return None
    for row in rows:
        if row.outcome in OPEN_OUTCOMES:
            name = decision_name(portal, seq, row.n)
            raise NotErasable(f"{name} is not concluded yet: it would gather new facts")
    return max(int(row.changed) for row in rows)


def _intents(conn: Connection, portal: str, of: int, start: int, end: int) -> list[int]:
    """Return the numbers of an evaluation's intents within a range of entries."""
    found = conn.execute(
        select(entries.c.seq, entries.c.body)
        .where(
            entries.c.portal == portal,
            entries.c.seq >= start,
            entries.c.seq < end,
            entries.c.kind == "intent",
        )
        .order_by(entries.c.seq)
    )
    return [number for number, body in found if _evaluation_of(body) == of]


def _evaluation_of(body: str) -> int | None:
    """Return the number of the evaluation whose decision an intent names."""
    place = place_of(json.loads(body)["decision"])
    return None if place is None else place[1]


def _with_evidence(conn: Connection, portal: str, numbers: Sequence[int]) -> list[int]:
    return list(
        conn.execute(
            select(evidence.c.seq)
            .where(evidence.c.portal == portal, evidence.c.seq.in_(numbers), evidence.c.salt != "")
            .order_by(evidence.c.seq)
        ).scalars()
    )
