"""A portal has one driver; who was paused can commit nothing; the next goes on where it was."""

import threading
import time

import pytest
from sqlalchemy import Connection

from responder.store import leases
from responder.store.database.database import Database
from responder.store.leases import Lease, LeaseLost


def claim(
    database: Database, holder: str, seconds: float = 60, *, force: bool = False
) -> Lease | None:
    return database.write(lambda tx: leases.claim(tx, "main", holder, seconds, force=force))


def renew(database: Database, holder: str, *held: Lease) -> set[str]:
    return database.write(lambda tx: leases.renew(tx, held, holder, 60))


def check(database: Database, lease: Lease) -> None:
    database.write(lambda tx: leases.check(tx, lease))


def test_a_portal_has_one_driver(database: Database) -> None:
    first = claim(database, "one")
    assert first == Lease("main", 1, "one")
    assert claim(database, "two") is None
    check(database, first)


def test_a_lease_that_is_over_is_claimed_and_the_old_holder_can_write_nothing(
    database: Database,
) -> None:
    old = claim(database, "one", 0.01)
    assert old is not None
    time.sleep(0.02)
    with pytest.raises(LeaseLost):
        check(database, old)
    new = claim(database, "two")
    assert new == Lease("main", 2, "two")
    with pytest.raises(LeaseLost):
        check(database, old)
    assert renew(database, "one", old) == set()
    assert renew(database, "two", old) == set()
    check(database, new)


def test_a_holder_may_claim_again_and_fences_its_former_self(database: Database) -> None:
    old, new = claim(database, "one"), claim(database, "one")
    assert old is not None
    assert new == Lease("main", 2, "one")
    with pytest.raises(LeaseLost):
        check(database, old)


def test_a_number_that_was_given_twice_is_still_one_holders(database: Database) -> None:
    """A database that lost its last seconds gives the number of a lease once more."""
    lost, given = claim(database, "one"), Lease("main", 1, "two")
    assert lost is not None
    database.write(lambda tx: tx.exec_driver_sql("UPDATE leases SET holder = 'two'"))
    check(database, given)
    with pytest.raises(LeaseLost):
        check(database, lost)
    database.write(lambda tx: leases.release(tx, lost))
    check(database, given)


def test_who_holds_the_file_takes_the_lease_from_a_dead_process(database: Database) -> None:
    claim(database, "dead")
    assert claim(database, "alive", force=True) == Lease("main", 2, "alive")


def test_a_renewed_lease_holds_on(database: Database) -> None:
    lease = claim(database, "one", 0.01)
    assert lease is not None
    assert renew(database, "one", lease) == {"main"}
    time.sleep(0.02)
    check(database, lease)
    assert claim(database, "two") is None


def test_a_released_lease_is_free_at_once_and_its_number_is_not_given_again(
    database: Database,
) -> None:
    lease = claim(database, "one")
    assert lease is not None
    database.write(lambda tx: leases.release(tx, lease))
    with pytest.raises(LeaseLost):
        check(database, lease)
    assert claim(database, "two") == Lease("main", 2, "two")


def test_portals_have_leases_of_their_own(database: Database) -> None:
    claim(database, "one")
    assert database.write(lambda tx: leases.claim(tx, "other", "two", 60)) == Lease(
        "other", 1, "two"
    )


def test_nobody_claims_a_lease_between_its_check_and_the_commit(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.open()
    lease = claim(database, "one", 0.3)
    assert lease is not None
    checked, claimed = threading.Event(), threading.Event()

    def write(tx: Connection) -> None:
        leases.check(tx, lease)
        checked.set()
        claimed.wait(5)

    writer = threading.Thread(target=database.write, args=(write,))
    writer.start()
    checked.wait(5)
    time.sleep(0.35)
    assert claim(database, "two") is None  # and it did not wait
    claimed.set()
    writer.join()
    assert claim(database, "two") == Lease("main", 2, "two")
    database.close()


def test_a_machine_that_is_an_hour_ahead_finds_no_lease_over(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url)
    database.open()
    lease = database.write(lambda tx: leases.claim(tx, "main", "A", 4.0))
    assert lease is not None
    ours = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: ours() + 3_600_000_000_000)
    monkeypatch.setattr(time, "time", lambda: ours() / 1e9 + 3_600)
    assert database.write(lambda tx: leases.claim(tx, "main", "B", 4.0)) is None
    database.write(lambda tx: leases.check(tx, lease))
    assert database.read(lambda conn: leases.driver(conn, "main")) == "A"
    assert database.read(leases.living).drivers == {"main": "A"}
    database.close()
