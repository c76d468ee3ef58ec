"""A dossier has every step of a decision, its proof, and who erased it."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from responder.journal import record as journal
from responder.journal.reading.detail import Detail, detail
from responder.model import Outcome
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, LATER, MUCH_LATER, NONE, evaluation, kill, record
from tests.support.whole_log import erased


def _story(database: Database, between: int = 0) -> str:
    """Condemn, call, conclude, look again, cancel something else; return the decision's name."""
    mine, _ = record(database, kill("a"), NONE).decisions
    for number in range(between):
        record(database, kill(f"x{number}", Outcome.WOULD_KILL))

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", mine, LATER, {"tasks": [], "rule": "text", "workflow": {}})

    database.write(write)
    for number in range(between):
        made = replace(evaluation(kill(f"y{number}", Outcome.WOULD_KILL)), at=LATER)
        database.write(partial(journal.record, evaluation=made))

    def conclude(tx: Connection) -> None:
        journal.conclude(tx, mine, Outcome.KILLED, at=LATER, receipt=True, verify_at=MUCH_LATER)
        journal.control(tx, "main", LATER, {"control": "pause", "by": "anna"})
        journal.verified(tx, mine, MUCH_LATER)

    database.write(conclude)
    return mine


def _read(database: Database, name: str) -> Detail:
    found = database.read(lambda conn: detail(conn, name))
    assert found is not None
    return found


def test_it_has_every_step_in_its_order(database: Database) -> None:
    found = _read(database, _story(database))
    assert [step.kind for step in found.steps] == ["evaluation", "intent", "outcome", "verified"]
    assert found.proof == {"tasks": [], "rule": "text", "workflow": {}}
    assert found.whole
    assert found.erased is None
    assert [(one.rule, one.outcome) for one in found.siblings] == [(None, None)]
    assert found.decision["outcome"] == "killed"


def test_a_long_way_is_looked_through_where_the_steps_must_be(database: Database) -> None:
    name = _story(database, between=15)
    found = database.read(lambda conn: detail(conn, name, near=4))
    assert found is not None
    assert [step.kind for step in found.steps] == ["evaluation", "intent", "outcome", "verified"]
    assert found.whole


def test_who_cancelled_or_approved_stands_in_it(database: Database) -> None:
    name = record(database, kill("a")).decisions[0]

    def write(tx: Connection) -> None:
        journal.control(tx, "main", LATER, {"control": "approve", "decisions": [name], "by": "a"})
        journal.conclude(tx, name, Outcome.CANCELLED, at=LATER)
        journal.control(tx, "main", LATER, {"control": "cancel", "decision": name, "by": "b"})

    database.write(write)
    found = _read(database, name)
    assert [step.body.get("by") for step in found.steps] == [None, "a", None, "b"]


def test_it_says_who_erased_the_facts(database: Database) -> None:
    name = _story(database)
    erased(database, name, by="request 12", at=AT + timedelta(days=1))
    found = _read(database, name)
    assert found.erased is not None
    assert found.erased.body["by"] == "request 12"
    assert found.proof is None
    assert found.decision["facts"] is None


def test_there_is_none_of_what_is_not_there(database: Database) -> None:
    for name in ("main-1-1", "what", "", "main-1-1-1"):
        assert database.read(partial(detail, decision_id=name)) is None
