"""Installation messages are held for an hour, five of a portal at most, and tried in turn."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from responder.store.applications import held_messages
from responder.store.applications.held_messages import MOST, Held, Sender
from responder.store.database.database import Database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


def hold(
    database: Database,
    digest: str,
    at: datetime = NOW,
    *,
    portal: str = "main",
    sender: Sender = Sender.ANYBODY,
) -> bool:
    return database.write(
        lambda tx: held_messages.hold(tx, portal, digest, f"sealed {digest}", at, sender)
    )


def held(database: Database, portal: str = "main", at: datetime = NOW) -> list[Held]:
    return database.read(lambda conn: held_messages.held(conn, portal, at))


def full(database: Database, at: datetime = NOW) -> set[str]:
    return database.read(lambda conn: held_messages.full(conn, at))


def due(database: Database, at: datetime) -> set[str]:
    return database.read(lambda conn: held_messages.due(conn, at))


def digests(database: Database) -> list[str]:
    return [one.digest for one in held(database)]


def test_a_message_is_held_once(database: Database) -> None:
    hold(database, "a")
    hold(database, "a", NOW + MINUTE)
    (one,) = held(database)
    assert (one.message, one.received_at, one.try_at, one.result) == ("sealed a", NOW, NOW, None)


def test_there_are_five_of_a_portal_at_most(database: Database) -> None:
    for number in range(MOST + 2):
        hold(database, str(number), NOW + number * MINUTE)
    hold(database, "x", portal="side")
    assert digests(database) == [str(number) for number in range(MOST)]
    assert len(held(database, "side")) == 1


def test_one_that_was_asked_for_has_room_and_is_tried_first(database: Database) -> None:
    for number in range(MOST):
        hold(database, str(number))
    hold(database, "asked", NOW + MINUTE, sender=Sender.APPLICATION)
    hold(database, "begun", NOW + MINUTE, sender=Sender.ADMINISTRATOR)
    assert digests(database)[:2] == ["begun", "asked"]
    assert len(held(database)) == MOST + 2


def test_whoever_knows_the_token_fills_no_more_than_five_places_more(database: Database) -> None:
    took = [
        hold(database, f"{number:02}", NOW + number * MINUTE / 10, sender=Sender.APPLICATION)
        for number in range(3 * MOST)
    ]
    assert took == [True] * (2 * MOST) + [False] * MOST
    assert len(held(database)) == 2 * MOST


def test_what_an_administrator_begins_has_room_whatever_was_held_before(
    database: Database,
) -> None:
    for number in range(4 * MOST):
        at = NOW + number * MINUTE / 10
        assert hold(database, f"{number:02}", at, sender=Sender.ADMINISTRATOR)
    assert digests(database) == [f"{number:02}" for number in range(MOST, 4 * MOST)]


def test_one_that_was_refused_makes_room(database: Database) -> None:
    for number in range(MOST):
        hold(database, str(number))
    first = held(database)[0]
    database.write(lambda tx: held_messages.tried(tx, first, "not true", None))
    hold(database, "new", NOW + MINUTE)
    assert "new" in digests(database)
    assert first.digest not in digests(database)


def test_one_whose_server_gives_no_answer_makes_room(database: Database) -> None:
    for number in range(MOST):
        hold(database, str(number), NOW + number * MINUTE / 10)
    first, second = held(database)[1:3]
    database.write(lambda tx: held_messages.tried(tx, first, "no answer", NOW + MINUTE))
    database.write(lambda tx: held_messages.tried(tx, second, "no answer", NOW + MINUTE))
    assert full(database) == set()
    assert hold(database, "new", NOW + MINUTE)
    assert sorted(digests(database)) == ["0", "2", "3", "4", "new"]
    assert hold(database, "newer", NOW + MINUTE)
    assert not hold(database, "newest", NOW + MINUTE)
    assert full(database) == {"main"}


def test_after_an_hour_it_is_gone(database: Database) -> None:
    hold(database, "old")
    hold(database, "new", NOW + 61 * MINUTE)
    (left,) = held(database, at=NOW + 61 * MINUTE)
    assert left.digest == "new"


def test_after_an_hour_it_counts_no_more_though_nobody_has_deleted_it(database: Database) -> None:
    for number in range(MOST):
        hold(database, str(number))
    assert (full(database), due(database, NOW), len(held(database))) == ({"main"}, {"main"}, MOST)
    for late in (NOW + 61 * MINUTE, NOW - 61 * MINUTE):
        assert (full(database, late), due(database, late), held(database, at=late)) == (
            set(),
            set(),
            [],
        )


def test_what_comes_from_the_future_goes_too(database: Database) -> None:
    hold(database, "future", NOW + 62 * MINUTE)
    hold(database, "new")
    assert digests(database) == ["new"]


def test_a_portal_is_due_when_one_of_its_messages_is(database: Database) -> None:
    hold(database, "a")
    (one,) = held(database)
    assert due(database, NOW) == {"main"}
    database.write(lambda tx: held_messages.tried(tx, one, "no answer", NOW + MINUTE))
    assert (due(database, NOW), due(database, NOW + MINUTE)) == (set(), {"main"})
    database.write(lambda tx: held_messages.tried(tx, one, "not true", None))
    assert due(database, NOW + MINUTE) == set()


def test_one_that_is_believed_goes_with_the_older_ones(database: Database) -> None:
    for number in range(3):
        hold(database, str(number), NOW + number * MINUTE)
    second = held(database)[1]
    database.write(lambda tx: held_messages.drop_through(tx, second))
    assert digests(database) == ["2"]


def test_a_message_may_be_replaced_by_what_it_has_become(database: Database) -> None:
    hold(database, "code")
    (one,) = held(database)
    database.write(lambda tx: held_messages.replace(tx, one, "sealed tokens"))
    assert held(database)[0].message == "sealed tokens"
    database.write(lambda tx: held_messages.tried(tx, one, "the code is used up", None))
    assert held(database)[0].try_at is not None


def test_a_portal_is_full_until_one_of_five_is_refused(database: Database) -> None:
    for number in range(MOST):
        hold(database, str(number))
    hold(database, "x", portal="side")
    assert full(database) == {"main"}
    first = held(database)[0]
    database.write(lambda tx: held_messages.tried(tx, first, "not true", None))
    assert full(database) == set()
