"""What was received: waiting by document, concluded once, listed in order."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.support.evaluations import AT, LATER, MUCH_LATER, deliver


def waiting(database: Database, documents: int = 10, **more: object) -> list[inbox.Waiting]:
    return database.read(
        lambda c: inbox.waiting(c, "main", documents=documents, **more)  # type: ignore[arg-type]
    )


def test_deliveries_of_a_document_wait_together_the_longest_waiting_first(
    database: Database,
) -> None:
    ids = database.write(deliver("deal:2", "deal:1", "deal:2", "lead:3"))
    found = waiting(database)
    assert [each.document_ref for each in found] == ["deal:2", "deal:1", "lead:3"]
    assert found[0].ids == (ids[0], ids[2])
    assert found[0].received_at == AT


def test_deliveries_without_a_document_wait_one_by_one(database: Database) -> None:
    ids = database.write(deliver(None, "deal:1", None))
    assert [each.ids for each in waiting(database)] == [(ids[0],), (ids[1],), (ids[2],)]


def test_event_names_are_told_once_the_newest_last(database: Database) -> None:
    def write(tx: Connection) -> None:
        for name in ("A", "B", "A", "C", "B"):
            inbox.add(tx, [inbox.row("main", AT, "event", name, "deal:1", None, b"")])

    database.write(write)
    (found,) = waiting(database)
    assert found.events == ("A", "C", "B")
    assert found.newest == "B"


def test_a_robot_call_waits_apart_from_events_and_from_other_workflows(database: Database) -> None:
    def write(tx: Connection) -> None:
        rows = [
            inbox.row("main", AT, "event", "A", "deal:1", None, b""),
            inbox.row("main", AT, "robot", None, "deal:1", "a", b""),
            inbox.row("main", AT, "robot", None, "deal:1", "b", b""),
            inbox.row("main", AT, "robot", None, "deal:1", "a", b""),
        ]
        inbox.add(tx, rows)

    database.write(write)
    found = waiting(database)
    assert [(each.trigger, each.workflow_id, len(each.ids)) for each in found] == [
        ("event", None, 1),
        ("robot", "a", 2),
        ("robot", "b", 1),
    ]
    assert found[1].events == ()
    assert found[1].newest is None


def test_so_many_documents_and_no_more_are_taken_but_those_that_rest(database: Database) -> None:
    database.write(deliver("deal:1", "deal:2", "deal:3", None))
    assert [each.document_ref for each in waiting(database, 2)] == ["deal:1", "deal:2"]
    rested = waiting(database, 2, skip={"deal:1", "deal:2"})
    assert [each.document_ref for each in rested] == ["deal:3", None]


def test_another_portal_has_its_own_inbox(database: Database) -> None:
    database.write(deliver("deal:1", portal="other"))
    assert waiting(database) == []


def test_what_is_concluded_waits_no_more_and_cannot_be_concluded_again(database: Database) -> None:
    ids = database.write(deliver("deal:1", "deal:1", "deal:2"))
    database.write(lambda tx: inbox.conclude(tx, ids[:2], "main-1"))
    assert [each.ids for each in waiting(database)] == [(ids[2],)]
    with pytest.raises(inbox.AlreadyConcluded):
        database.write(lambda tx: inbox.conclude(tx, ids, "main-2"))
    assert [each.evaluation for each in inbox.received(database)] == ["main-1", "main-1", None]


def test_thousands_of_one_document_are_concluded_at_once(database: Database) -> None:
    database.write(deliver(*["deal:1"] * 2500))
    (found,) = waiting(database)
    assert len(found.ids) == 2500
    database.write(lambda tx: inbox.conclude(tx, found.ids, "main-1"))
    assert database.read(inbox.depth) == {}


def test_a_document_has_no_more_than_ten_thousand_at_once(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    database.open()
    database.write(deliver(*["deal:1"] * 10_100, "deal:2"))
    found = waiting(database)
    assert len(found[0].ids) == inbox.MOST_IDS
    database.close()


def test_it_reads_on_until_it_has_enough_documents(database: Database) -> None:
    database.write(deliver(*["deal:1"] * 2_500, "deal:2", "deal:1", *["deal:2"] * 2_000, "deal:3"))
    found = waiting(database, 3)
    assert [(each.document_ref, len(each.ids)) for each in found] == [
        ("deal:1", 2_501),
        ("deal:2", 2_001),
        ("deal:3", 1),
    ]
    assert [len(each.ids) for each in waiting(database, 1)] == [1_000]


def test_what_lies_far_behind_waits_until_it_comes_to_the_front(database: Database) -> None:
    ids = database.write(deliver("deal:1", *[f"deal:{n}" for n in range(2, 2_500)], "deal:1"))
    first = waiting(database, 50)
    assert len(first) == 50
    assert first[0].ids == (ids[0],)
    database.write(lambda tx: inbox.conclude(tx, ids[:-1], "main-1"))
    assert [each.ids for each in waiting(database, 50)] == [(ids[-1],)]


def test_documents_that_rest_hide_none_behind_them(database: Database) -> None:
    database.write(deliver(*[f"deal:{n % 1_000}" for n in range(3_000)], None, "lead:1"))
    found = waiting(database, skip=[f"deal:{n}" for n in range(1_000)])
    assert [each.document_ref for each in found] == [None, "lead:1"]


def test_the_front_tells_apart_what_rules_may_tell_apart(database: Database) -> None:
    def write(tx: Connection) -> None:
        for event, ref in (("A", "deal:1"), ("B", "item_147:2"), ("A", "deal:3"), ("A", "lead:3")):
            inbox.add(tx, [inbox.row("main", AT, "event", event, ref, None, b"")])
        inbox.add(tx, [inbox.row("main", LATER, "event", "A", None, None, b"")])
        inbox.add(tx, [inbox.row("main", LATER, "robot", None, "deal:1", "a", b"")])
        inbox.add(tx, [inbox.row("other", AT, "event", "C", "deal:1", None, b"")])

    database.write(write)
    front = database.read(lambda conn: inbox.front(conn, "main", 10))
    assert [(each.trigger, each.event, each.kind, len(each.ids)) for each in front] == [
        ("event", "B", "item_147", 1),
        ("event", "A", "deal", 2),
        ("event", "A", "lead", 1),
        ("event", "A", None, 1),
        ("robot", None, "deal", 1),
    ]
    assert [each.received_at for each in front] == [AT, AT, AT, LATER, LATER]
    (first,) = database.read(lambda conn: inbox.front(conn, "main", 1))
    database.write(lambda tx: inbox.conclude(tx, first.ids, "main-1"))
    assert len(database.read(lambda conn: inbox.front(conn, "main", 10))) == 5
    assert database.read(lambda conn: inbox.front(conn, "nowhere", 10)) == []


def test_depth_tells_how_many_wait_and_since_when(database: Database) -> None:
    ids = database.write(deliver("deal:1", "deal:2", "deal:3"))
    database.write(deliver("deal:1", portal="other"))
    database.write(lambda tx: inbox.conclude(tx, ids[:1], "main-1"))
    assert database.read(inbox.depth) == {
        "main": (2, AT + timedelta(seconds=1)),
        "other": (1, AT),
    }


def test_a_portal_was_last_heard_from_at_its_newest_delivery(database: Database) -> None:
    database.write(deliver("deal:1", "deal:2"))
    database.write(deliver("deal:1", "deal:2", "deal:3", portal="other"))
    assert database.read(lambda c: inbox.last_received(c, "main")) == AT + timedelta(seconds=1)
    assert database.read(lambda c: inbox.last_received(c, "nobody")) is None


def test_what_was_received_is_listed_page_by_page_in_order(database: Database) -> None:
    database.write(deliver(*[f"deal:{n % 3}" for n in range(1201)]))
    everything = list(inbox.received(database))
    assert len(everything) == 1201
    assert [each.id for each in everything] == sorted(each.id for each in everything)
    assert everything[0].received_at == AT
    assert everything[0].form == b"x=1"
    of_one = list(inbox.received(database, document="deal:1"))
    assert {each.document for each in of_one} == {"deal:1"}
    assert len(of_one) == 400
    since = list(inbox.received(database, since=LATER))
    assert (len(since), since[0].received_at) == (1191, LATER)
    assert list(inbox.received(database, since=LATER, newest=700)) == since[-700:]
    assert list(inbox.received(database, portal="other")) == []
    assert database.read(inbox.portals) == ["main"]
    assert list(inbox.received(database, since=MUCH_LATER)) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=20), st.binary(max_size=50))
def test_any_text_and_any_bytes_can_be_stored(database: Database, words: str, form: bytes) -> None:
    def write(tx: Connection) -> None:
        inbox.add(tx, [inbox.row("main", AT, "robot", words, words, words, form)])

    database.write(write)
    newest = list(inbox.received(database))[-1]
    assert newest.form == form
    again = database.read(lambda c: inbox.waiting(c, "main", documents=1000, skip=[words]))
    assert all(each.document_ref != words for each in again)


def test_what_postgresql_cannot_hold_is_replaced_in_both(database: Database) -> None:
    database.write(
        lambda tx: inbox.add(
            tx, [inbox.row("main", AT, "event", "a\x00b", "deal\ud800", "\udfffx", b"\x00\xff")]
        )
    )
    (found,) = inbox.received(database)
    assert (found.event, found.document, found.workflow_id) == ("a\ufffdb", "deal\ufffd", "\ufffdx")
    assert found.form == b"\x00\xff"
