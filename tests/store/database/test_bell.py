"""What one replica tells another at once, over PostgreSQL, and what happens when that fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import pytest

from responder.store import leases
from responder.store.database import bell
from responder.store.database.bell import About, Bell
from responder.store.database.database import Database
from tests.support.processes import eventually

Heard = SimpleQueue[tuple[About, frozenset[str] | None]]
WITHIN = 10.0


@pytest.fixture
def migrated_url(emptied_postgres: str) -> str:
    """Give PostgreSQL alone; only there are others to tell."""
    return emptied_postgres


@contextmanager
def listening(database: Database) -> Iterator[tuple[Bell, Heard]]:
    """Listen within this block; what is told at the beginning is taken away."""
    heard: Heard = SimpleQueue()
    listener = Bell(database, lambda about, portals: heard.put((about, portals)))
    listener.start()
    try:
        assert listener.listening.wait(WITHIN)
        began(heard)
        yield listener, heard
    finally:
        listener.stop()


def began(heard: Heard) -> None:
    """Hear that everything may have changed, since nobody knows what was told before."""
    assert {heard.get(timeout=WITHIN) for _ in About} == {(about, None) for about in About}


def test_a_delivery_is_told_to_others_and_not_to_oneself(database: Database) -> None:
    with listening(database) as (one, heard_by_one), listening(database) as (_, heard_by_other):
        one.ring({"main", "other"})
        told = heard_by_other.get(timeout=WITHIN)
        assert told == (About.WAITING, frozenset({"main", "other"}))
        one.ring({"main"})
        assert heard_by_other.get(timeout=WITHIN) == (About.WAITING, frozenset({"main"}))
        assert heard_by_one.empty()


def test_more_portals_than_fit_concern_everybody(database: Database) -> None:
    with listening(database) as (one, _), listening(database) as (_, heard):
        one.ring({f"portal-with-a-long-name-{number}" for number in range(400)})
        assert heard.get(timeout=WITHIN) == (About.WAITING, None)


def test_a_lease_that_is_given_up_is_told_and_one_that_was_lost_is_not(database: Database) -> None:
    old = database.write(lambda tx: leases.claim(tx, "main", "one", 60))
    new = database.write(lambda tx: leases.claim(tx, "main", "two", 60, force=True))
    assert old is not None
    assert new is not None
    with listening(database) as (_, heard):
        database.write(lambda tx: leases.release(tx, old))
        database.write(lambda tx: leases.release(tx, new))
        assert heard.get(timeout=WITHIN) == (About.FREE, frozenset({"main"}))
        assert heard.empty()


def test_what_others_write_on_the_channel_is_not_understood(database: Database) -> None:
    with listening(database) as (one, _), listening(database) as (_, heard):
        statement = f"SELECT pg_notify('{bell.CHANNEL}', 'nonsense')"
        database.write(lambda tx: tx.exec_driver_sql(statement))
        one.ring({"main"})
        assert heard.get(timeout=WITHIN) == (About.WAITING, frozenset({"main"}))


def test_it_listens_again_after_its_connection_was_cut(database: Database) -> None:
    with listening(database) as (one, heard):
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query = 'LISTEN responder'"
        )
        database.write(lambda tx: tx.exec_driver_sql(cut))
        began(heard)
        with listening(database) as (_, heard_by_other):
            one.ring({"main"})
            assert heard_by_other.get(timeout=WITHIN) == (About.WAITING, frozenset({"main"}))


def test_a_fault_in_who_is_told_ends_nothing(database: Database) -> None:
    heard: Heard = SimpleQueue()

    def fail(about: About, portals: frozenset[str] | None) -> None:
        heard.put((about, portals))
        raise LookupError("mine")

    listener = Bell(database, fail)
    listener.start()
    try:
        assert heard.get(timeout=WITHIN) == (About.WAITING, None)
        assert heard.get(timeout=WITHIN) == (About.WAITING, None)  # it began again
    finally:
        listener.stop()


def test_what_is_to_be_told_when_it_stops_is_told(database: Database) -> None:
    with listening(database) as (_, heard):
        with listening(database) as (one, _):
            one.ring({"main"})
        assert heard.get(timeout=WITHIN) == (About.WAITING, frozenset({"main"}))


def test_a_file_has_nobody_to_tell(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()
    database.migrate()
    alone = Bell(database, lambda _about, _portals: None)
    alone.start()
    alone.ring({"main"})
    alone.stop()
    lease = database.write(lambda tx: leases.claim(tx, "main", "one", 60))
    assert lease is not None
    database.write(lambda tx: leases.release(tx, lease))
    database.close()
    assert not alone.listening.is_set()
    assert eventually(lambda: "bell" not in {t.name for t in threading.enumerate()} or None)
