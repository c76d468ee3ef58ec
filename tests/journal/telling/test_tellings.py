"""Tests of what is kept of tellings: written once, due with the outcome, erased and pruned."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.telling import tellings
from responder.journal.telling.shown import Told, told
from responder.journal.telling.tellings import Kind, NewTelling, State
from responder.model import Audience, Outcome
from responder.store.database.database import Database
from responder.store.database.portal_tables import tellings as table
from tests.support.evaluations import AT, LATER, MUCH_LATER, count, kill, record
from tests.support.whole_log import erased, pruned

TELL = (
    NewTelling(audience=Audience.TIMELINE, message="Stopped."),
    NewTelling(audience=Audience.STARTER, user="7", message="Stopped."),
    NewTelling(audience=Audience.RESPONSIBLE, why="nobody is responsible for it"),
)
WARN = (NewTelling(audience=Audience.STARTER, user="7", message="Will be stopped."),)


def written(database: Database, *kinds: Kind) -> str:
    """Record a decision that tells; return its id."""
    (decision,) = record(database, kill()).decisions
    for kind in kinds:
        new = TELL if kind is Kind.TELL else WARN
        database.write(partial(tellings.write, decision_id=decision, kind=kind, new=new, at=AT))
    return decision


def concluded(database: Database, decision: str, outcome: Outcome) -> None:
    database.write(lambda tx: journal.conclude(tx, decision, outcome, at=LATER))


def states(database: Database) -> list[str]:
    query = select(table.c.state).order_by(table.c.kind, table.c.place)
    return list(database.read(lambda conn: conn.execute(query).scalars().all()))


def shown(database: Database, decision: str) -> tuple[Told, ...]:
    return database.read(partial(told, decision_id=decision))


def due(database: Database) -> list[tellings.Telling]:
    return database.read(partial(tellings.due, portal="main", now=MUCH_LATER, most=10))


def end(database: Database, one: tellings.Telling, state: State, why: str) -> None:
    database.write(partial(tellings.end, one=one, state=state, result=why, at=MUCH_LATER))


def test_what_is_told_waits_for_the_outcome_of_the_stop(database: Database) -> None:
    decision = written(database, Kind.TELL)
    assert states(database) == [State.PLANNED, State.PLANNED, State.NOBODY]
    assert not due(database)
    concluded(database, decision, Outcome.KILLED)
    first, second = due(database)
    assert (first.user, second.user, first.message) == (None, "7", "Stopped.")
    assert first.mark != second.mark
    assert first.mark.startswith("#r-")
    assert (first.decision_id, first.document.ref) == (decision, "deal:759")


@pytest.mark.parametrize("outcome", [Outcome.CLEARED, Outcome.REFUSED, Outcome.ALREADY_GONE])
def test_what_was_not_stopped_is_not_told(database: Database, outcome: Outcome) -> None:
    concluded(database, written(database, Kind.TELL), outcome)
    assert states(database) == [State.DROPPED, State.DROPPED, State.NOBODY]
    assert not due(database)


def test_a_warning_that_was_not_sent_goes_with_its_decision(database: Database) -> None:
    decision = written(database, Kind.WARN)
    assert [one.waits for one in due(database)] == [True]
    concluded(database, decision, Outcome.CLEARED)
    assert not due(database)
    [one] = shown(database, decision)
    assert one.words == "not sent: it was cleared before"


def test_nothing_is_written_twice_and_a_new_call_plans_anew(database: Database) -> None:
    decision = written(database, Kind.TELL, Kind.TELL, Kind.WARN)
    assert len(states(database)) == 4
    database.write(partial(tellings.replan, decision_id=decision))
    assert states(database) == [State.DUE]


def test_what_is_being_sent_is_due_again_when_nothing_is_heard_of_it(database: Database) -> None:
    written(database, Kind.WARN)
    [one] = due(database)
    database.write(partial(tellings.begin, some=[one], at=LATER, look_at=MUCH_LATER))
    assert not database.read(partial(tellings.due, portal="main", now=LATER, most=10))
    [one] = due(database)
    assert (one.state, one.sent_at, one.tries) == (State.SENDING, LATER, 0)
    again = MUCH_LATER - timedelta(minutes=1)
    database.write(
        lambda tx: tellings.postpone(tx, one, State.DUE, again, "not there", counts=True)
    )
    [one] = due(database)
    assert (one.state, one.tries) == (State.DUE, 1)


def test_what_was_dropped_since_it_was_read_is_not_sent(database: Database) -> None:
    decision = written(database, Kind.WARN)
    read = due(database)
    concluded(database, decision, Outcome.CANCELLED)
    begin = partial(tellings.begin, some=read, at=LATER, look_at=MUCH_LATER)
    assert database.write(begin) == []
    assert states(database) == [State.DROPPED]


def test_people_see_what_was_told_and_when_or_why_not(database: Database) -> None:
    decision = written(database, Kind.WARN, Kind.TELL)
    [warned] = due(database)
    end(database, warned, State.FAILED, "gone")
    concluded(database, decision, Outcome.KILLED)
    comment, _ = due(database)
    end(database, comment, State.TOLD, "comment 5")
    said = [(one.kind, one.who, one.words) for one in shown(database, decision)]
    assert said == [
        ("warn", "starter, user 7", "not told: gone"),
        ("tell", "timeline", "told: comment 5"),
        ("tell", "starter, user 7", "is to be sent"),
        ("tell", "responsible", "nobody to tell: nobody is responsible for it"),
    ]
    assert shown(database, decision)[1].as_json()["at"] == "2026-09-24T13:00:00.123Z"
    assert not shown(database, "main-99-1")
    assert not shown(database, "x")


def test_whom_was_told_what_is_erased_with_the_facts(database: Database) -> None:
    decision = written(database, Kind.TELL)
    concluded(database, decision, Outcome.KILLED)
    assert erased(database, decision)
    assert not due(database)
    assert [(one.user, one.message) for one in shown(database, decision)] == [(None, None)] * 3
    assert shown(database, decision)[0].words == "not sent: the facts behind it were erased"
    assert verify(database, "main").bad is None


def test_what_is_being_sent_while_it_is_erased_is_not_sent_again(database: Database) -> None:
    decision = written(database, Kind.TELL)
    concluded(database, decision, Outcome.KILLED)
    comment, note = due(database)
    begin = partial(tellings.begin, some=[comment, note], at=LATER, look_at=MUCH_LATER)
    comment, note = database.write(begin)
    assert erased(database, decision)
    perhaps = "perhaps told: the facts behind it were erased"
    assert [one.words for one in shown(database, decision)[:2]] == [perhaps] * 2
    later = partial(tellings.postpone, state=State.DUE, due_at=LATER, why="busy", counts=True)
    database.write(partial(later, one=note))
    end(database, comment, State.TOLD, "comment 5")
    assert not due(database)
    assert [one.words for one in shown(database, decision)[:2]] == ["told: comment 5", perhaps]


def test_what_was_told_is_pruned_with_its_decision(database: Database) -> None:
    concluded(database, written(database, Kind.TELL), Outcome.CLEARED)
    record(database, kill("b", Outcome.LEFT))
    assert count(database, table) == 3
    assert pruned(database)
    assert count(database, table) == 0
