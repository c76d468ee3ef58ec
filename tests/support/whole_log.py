"""A log with an entry of every kind, to tamper with."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from responder.journal import chain, open_stops
from responder.journal import record as journal
from responder.journal.upkeep import erase
from responder.journal.upkeep.prune import Pruned, prune
from responder.model import Outcome
from responder.store.database.database import Database
from responder.store.database.tables import chains, entries
from tests.support.evaluations import LATER, MUCH_LATER, NONE, kill, record

A, B = "65e5a449e8f135.00000001", "65e5a449e8f135.00000002"

ENTRIES = 10

OLD = MUCH_LATER + timedelta(days=1)
NOW = MUCH_LATER + timedelta(days=400)


def fill(database: Database) -> None:
    """Write ten entries of every kind, and as many of another portal."""
    for portal in ("main", "other"):
        first, _ = record(database, kill(A), NONE, portal=portal).decisions
        second = record(database, kill(B), portal=portal).decisions[0]
        record(database, kill("c", Outcome.WOULD_KILL), portal=portal)

        def write(tx: Connection, portal: str = portal, a: str = first, b: str = second) -> None:
            journal.intend(tx, portal, a, LATER, {"row": 1})
            journal.conclude(tx, a, Outcome.KILLED, at=LATER, receipt=True, verify_at=MUCH_LATER)
            journal.intend(tx, portal, b, LATER, {"row": 2})
            journal.conclude(tx, b, Outcome.ALREADY_GONE, at=LATER, receipt=False, detail="gone")
            journal.verified(tx, a, MUCH_LATER)
            journal.control(tx, portal, MUCH_LATER, {"pause": True})

        database.write(write)
        record(database, kill(A), portal=portal)


def run(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""

    def write(tx: Connection) -> None:
        for statement in statements:
            tx.exec_driver_sql(statement)

    database.write(write)


def rewrite(database: Database, portal: str = "main") -> None:
    """Hash all entries anew, as somebody would who can do so and wants to hide a change."""

    def write(tx: Connection) -> None:
        previous = chain.GENESIS
        of_portal = select(entries).where(entries.c.portal == portal).order_by(entries.c.seq)
        for entry in tx.execute(of_portal).all():
            previous = chain.entry_hash(
                previous, portal, entry.seq, entry.kind, entry.at, entry.body
            )
            place = (entries.c.portal == portal, entries.c.seq == entry.seq)
            tx.execute(update(entries).where(*place).values(hash=previous))
            head = update(chains).where(chains.c.portal == portal)
            tx.execute(head.values(seq=entry.seq, hash=previous))

    database.write(write)


def pruned(
    database: Database, before: datetime = OLD, at: datetime = NOW, most: int = 1000
) -> Pruned | None:
    return database.write(lambda tx: prune(tx, "main", before, at, most=most))


def settle(database: Database) -> None:
    """Conclude what is open in the story."""
    open_now = database.read(lambda c: open_stops.open_stops(c, "main"))

    def write(tx: Connection) -> None:
        for stop in open_now:
            journal.conclude(tx, stop.decision_id, Outcome.CANCELLED, at=MUCH_LATER)

    database.write(write)


def erased(
    database: Database, decision: str, *, by: str = "anna", at: datetime = MUCH_LATER
) -> erase.Erased | None:
    found = erase.find(database, decision)
    return database.write(lambda tx: erase.remove(tx, found, by=by, at=at))
