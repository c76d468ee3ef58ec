"""Which portals are only observed, and why, as rows."""

from datetime import UTC, datetime

import pytest

from responder.store import leases, limits
from responder.store.database.database import Database

pytestmark = pytest.mark.store

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def test_what_is_written_of_a_portal_replaces_what_was_and_no_other(database: Database) -> None:
    database.write(lambda tx: limits.pause(tx, AT, "anna"))
    database.write(lambda tx: leases.save_withheld(tx, "main", {"a": "x", "b": "ÿ\n"}, "here", AT))
    database.write(lambda tx: leases.save_withheld(tx, "main2", {"a": "z"}, "here", AT))
    assert database.read(leases.withheld) == {
        "main": {"a": "x", "b": "ÿ\n"},
        "main2": {"a": "z"},
    }
    database.write(lambda tx: leases.save_withheld(tx, "main", {"b": "y"}, "here", AT))
    assert database.read(leases.withheld) == {"main": {"b": "y"}, "main2": {"a": "z"}}
    database.write(lambda tx: leases.save_withheld(tx, "main", {}, "here", AT))
    assert database.read(leases.withheld) == {"main2": {"a": "z"}}
    assert database.read(limits.paused) == (AT, "anna")


def test_what_another_address_answered_is_not_this_portals(database: Database) -> None:
    database.write(lambda tx: leases.save_withheld(tx, "main", {"a": "x"}, "there", AT))
    assert database.read(lambda conn: leases.withheld_of(conn, "main", "there")) == {"a": "x"}
    assert database.read(lambda conn: leases.withheld_of(conn, "main", "here")) == {}
