"""A restart is a row and entries of the log: one at a time, one call, and the audit sees both."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from responder.journal import record as journal
from responder.journal import restarts
from responder.journal.audit.integrity import check_log
from responder.journal.reading.detail import detail
from responder.journal.restarts import NotAsked, NotRestartable, NotWaiting, Restart
from responder.journal.upkeep.prune import prune
from responder.model import Outcome
from responder.store.database.database import Database
from responder.store.database.portal_tables import restarts as table
from tests.support.evaluations import AT, LATER, MUCH_LATER, NONE, kill, record
from tests.support.whole_log import erased

A_YEAR = MUCH_LATER + timedelta(days=365)


@pytest.fixture
def stopped(database: Database) -> str:
    """Have a workflow killed and verified; return the decision's name."""
    (name,) = record(database, kill()).decisions

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", name, AT, {})
        journal.conclude(tx, name, Outcome.KILLED, at=AT, receipt=True)

    database.write(write)
    return name


def ask(database: Database, name: str) -> Restart:
    """Ask for a restart; return it."""
    database.write(lambda tx: restarts.ask(tx, name, anyway=False, by="anna", at=LATER))
    return found(database, name)


def found(database: Database, name: str) -> Restart:
    one = database.read(lambda conn: restarts.find(conn, name))
    assert one is not None
    return one


def call(database: Database, one: Restart) -> Restart:
    database.write(lambda tx: restarts.call(tx, one, ["other"], LATER))
    return found(database, one.decision_id)


def end(database: Database, one: Restart, outcome: restarts.Outcome) -> None:
    database.write(lambda tx: restarts.end(tx, one, outcome, MUCH_LATER, started_id="new"))


def test_only_what_was_stopped_and_is_still_known_can_be_started_anew(
    database: Database, stopped: str
) -> None:
    (would,) = record(database, kill("b", Outcome.WOULD_KILL)).decisions
    for name, why in (
        ("nonsense", "there is no decision nonsense"),
        ("main-999-1", "there is no decision main-999-1"),
        (would, f"{would} stopped nothing: it is would_kill"),
    ):
        with pytest.raises(NotRestartable, match=why):
            ask(database, name)
    erased(database, stopped, at=LATER)
    with pytest.raises(NotRestartable, match=f"the facts behind {stopped} were erased"):
        ask(database, stopped)


def test_it_is_asked_for_once_unless_it_was_refused(database: Database, stopped: str) -> None:
    one = ask(database, stopped)
    with pytest.raises(NotRestartable, match="and it is under way"):
        ask(database, stopped)
    end(database, one, "refused")
    again = ask(database, stopped)
    assert (again.state, again.outcome, again.detail) == ("waiting", None, None)
    end(database, call(database, again), "in_doubt")
    with pytest.raises(NotRestartable, match="is not known"):
        ask(database, stopped)
    assert check_log(database)[1] == []


def test_each_step_is_written_once(database: Database, stopped: str) -> None:
    one = ask(database, stopped)
    called = call(database, one)
    for step in (lambda: call(database, one), lambda: end(database, one, "started")):
        with pytest.raises(NotWaiting):
            step()
    end(database, called, "started")
    with pytest.raises(NotWaiting):
        end(database, called, "started")
    assert database.read(lambda conn: restarts.unfinished(conn, "main")) == []


