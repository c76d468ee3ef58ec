"""The state of a portal's client is left to the next driver: bucket, breakers, odd answers."""

import time
from dataclasses import replace

from sqlalchemy import Connection

from responder.model import Breaker
from responder.store import client_state, limits
from responder.store.database.database import Database
from tests.support.evaluations import AT, LATER, MUCH_LATER


def test_a_bucket_is_left_to_the_next_driver_with_its_age_by_the_databases_clock(
    database: Database,
) -> None:
    assert database.read(lambda c: client_state.bucket(c, "main")) is None
    database.write(lambda tx: client_state.save_bucket(tx, "main", 12.5))
    database.write(lambda tx: client_state.save_bucket(tx, "main", 13.5))
    time.sleep(0.05)
    found = database.read(lambda c: client_state.bucket(c, "main"))
    assert found is not None
    level, age_seconds = found
    assert level == 13.5
    assert 0.05 <= age_seconds < 5


def test_breakers_open_move_their_probe_and_close(database: Database) -> None:
    first = Breaker(portal="main", method="", code="NO_AUTH_FOUND", opened_at=AT, probe_at=LATER)

    def write(tx: Connection) -> None:
        client_state.open_breaker(tx, first)
        client_state.open_breaker(
            tx, replace(first, method="crm.item.get", code="insufficient_scope")
        )
        client_state.open_breaker(tx, replace(first, portal="other", code="OVERLOAD_LIMIT"))
        client_state.open_breaker(tx, replace(first, opened_at=LATER, probe_at=MUCH_LATER))

    database.write(write)
    portal, method = database.read(lambda c: client_state.breakers(c, "main"))
    assert portal == replace(first, probe_at=MUCH_LATER)
    assert method.method == "crm.item.get"
    database.write(lambda tx: client_state.close_breaker(tx, "main", ""))
    database.write(lambda tx: client_state.close_breaker(tx, "main", ""))
    assert [each.portal for each in database.read(client_state.breakers)] == ["main", "other"]


def test_breakers_that_are_saved_are_those_that_are_open_then(database: Database) -> None:
    first = Breaker(
        portal="main", method="user.get", code="ACCESS_DENIED", opened_at=AT, probe_at=LATER
    )
    elsewhere, second = replace(first, portal="other"), replace(first, method="crm.item.get")
    database.write(lambda tx: client_state.save_breakers(tx, "other", [elsewhere]))
    database.write(lambda tx: client_state.save_breakers(tx, "main", [first]))
    database.write(lambda tx: client_state.save_breakers(tx, "main", [second]))
    assert database.read(client_state.breakers) == [second, elsewhere]


def test_what_is_written_of_a_portal_replaces_what_was_and_no_other(database: Database) -> None:
    database.write(lambda tx: limits.pause(tx, AT, "anna"))
    database.write(
        lambda tx: client_state.save_withheld(tx, "main", {"a": "x", "b": "ÿ\n"}, "here", AT)
    )
    database.write(lambda tx: client_state.save_withheld(tx, "main2", {"a": "z"}, "here", AT))
    assert database.read(client_state.withheld) == {
        "main": {"a": "x", "b": "ÿ\n"},
        "main2": {"a": "z"},
    }
    database.write(lambda tx: client_state.save_withheld(tx, "main", {"b": "y"}, "here", AT))
    assert database.read(client_state.withheld) == {"main": {"b": "y"}, "main2": {"a": "z"}}
    database.write(lambda tx: client_state.save_withheld(tx, "main", {}, "here", AT))
    assert database.read(client_state.withheld) == {"main2": {"a": "z"}}
    assert database.read(limits.paused) == (AT, "anna")


def test_what_another_host_answered_is_not_this_portals(database: Database) -> None:
    database.write(lambda tx: client_state.save_withheld(tx, "main", {"a": "x"}, "there", AT))
    assert database.read(lambda conn: client_state.withheld_of(conn, "main", "there")) == {"a": "x"}
    assert database.read(lambda conn: client_state.withheld_of(conn, "main", "here")) == {}
