"""What an older version left undone: names of erased facts, tellings of concluded stops."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, select, update

from responder.journal import chain
from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.telling import tellings
from responder.journal.telling.tellings import Kind, NewTelling, State
from responder.journal.upkeep import older_versions
from responder.journal.upkeep.older_versions import Undone
from responder.model import Audience, Names, Outcome
from responder.store.canonical_json import canonical
from responder.store.database.database import Database
from responder.store.database.portal_tables import tellings as told
from responder.store.database.tables import decisions, evidence, name_words
from tests.support.evaluations import LATER, MUCH_LATER, count, record
from tests.support.evaluations import kill as kill_of

NAMES = Names(title="Ms Tereza Example", template="Approval", starter="Boris")


def kill(database: Database, workflow_id: str, outcome: Outcome | None) -> str:
    """Record a decision with names, of which the timeline is told; conclude it as of old."""
    named = kill_of(workflow_id)
    (name,) = record(database, replace(named, names=NAMES)).decisions
    new = [NewTelling(audience=Audience.TIMELINE, message="Stopped: Ms Tereza Example.")]

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", name, LATER, {})
        tellings.write(tx, name, Kind.TELL, new, LATER)
        if outcome is not None:
            journal.conclude(tx, name, outcome, at=LATER, receipt=True)
            planned = {"state": State.PLANNED.value, "due_at": None, "ended_at": None}
            tx.execute(update(told).values(**planned, result=None))

    database.write(write)
    return name


def erase_as_of_old(database: Database) -> None:
    """Erase the facts of the first decision as a version did that knew no names and tellings."""

    def write(tx: Connection) -> None:
        body = {"control": "erase", "decision": "main-1-1", "by": "anna", "entries": [1, 2]}
        entry = chain.append(tx, "main", "control", MUCH_LATER, body)
        content = canonical({"erased": entry})
        tx.execute(
            update(evidence).where(evidence.c.seq.in_([1, 2])).values(salt="", content=content)
        )

    database.write(write)


def finished(database: Database, after: int | None = None) -> Undone:
    found = database.read(partial(older_versions.find, portal="main", after=after))
    if found:
        now = MUCH_LATER
        finish = partial(older_versions.finish, portal="main", undone=found, now=now)
        database.write(finish)
    return found


def state(database: Database) -> str:
    return str(database.read(lambda conn: conn.execute(select(told.c.state)).scalar_one()))


def test_names_that_an_erasure_of_old_left_are_erased(database: Database) -> None:
    kill(database, "a", Outcome.KILLED)
    erase_as_of_old(database)
    assert verify(database, "main").bad is not None
    assert finished(database).erased == (1,)
    assert verify(database, "main").bad is None
    assert count(database, name_words) == 0
    (row,) = database.read(lambda conn: conn.execute(select(decisions)).all())
    assert row.names is None
    (told_row,) = database.read(lambda conn: conn.execute(select(told)).all())
    assert (told_row.message, told_row.state) == (None, State.DROPPED)
    assert not finished(database)


def test_what_was_erased_as_of_old_is_not_told_before_that_is_finished(
    database: Database,
) -> None:
    kill(database, "a", Outcome.KILLED)
    assert finished(database).concluded
    due = partial(tellings.due, portal="main", now=MUCH_LATER, most=10)
    assert database.read(due)
    erase_as_of_old(database)
    assert not database.read(due)


def test_what_was_planned_becomes_due_with_an_outcome_of_old(database: Database) -> None:
    kill(database, "a", Outcome.KILLED)
    through = finished(database)
    assert [one.place for one in through.concluded] == [("main", 1, 1)]
    due = partial(tellings.due, portal="main", now=MUCH_LATER, most=10)
    assert [one.at for one in database.read(due)] == [LATER]
    assert not finished(database)


def test_what_did_not_stop_it_is_not_told_of(database: Database) -> None:
    kill(database, "a", Outcome.ALREADY_GONE)
    assert finished(database)
    assert state(database) == State.DROPPED


def test_what_is_not_concluded_is_left_alone(database: Database) -> None:
    kill(database, "a", None)
    assert not finished(database)
    assert state(database) == State.PLANNED


def test_what_was_looked_at_is_not_looked_at_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(database, "a", Outcome.KILLED)
    monkeypatch.setattr(older_versions, "SPAN", 2)
    first = finished(database)
    assert (bool(first), first.through, first.more) == (False, 2, True)
    second = finished(database, first.through)
    assert (bool(second), second.through, second.more) == (True, 3, False)