def test_the_steps_are_among_those_of_the_decision(database: Database, stopped: str) -> None:
    end(database, call(database, ask(database, stopped)), "started")
    shown = database.read(lambda conn: detail(conn, stopped))
    assert shown is not None
    told = [step.body["control"] for step in shown.steps if step.kind == "control"]
    assert told == ["restart", "restart_call", "restart_end"]


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("UPDATE restarts SET state = 'waiting', call_entry = NULL", "or one that followed,"),
        ("UPDATE restarts SET by = 'nobody'", "or one that followed,"),
        ("UPDATE restarts SET outcome = 'refused'", "or one that followed,"),
        ("UPDATE restarts SET state = 'called'", "or one that followed,"),
        ("UPDATE restarts SET workflow_id = 'another'", "or one that followed,"),
        ("UPDATE restarts SET detail = 'it was not us'", "or one that followed,"),
        ("UPDATE restarts SET running = '[]'", "or one that followed,"),
        ("UPDATE restarts SET n = 7", "no entry records it"),
        ("DELETE FROM restarts", "its row is gone"),
    ],
)
def test_a_row_that_was_changed_is_found(
    database: Database, stopped: str, change: str, differs: str
) -> None:
    end(database, call(database, ask(database, stopped)), "started")
    assert check_log(database)[1] == []
    database.write(lambda tx: tx.execute(text(change.replace(" by ", ' "by" '))))
    assert any(differs in line for line in check_log(database)[1])


def test_a_row_that_no_entry_bears_out_starts_nothing(database: Database, stopped: str) -> None:
    one = ask(database, stopped)
    database.write(lambda tx: tx.execute(text("UPDATE restarts SET anyway = true")))
    changed = found(database, stopped)
    for step in (lambda: call(database, changed), lambda: end(database, changed, "refused")):
        with pytest.raises(NotAsked):
            step()
    database.write(lambda tx: restarts.reject(tx, changed, MUCH_LATER))
    assert found(database, stopped).sentence.endswith(
        "nothing was started: no entry of the log says that anna asked for it"
    )
    assert any("or one that followed, differs" in line for line in check_log(database)[1])
    end(database, call(database, ask(database, stopped)), "started")
    assert found(database, stopped).entry > one.entry
    assert check_log(database)[1] == []


def test_a_row_that_names_an_entry_that_was_pruned_is_found(
    database: Database, stopped: str
) -> None:
    row = {"portal": "main", "seq": 1, "n": 1, "state": "waiting", "entry": 0}
    forged = {**row, "anyway": True, "by": "anna", "at": LATER}
    database.write(lambda tx: tx.execute(table.insert().values(**forged)))
    assert found(database, stopped).entry == 0
    assert f"restart {stopped}: no entry records it" in str(check_log(database)[1])


def forge(database: Database, name: str, **changes: object) -> None:
    """Write the entry of a call that is none."""
    body = {"control": "restart_call", "request": 99, "document": "deal:1", "running": []}
    of = {"decision": name, "by": "anna", **body, **changes}
    database.write(lambda tx: journal.control(tx, "main", LATER, of))


def test_a_call_that_nobody_asked_for_is_found(database: Database, stopped: str) -> None:
    forge(database, stopped)
    assert "no entry records that somebody asked for this restart" in str(check_log(database)[1])


def test_a_second_call_is_found(database: Database, stopped: str) -> None:
    one = call(database, ask(database, stopped))
    forge(database, stopped, request=one.entry)
    assert "it is another call of the same restart" in str(check_log(database)[1])


def test_what_is_being_started_anew_is_not_pruned(database: Database, stopped: str) -> None:
    one = ask(database, stopped)
    record(database, NONE)
    assert database.write(lambda tx: prune(tx, "main", A_YEAR, A_YEAR + timedelta(days=2))) is None
    end(database, one, "refused")
    pruned = database.write(lambda tx: prune(tx, "main", A_YEAR, A_YEAR + timedelta(days=2)))
    assert pruned is not None
    assert database.read(lambda conn: restarts.find(conn, stopped)) is None
    assert check_log(database)[1] == []


def test_a_row_whose_decision_an_older_version_pruned_holds_up_no_pruning(
    database: Database, stopped: str
) -> None:
    ask(database, stopped)
    database.write(lambda tx: tx.execute(text("UPDATE restarts SET n = 7")))
    record(database, NONE)
    at = A_YEAR + timedelta(days=2)
    assert database.write(lambda tx: prune(tx, "main", A_YEAR, at)) is not None
    assert check_log(database)[1] == []
