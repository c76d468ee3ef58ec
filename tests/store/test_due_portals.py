"""One read says which portals have something to do."""

from datetime import timedelta

from sqlalchemy import Connection

from responder.journal import record as journal
from responder.model import Outcome
from responder.store import due_portals, leases, sweep_runs
from responder.store.database.database import Database
from responder.store.inbox import inbox, second_looks
from tests.support.evaluations import AT, LATER, NONE, deliver, kill, record

NAMES = ("calm", "delivered", "looked", "stopped", "verified", "swept")


def found(database: Database, now: object = AT) -> set[str]:
    return database.read(lambda conn: due_portals.portals(conn, now))  # type: ignore[arg-type]


def known(database: Database) -> None:
    def write(tx: Connection) -> None:
        for name in NAMES:
            leases.claim(tx, name, "somebody", 60)

    database.write(write)


def test_portals_with_nothing_due_are_not_named(database: Database) -> None:
    known(database)
    assert found(database) == set()


def test_what_is_delivered_is_due_until_it_is_concluded(database: Database) -> None:
    known(database)
    ids = database.write(deliver("deal:1", portal="delivered"))
    assert found(database) == {"delivered"}
    database.write(lambda tx: inbox.conclude(tx, ids, "delivered-1"))
    assert found(database) == set()


def test_looks_stops_and_verifications_are_due_in_their_time(database: Database) -> None:
    known(database)
    database.write(
        lambda tx: second_looks.schedule(tx, "looked", "deal:1", "event", None, ("A",), LATER)
    )
    record(database, kill(), NONE, portal="stopped")
    made = record(database, kill("a"), portal="verified")
    later = LATER + timedelta(seconds=1)
    database.write(
        lambda tx: journal.conclude(
            tx, made.decisions[0], Outcome.KILLED, at=AT, receipt=True, verify_at=later
        )
    )
    assert found(database) == {"stopped"}
    assert found(database, LATER) == {"stopped", "looked"}
    assert found(database, later) == {"stopped", "looked", "verified"}


def test_a_sweep_that_is_asked_for_is_due_until_it_is_done(database: Database) -> None:
    known(database)
    asked = database.write(
        lambda tx: sweep_runs.add_request(
            tx, "swept", rule=None, observe=True, by="somebody", at=AT
        )
    )
    assert found(database) == {"swept"}
    database.write(lambda tx: sweep_runs.record_progress(tx, asked, 1, 2))
    assert found(database) == {"swept"}
    database.write(lambda tx: sweep_runs.finish(tx, asked, {}))
    assert found(database) == set()
