"""What the journal holds on workflows that were just read, as the next judgement must know it."""

from dataclasses import replace

from responder.journal import record as journal
from responder.judge.judgement import known_in
from responder.judge.plans import Known
from responder.model import Action, Mode, Outcome
from responder.rules.revision import shown
from responder.store.database.database import Database
from tests.support.evaluations import LATER, REVISION, kill, record

A, B = "65e5a449e8f135.00000001", "65e5a449e8f135.00000002"


def known(database: Database, ruleset: str = REVISION) -> Known:
    return database.read(lambda conn: known_in(conn, "main", [A, B], ruleset))


def test_nothing_is_known_of_a_workflow_that_was_never_decided_on(database: Database) -> None:
    record(database, kill(A), portal="other")
    assert known(database) == Known(unchanged=set(), shadows=set(), stopped=set())


def test_what_is_observed_again_is_unchanged_unless_the_rule_or_its_revision_differ(
    database: Database,
) -> None:
    record(
        database,
        kill(A, Outcome.WOULD_KILL, rule="one"),
        kill(A, Outcome.WOULD_KILL, rule="two"),
    )
    both = {(A, "one", Action.KILL), (A, "two", Action.KILL)}
    assert known(database).unchanged == both
    assert known(database, shown(REVISION)).unchanged == both  # as an older version named it
    assert known(database, "fedcba9876543210").unchanged == set()


def test_an_open_stop_is_under_way_until_it_is_concluded_and_was_stopped_then(
    database: Database,
) -> None:
    name = record(database, kill(A, rule="one")).decisions[0]
    found = known(database)
    assert found == Known(
        under_way={A}, waits=found.waits, unchanged=set(), shadows=set(), stopped=set()
    )
    assert (found.waits[A].rule, found.waits[A].trigger) == ("one", "event")
    database.write(lambda tx: journal.conclude(tx, name, Outcome.KILLED, at=LATER))
    assert known(database) == Known(unchanged=set(), shadows=set(), stopped={A})


def test_what_an_observing_rule_waits_for_is_its_shadow(database: Database) -> None:
    record(database, replace(kill(B, rule="one"), mode=Mode.OBSERVE))
    assert known(database).shadows == {(B, "one")}
    assert known(database).under_way == set()
