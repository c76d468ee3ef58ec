"""What a clock that was ahead put off waits as long as it was to wait, and no longer."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from responder.journal import approvals, open_stops
from responder.journal import record as journal
from responder.model import Mode, Outcome
from responder.store import clock_setback
from responder.store.database.database import Connection, Database
from responder.store.database.tables import approvals as asked
from responder.store.database.tables import decisions
from responder.store.inbox import second_looks
from tests.support.evaluations import AT, kill, record

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def test_a_stop_waits_as_long_from_now_as_it_was_to_wait(database: Database) -> None:
    ahead = AT + DAY
    first, second, third = record(
        database,
        replace(kill("a"), due_at=AT),
        replace(kill("b"), due_at=AT),
        replace(kill("c"), mode=Mode.APPROVE, due_at=ahead),
    ).decisions

    def put_off(tx: Connection) -> None:
        for name, at, wait in ((first, ahead, 10), (second, AT, 1)):
            journal.postpone(
                tx,
                name,
                Outcome.WAITING,
                at=at,
                due_at=at + wait * MINUTE,
                tries=1,
                detail="later",
            )
        approvals.ask(tx, third, ahead + DAY, ahead)

    database.write(put_off)
    assert database.read(lambda conn: clock_setback.is_due(conn, "main", AT))
    assert database.write(lambda tx: clock_setback.rewind(tx, "main", AT)) == 2
    query = select(decisions.c.workflow_id, decisions.c.due_at)
    due = dict(map(tuple, database.read(lambda conn: conn.execute(query).all())))
    assert due == {"a": AT + 10 * MINUTE, "b": AT + MINUTE, "c": AT + DAY}
    assert database.read(lambda conn: conn.execute(select(asked.c.lapses_at)).scalar()) == AT + DAY
    assert not database.read(lambda conn: clock_setback.is_due(conn, "main", AT))


def test_a_second_look_and_a_verification_are_due_soon(database: Database) -> None:
    (name,) = record(database, kill("a")).decisions

    def write(tx: Connection) -> None:
        second_looks.schedule(tx, "main", "deal:1", "event", None, ("ONCRMDEALUPDATE",), AT + DAY)
        journal.intend(tx, "main", name, AT, {})
        journal.conclude(tx, name, Outcome.KILLED, at=AT, receipt=True, verify_at=AT + DAY)

    database.write(write)
    assert not database.read(lambda conn: clock_setback.is_due(conn, "other", AT))
    database.write(lambda tx: clock_setback.rewind(tx, "main", AT))
    assert [one.due_at for one in database.read(lambda c: second_looks.due(c, "main", AT))] == [AT]
    assert len(database.read(lambda conn: open_stops.to_verify(conn, "main", AT))) == 1


def test_a_step_that_leaves_its_time_as_it_was_begins_it_not_anew(database: Database) -> None:
    (name,) = record(database, replace(kill("a"), due_at=AT + MINUTE)).decisions

    def wait(tx: Connection) -> None:
        for seconds in (1, 2, 3):
            journal.postpone(
                tx,
                name,
                Outcome.WAITING,
                at=AT + timedelta(seconds=seconds),
                due_at=AT + MINUTE,
                tries=0,
                detail="waits",
            )

    database.write(wait)
    (stop,) = database.read(lambda conn: open_stops.open_stops(conn, "main"))
    assert stop.postponed_at == AT
