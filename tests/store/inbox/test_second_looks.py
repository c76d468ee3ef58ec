"""Second looks are kept once for a document, at the later time, until they are taken."""

from datetime import datetime

from sqlalchemy import Connection

from responder.store.database.database import Database
from responder.store.inbox import second_looks
from tests.support.evaluations import AT, LATER, MUCH_LATER


def due(database: Database) -> list[second_looks.Look]:
    return database.read(lambda c: second_looks.due(c, "main", MUCH_LATER))


def test_a_look_is_due_at_its_time_and_gone_when_taken(database: Database) -> None:
    database.write(
        lambda tx: second_looks.schedule(tx, "main", "deal:1", "event", None, ("A",), LATER)
    )
    assert database.read(lambda c: second_looks.due(c, "main", AT)) == []
    assert database.read(lambda c: second_looks.due(c, "other", MUCH_LATER)) == []
    (look,) = due(database)
    assert look == second_looks.Look(
        portal="main",
        document_ref="deal:1",
        trigger="event",
        workflow_id=None,
        event_names=("A",),
        due_at=LATER,
    )
    database.write(lambda tx: second_looks.done_all(tx, [look]))
    assert due(database) == []


def test_a_second_request_has_the_later_time_and_adds_its_events(database: Database) -> None:
    def write(tx: Connection) -> None:
        second_looks.schedule(tx, "main", "deal:1", "event", None, ("A", "B"), LATER)
        second_looks.schedule(tx, "main", "deal:1", "event", None, ("B", "C"), MUCH_LATER)
        second_looks.schedule(tx, "main", "deal:2", "event", None, (), MUCH_LATER)
        second_looks.schedule(tx, "main", "deal:2", "event", None, (), LATER)
        second_looks.schedule(tx, "main", "deal:2", "robot", "w", (), LATER)

    database.write(write)
    found = sorted(
        (look.document_ref, look.workflow_id or "", look.event_names, look.due_at)
        for look in due(database)
    )
    assert found == [
        ("deal:1", "", ("A", "B", "C"), MUCH_LATER),
        ("deal:2", "", (), MUCH_LATER),
        ("deal:2", "w", (), LATER),
    ]


def test_what_is_asked_for_while_a_look_is_taken_is_looked_at_again(database: Database) -> None:
    def ask(tx: Connection, rule: str, at: datetime) -> None:
        second_looks.schedule(tx, "main", "deal:1", "sweep", None, (), at, frozenset({rule}))

    database.write(lambda tx: ask(tx, "one", AT))
    (look,) = due(database)
    database.write(lambda tx: ask(tx, "two", LATER))
    database.write(lambda tx: second_looks.done_all(tx, [look]))
    assert [one.asked for one in due(database)] == [frozenset({"one", "two"})]
