"""Pruning: a prefix goes, and the rest still proves itself.

The last entry that is old enough stays, and proves that what stood before it was as old.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.reading import decisions as log
from responder.journal.upkeep.prune import Pruned, capped, concluded_by, prune, record_pruned
from responder.model import Outcome
from responder.store.database.database import Database
from responder.store.database.tables import decisions, deliveries, entries, evidence
from responder.store.inbox import inbox
from tests.support.evaluations import (
    AT,
    LATER,
    MUCH_LATER,
    NONE,
    count,
    deliver,
    evaluation,
    kill,
    record,
)
from tests.support.whole_log import NOW, OLD, A, B, erased, fill, pruned, run, settle

DAY = timedelta(days=1)


def test_pruning_removes_a_prefix_and_the_rest_still_proves_itself(database: Database) -> None:
    fill(database)
    settle(database)
    other = verify(database, "other")
    assert pruned(database, most=4) == Pruned(4, 4, more=True)
    found = verify(database, "main")
    assert (found.bad, found.pruned, found.entries) == (None, 4, 8)
    assert pruned(database) == Pruned(10, 6, more=False)
    found = verify(database, "main")
    assert (found.bad, found.pruned, found.entries) == (None, 10, 3)
    assert found.kept_days == (NOW - OLD).days
    assert verify(database, "other") == other
    assert count(database, evidence) == 6
    assert len(list(log.decisions(database))) == 5


def test_pruning_takes_the_deliveries_that_were_concluded(database: Database) -> None:
    ids = database.write(deliver("deal:759", "deal:760", "deal:761"))
    new = replace(evaluation(NONE), deliveries=tuple(ids[:2]), received_at=AT)
    database.write(lambda tx: journal.record(tx, new))
    record(database, NONE)
    newer = replace(evaluation(NONE), at=NOW, deliveries=(), received_at=None)
    database.write(lambda tx: journal.record(tx, newer))
    assert pruned(database) == Pruned(1, 1, more=False)
    left = database.read(lambda c: list(c.execute(select(deliveries.c.document)).scalars()))
    assert left == ["deal:761"]


def test_pruning_stops_before_what_is_young(database: Database) -> None:
    fill(database)
    settle(database)
    assert pruned(database, before=LATER) == Pruned(2, 2, more=False)
    assert pruned(database, before=LATER) is None
    assert verify(database, "main").pruned == 2


def test_pruning_stops_before_the_oldest_open_decision(database: Database) -> None:
    record(database, NONE)
    record(database, NONE)
    open_one = record(database, kill(B)).decisions[0]
    record(database, NONE)
    assert pruned(database) == Pruned(1, 1, more=False)
    assert pruned(database) is None
    database.write(
        lambda tx: journal.conclude(
            tx, open_one, Outcome.KILLED, at=MUCH_LATER, receipt=True, verify_at=NOW
        )
    )
    assert pruned(database) is None  # it is not verified yet
    database.write(lambda tx: journal.verified(tx, open_one, MUCH_LATER))
    assert pruned(database) is not None
    assert verify(database, "main").bad is None
    assert count(database, decisions) == 1


def test_what_is_said_later_of_a_pruned_decision_is_kept(database: Database) -> None:
    decision = record(database, kill(A)).decisions[0]
    record(database, NONE)
    database.write(lambda tx: journal.conclude(tx, decision, Outcome.CANCELLED, at=NOW))
    assert pruned(database) == Pruned(1, 1, more=False)
    found = verify(database, "main")
    assert (found.bad, found.pruned, found.entries) == (None, 1, 3)


def test_markers_alone_are_not_pruned_for_ever(database: Database) -> None:
    record(database, NONE)
    record(database, NONE)
    assert pruned(database) == Pruned(1, 1, more=False)
    assert pruned(database, before=NOW + DAY, at=NOW + 2 * DAY) == Pruned(2, 1, more=False)
    assert pruned(database, before=NOW + 3 * DAY, at=NOW + 4 * DAY) is None
    record(database, NONE)
    assert pruned(database, before=NOW + 3 * DAY, at=NOW + 4 * DAY) is None
    record(database, NONE)
    assert pruned(database, before=NOW + 3 * DAY, at=NOW + 4 * DAY) == Pruned(5, 3, more=False)
    assert verify(database, "main").bad is None


def test_a_whole_log_is_pruned_step_by_step(database: Database) -> None:
    def write(tx: Connection) -> None:
        for _ in range(90):
            journal.record(tx, evaluation(NONE, NONE))

    database.write(write)
    while (step := pruned(database, most=40)) is not None and step.more:
        assert verify(database, "main").bad is None
    found = verify(database, "main")
    assert (found.bad, found.entries) == (None, 4)  # the last, and a marker of each step
    record(database, NONE)
    assert verify(database, "main").bad is None


def test_a_check_beside_a_service_that_writes_prunes_and_erases_finds_nothing(
    database: Database,
) -> None:
    def write(tx: Connection) -> None:
        for _ in range(30):
            journal.record(tx, evaluation(NONE))

    def serve() -> None:
        for n in range(1, 7):
            database.write(write)
            pruned(database, AT + n * 10 * DAY, AT + (n * 10 + 9) * DAY, most=25)
            erased(database, f"main-{n * 30}-1")

    database.write(write)
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve)
        while not served.done():
            assert verify(database, "main").bad is None
        served.result()
    assert verify(database, "main").pruned == 150


PRUNED_TAMPERING = [
    ("DELETE FROM entries WHERE seq = 5", 5),
    ("DELETE FROM entries WHERE seq < 7", 5),
    ("UPDATE entries SET hash = 'x' WHERE seq = 5", 5),
    (
        "UPDATE entries SET body = replace(body, '\"through\":4', '\"through\":5') WHERE seq = 12",
        12,
    ),
    ("UPDATE entries SET kind = 'control' WHERE seq = 12", 1),
    ("INSERT INTO entries VALUES ('main', 4, 'control', 0, '{}', 'x')", 4),
    ("INSERT INTO entries VALUES ('main', 1, 'control', 0, '{}', 'x')", 1),
    ("INSERT INTO evidence VALUES ('main', 3, 'x', '{}')", 3),
]


@pytest.mark.parametrize(
    ("statement", "seq"), PRUNED_TAMPERING, ids=[each[0] for each in PRUNED_TAMPERING]
)
def test_tampering_with_a_pruned_chain_is_found(
    tmp_path: Path, migrated_file: Path, statement: str, seq: int
) -> None:
    path = shutil.copy(migrated_file, tmp_path / "pruned.db")
    database = Database(f"sqlite:///{path}")
    database.open()
    fill(database)
    settle(database)
    assert pruned(database, most=4)
    run(database, statement + ("" if "INSERT" in statement else " AND portal = 'main'"))
    bad = verify(database, "main").bad
    assert bad is not None
    assert bad.seq == seq
    assert verify(database, "other").bad is None
    database.close()


def written_at(database: Database) -> list[datetime]:
    """Return when the entries of what people did were written."""
    query = select(entries.c.at).where(entries.c.kind == "control").order_by(entries.c.seq)
    return list(database.read(lambda conn: conn.execute(query).scalars().all()))


def test_a_clock_that_is_far_ahead_takes_a_days_worth_and_no_more(database: Database) -> None:
    def act(tx: Connection) -> None:
        for hours in range(0, 240, 12):
            body = {"control": "pause", "by": "me"}
            journal.control(tx, "main", AT + timedelta(hours=hours), body)

    database.write(act)
    ahead = AT + timedelta(days=1000)
    for hours in (24, 48):
        before = database.read(lambda conn: capped(conn, "main", ahead))
        assert before == AT + timedelta(hours=hours)
        database.write(partial(prune, portal="main", before=before, at=ahead))
        assert written_at(database)[0] == AT + timedelta(hours=hours - 12)  # one that proves it
        database.write(partial(record_pruned, portal="main", before=before))
    assert database.read(lambda conn: capped(conn, "main", AT)) == AT
    assert database.read(lambda conn: capped(conn, "empty", ahead)) == ahead


def test_forms_are_found_although_a_clock_was_set_between_receiving_and_judging(
    database: Database,
) -> None:
    received_at = AT + timedelta(days=2)
    row = inbox.row("main", received_at, "event", "ONCRMDEALUPDATE", "deal:759", None, b"x=1")
    database.write(lambda tx: inbox.add(tx, [row]))
    (waiting,) = database.read(lambda conn: inbox.waiting(conn, "main", documents=1))
    told = replace(evaluation(kill("a")), deliveries=waiting.ids, received_at=received_at)
    recorded = database.write(lambda tx: journal.record(tx, told))
    place = int(recorded.evaluation.rpartition("-")[2])

    def find(conn: Connection) -> list[int]:
        found = select(deliveries.c.id).where(concluded_by(conn, "main", [place]))
        return list(conn.execute(found).scalars())

    assert database.read(find) == list(waiting.ids)
