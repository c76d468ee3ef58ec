"""What rules would have done is counted, and what became of it, within a day."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, inspect, select

from responder.journal import record as journal
from responder.journal import would_kills
from responder.journal.entries import NewDecision, NewEvaluation, index_row
from responder.journal.would_kills import DAY, LOOKS, Figures
from responder.model import Action, Mode, Outcome, Unknown
from responder.store.database import upgrade
from responder.store.database.database import Database
from responder.store.database.tables import decisions, watched
from tests.support.evaluations import AT, DEAL, NONE, evaluation, kill, record, workflow
from tests.support.whole_log import OLD, pruned

MINUTE = timedelta(minutes=1)
THERE = {"ID": "there"}


def would(database: Database, *names: str, rule: str = "lost-deal", portal: str = "main") -> None:
    record(database, *(kill(name, Outcome.WOULD_KILL, rule) for name in names), portal=portal)


def of(database: Database, rule: str = "lost-deal", portal: str | None = None) -> Figures:
    return database.read(partial(would_kills.figures, portal=portal))[rule]


def look(database: Database, found: object, at: datetime) -> int:
    """Look for all that is due, and find the same of each; return how many were due."""

    def write(tx: Connection) -> int:
        due = would_kills.due(tx, "main", at)
        would_kills.record_look(tx, "main", due, {one.workflow_id: found for one in due}, at)
        return len(due)

    return database.write(write)


def test_each_workflow_counts_once_for_a_rule_and_each_document_once(database: Database) -> None:
    would(database, "a", "b")
    would(database, "a", "b", "c")
    other = NewEvaluation(
        portal="main",
        at=AT + MINUTE,
        trigger="event",
        document=DEAL.__class__(kind="deal", item_id="5", module="crm", entity="D", id="DEAL_5"),
        ruleset="0",
        facts={},
        decisions=(kill("d", Outcome.WOULD_KILL),),
    )
    database.write(lambda tx: journal.record(tx, other))
    found = of(database)
    assert (found.workflows, found.documents, found.told, found.rest) == (4, 2, 0, 4)
    assert (found.since, found.until) == (AT, AT + MINUTE)
    said = "would have killed 4 on 2 documents; 4 cannot be told before a day is over"
    assert found.sentence() == said


def test_a_stop_that_waited_in_observing_is_counted_when_it_is_concluded(
    database: Database,
) -> None:
    waiting = NewDecision(
        workflow=workflow("w"),
        rule="later",
        action=Action.TERMINATE,
        mode=Mode.OBSERVE,
        outcome=Outcome.WAITING,
        due_at=AT,
    )
    decision = record(database, waiting).decisions[0]
    assert database.read(would_kills.figures) == {}
    at = AT + timedelta(minutes=10)
    database.write(
        partial(journal.conclude, decision_id=decision, outcome=Outcome.WOULD_TERMINATE, at=at)
    )
    assert of(database, "later").since == at
    assert of(database, "later").sentence("terminated").startswith("would have terminated 1 on 1 d")


def test_what_was_killed_is_no_shadow(database: Database) -> None:
    record(database, kill("a"), NewDecision())
    assert database.read(would_kills.figures) == {}


@pytest.mark.parametrize(
    ("looks", "state"),
    [
        pytest.param([(LOOKS[0], None)], "ended", id="gone after an hour"),
        pytest.param([(LOOKS[0], THERE), (LOOKS[1], None)], "ended", id="gone after six"),
        pytest.param([(LOOKS[2], None)], "ended", id="gone before the day is over"),
        pytest.param([(LOOKS[2], THERE)], "running", id="there when the day is over"),
        pytest.param([(DAY + MINUTE, None)], "untold", id="nobody looked in time"),
        pytest.param([(DAY * 30, THERE)], "running", id="there after a month"),
        pytest.param([(LOOKS[2], Unknown("away")), (DAY, None)], "ended", id="read again"),
        pytest.param([(LOOKS[0], THERE)], "watching", id="there after an hour"),
        pytest.param([(DAY * 2, Unknown("away"))], "watching", id="unread for two days"),
        pytest.param([(DAY * 3, Unknown("away"))], "untold", id="unread for three"),
    ],
)
def test_what_became_of_it(
    database: Database, looks: list[tuple[timedelta, object]], state: str
) -> None:
    would(database, "a")
    for length, found in looks:
        assert look(database, found, AT + length) == 1
    figures = of(database)
    counted = {name: getattr(figures, name) for name in ("ended", "running", "untold", "stopped")}
    expected = {name: int(name == state) for name in counted}
    assert counted == expected
    row = database.read(lambda c: c.execute(select(watched)).one())
    assert (row.state, row.ended_at is not None) == (state, state == "ended")
    assert (row.look_at is None) == (state != "watching")


def test_looks_are_an_hour_six_and_almost_a_day_after(database: Database) -> None:
    would(database, "a")
    assert look(database, THERE, AT + LOOKS[0] - MINUTE) == 0
    assert look(database, THERE, AT + LOOKS[0] + MINUTE) == 1
    assert look(database, THERE, AT + LOOKS[1] - MINUTE) == 0
    assert look(database, THERE, AT + LOOKS[1]) == 1
    assert look(database, THERE, AT + LOOKS[2] - MINUTE) == 0
    assert look(database, THERE, AT + LOOKS[2]) == 1
    assert look(database, THERE, AT + DAY * 9) == 0


def test_what_this_program_stopped_did_not_end_by_itself(database: Database) -> None:
    would(database, "a", "b")
    stop = database.write(
        lambda tx: journal.record(tx, evaluation(kill("a", rule="other")))
    ).decisions[0]
    database.write(
        partial(
            journal.conclude, decision_id=stop, outcome=Outcome.KILLED, at=AT + MINUTE, receipt=True
        )
    )
    look(database, None, AT + LOOKS[0])
    found = of(database)
    assert (found.stopped, found.ended, found.told) == (1, 1, 1)
    assert found.sentence() == (
        "would have killed 2 on 1 document; 1 of 1 that can be told ended by themselves within a "
        "day; 1 were stopped by this program meanwhile"
    )
    assert (
        Figures(
            rule="r",
            workflows=1,
            documents=1,
            ended=0,
            running=0,
            stopped=0,
            untold=1,
            since=AT,
            until=AT,
        )
        .sentence()
        .endswith("of 1 nobody looked in time")
    )


def test_portals_are_counted_apart_and_together(database: Database) -> None:
    would(database, "a")
    would(database, "b", portal="other")
    assert of(database, portal="main").workflows == 1
    assert of(database).workflows == 2
    assert database.read(partial(would_kills.figures, portal="none")) == {}
    assert database.read(lambda c: would_kills.due(c, "other", AT + DAY))[0].workflow_id == "b"


def test_pruning_takes_the_counts_with_it(database: Database) -> None:
    would(database, "a")
    look(database, None, AT + LOOKS[0])
    would(database, "b", rule="another")
    record(database, NONE)  # the last that is old enough stays
    record(database, kill("open"))
    would(database, "c")
    assert of(database).workflows == 2
    assert pruned(database, before=OLD) is not None
    left = of(database)
    assert (left.workflows, left.documents, left.ended, left.rest) == (1, 1, 0, 1)
    assert list(database.read(would_kills.figures)) == ["lost-deal"]


def test_what_the_version_before_observed_is_counted_and_untold(bare_database_url: str) -> None:
    database = Database(bare_database_url)
    database.open()
    database.write(partial(upgrade.upgrade, to="0001"))
    told = evaluation(
        kill("a", Outcome.WOULD_KILL), kill("b", Outcome.WOULD_KILL), kill("c"), NewDecision()
    )

    def write(tx: Connection) -> None:
        for seq in (101, 102):
            made = told.decisions[: 4 if seq == 101 else 2]  # a stop is open once
            rows = [index_row(told, one, seq, n) for n, one in enumerate(made, start=1)]
            known = {column["name"] for column in inspect(tx).get_columns("decisions")}
            before = [column for column in decisions.c if column.name in known]
            old = Table("decisions", MetaData(), *(Column(c.name, c.type) for c in before))
            tx.execute(
                old.insert(), [{name: row[name] for name in row if name in known} for row in rows]
            )

    database.write(write)
    database.migrate()
    found = of(database)
    assert (found.workflows, found.documents, found.untold, found.rest) == (2, 1, 2, 0)
    assert found.since == AT
    would(database, "d")
    assert of(database).rest == 1
    database.close()
