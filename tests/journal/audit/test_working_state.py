"""Working state is held against the log: what differs is named, and what is as it was is not."""

import json
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import structlog

from responder.journal import approvals, chain, chain_ends, open_stops
from responder.journal import record as journal
from responder.journal.audit import checkpoints
from responder.journal.audit.inspection import Inspection
from responder.journal.upkeep.prune import prune
from responder.model import Outcome
from responder.stop import control
from responder.store import limits
from responder.store.database.columns import micros
from responder.store.database.database import Connection, Database
from responder.store.database.tables import approvals as asked
from responder.store.database.tables import rearms, switches, trips
from tests.support.evaluations import count
from tests.support.rounds import PORTAL, Driving, driving, play
from tests.support.whole_log import erased, run

pytestmark = pytest.mark.portal

RULES = """\
version: 1
defaults: {mode: enforce, limit: {per_hour: 1000, per_document: 100}}
rules:
  - id: lost-deal
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
  - id: won-deal
    mode: approve
    when: [deal.updated]
    if: {deal.stage_semantic_id: S, workflow.template_id: 61}
    then: kill
  - id: open-deal
    when: [deal.updated]
    if: {deal.stage_semantic_id: P, workflow.template_id: 61}
    then: kill
    limit: {per_hour: 0}
  - id: slow-deal
    when: [deal.updated]
    if: {deal.category_id: 9, workflow.template_id: 61}
    wait: 10m
    then: kill
"""
LOST, WON, ANOTHER, OPEN, SLOW, LATE = range(1, 7)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """Play a story with everything in it on a SQLite file; give the file."""
    folder = tmp_path_factory.mktemp("played")
    path = Path(shutil.copy(migrated_file, folder / "responder.db"))
    database = Database(f"sqlite:///{path}")
    database.open()
    tell(database, folder)
    database.close()
    return path


@pytest.fixture
def log(played: Path, tmp_path: Path) -> Iterator[Database]:
    """Give a copy of the played story."""
    database = Database(f"sqlite:///{shutil.copy(played, tmp_path / 'copy.db')}")
    database.open()
    yield database
    database.close()


def tell(database: Database, folder: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    with driving(database, folder, RULES) as there:
        play(there, story)
    structlog.reset_defaults()


def a_deal(there: Driving, number: int, stage: str, category: int = 0) -> None:
    there.sandbox.add_item(2, number, stageSemanticId=stage, categoryId=category)
    there.sandbox.start_workflow(("crm", "CCrmDocumentDeal", f"DEAL_{number}"), 61)


async def story(there: Driving) -> None:
    """Kill, ask, approve, trip, rearm, pause and resume; leave something of each as it is."""
    for number, stage in ((LOST, "F"), (WON, "S"), (ANOTHER, "S"), (OPEN, "P")):
        a_deal(there, number, stage)
    a_deal(there, SLOW, "W", category=9)
    there.deliver([LOST, LOST, WON, ANOTHER])
    await there.until_idle()
    first, _ = (one.decision_id for one in there.database.read(asking))
    control.approve(there.database, [first], by="anna", at=there.now())
    await there.until_idle()
    rearm(there, "lost-deal")
    control.pause(there.database, [PORTAL], by="anna", at=there.now())
    there.deliver([SLOW])
    await there.until_idle()
    control.resume(there.database, [PORTAL], by="anna", at=there.now())
    there.deliver([OPEN, 77])
    there.later(seconds=20)
    await there.until_idle()
    killed = next(one for one in there.decisions() if one["outcome"] == "killed")
    erased(there.database, str(killed["id"]), at=there.now())
    control.pause(there.database, [PORTAL], by="boris", at=there.now())
    there.deliver([LATE])


def asking(conn: Connection) -> list[approvals.PendingApproval]:
    return approvals.pending(conn, [PORTAL])


def rearm(there: Driving, rule: str) -> None:
    control.rearm(there.database, [PORTAL], rule, known=[rule], by="anna", at=there.now())


def differing(database: Database) -> list[str]:
    """Check everything; return what differs, by kind and name. The chains themselves hold."""
    found = database.read(chain_ends.portals)
    inspection = Inspection(database, found)
    checked = [inspection.of(portal) for portal in found]
    assert [one.bad for one in checked] == [None] * len(checked)
    named = [difference for one in checked for difference in one.differs]
    assert sum(one.differing for one in checked) == len(named)
    return [str(difference) for difference in (*named, *inspection.of_all())]


def test_what_the_service_wrote_differs_in_nothing(database: Database, tmp_path: Path) -> None:
    tell(database, tmp_path)
    assert [count(database, of) for of in (asked, rearms, trips, switches)] == [2, 1, 1, 1]
    assert differing(database) == []


TAMPERING = [
    ("DELETE FROM deliveries WHERE id = 2", "deliveries main-1: it concluded 2 deliveries, but 1"),
    ("UPDATE deliveries SET evaluation = NULL WHERE id = 3", "deliveries main-2: it concluded 1 "),
    ("UPDATE deliveries SET evaluation = 'main-1' WHERE id = 8", "deliveries main-1: it concluded"),
    ("UPDATE deliveries SET evaluation = 'main-4' WHERE id = 8", "deliveries main-4: it concluded"),
    ("UPDATE deliveries SET evaluation = 'main-0' WHERE id = 8", "delivery 8: "),
    ("UPDATE deliveries SET evaluation = 'main-99' WHERE id = 8", "delivery 8: its evaluation 99"),
    ("UPDATE deliveries SET evaluation = 'other-1' WHERE id = 8", "delivery 8: it names 'other"),
    ("UPDATE deliveries SET evaluation = 'x' WHERE id = 8", "delivery 8: it names 'x'"),
    ("DELETE FROM rulesets", "ruleset "),
    ("UPDATE decisions SET calls = 2 WHERE seq = 1", "decision main-1-1: no entry records its"),
    ("UPDATE decisions SET calls = 1 WHERE seq = 11", "decision main-11-1: no entry records its"),
    ("UPDATE decisions SET called_at = 5 WHERE seq = 11", "decision main-11-1: no entry records"),
    ("UPDATE decisions SET begun = true WHERE seq = 11", "set main-11: it is marked as begun"),
    ("UPDATE decisions SET begun = true, set_name = NULL WHERE seq = 11", "set None: it is mark"),
    ("UPDATE decisions SET set_name = 'main-1' WHERE seq = 11", "decision main-11-1: no entry"),
    ("UPDATE decisions SET set_name = 'approval 6' WHERE seq = 11", "decision main-11-1: entry 6"),
    ("UPDATE approvals SET approved_at = 5 WHERE seq = 3", "approval main-3-1: no entry records"),
    ("UPDATE approvals SET approved_by = 'alice' WHERE seq = 3", "approval main-3-1: no entry"),
    ("UPDATE approvals SET entry = 6 WHERE seq = 3", "approval main-3-1: no entry records"),
    ("UPDATE approvals SET approved_by = 'alice' WHERE seq = 2", "approval main-2-1: entry 6 says"),
    ("UPDATE approvals SET approved_at = 5 WHERE seq = 2", "approval main-2-1: entry 6 says that"),
    ("UPDATE approvals SET entry = 5 WHERE seq = 2", "approval main-2-1: entry 6 says that anna"),
    ("DELETE FROM approvals WHERE seq = 2", "approval main-2-1: entry 6 says that anna gave it"),
    ("DELETE FROM trips", "trip open-deal: entry 15 records it, but its row is missing"),
    ("UPDATE trips SET why = 'x'", "trip open-deal: entry 15 says otherwise"),
    ("UPDATE trips SET at = at + 1", "trip open-deal: entry 15 says otherwise"),
    ("INSERT INTO trips VALUES ('main', 'lost-deal', 5, 'x')", "trip lost-deal: no entry records"),
    ("DELETE FROM rearms", "rearm lost-deal: entry 9 records it, but its row is missing"),
    ("UPDATE rearms SET seq = 9", "rearm lost-deal: entry 9 says otherwise"),
    ("UPDATE rearms SET at = at + 1", "rearm lost-deal: entry 9 says otherwise"),
    ("INSERT INTO rearms VALUES ('main', 'won-deal', 5, 9)", "rearm won-deal: no entry records"),
    ("DELETE FROM switches", "pause by boris: main-19 records a pause, but nothing is paused"),
    ("UPDATE switches SET by = 'x'", "pause by x: no entry records it"),
    ("UPDATE switches SET at = at + 1", "pause by boris: no entry records it"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "told"), TAMPERING, ids=[each[0] for each in TAMPERING])
def test_what_was_changed_behind_the_logs_back_is_named(
    log: Database, statement: str, told: str
) -> None:
    assert differing(log) == []
    run(log, statement)
    (found,) = differing(log)
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE deliveries SET received_at = 'x' WHERE id = 5", "deliveries after 0: they cannot"),
        ("UPDATE trips SET at = 'x'", "rows of main: the rows beside the log cannot be read"),
        ("UPDATE switches SET at = 'x'", "pause of all portals: it cannot be read any more"),
    ],
)
def test_what_cannot_be_read_is_named(log: Database, statement: str, told: str) -> None:
    run(log, statement)
    (found,) = differing(log)
    assert found.startswith(told)


def test_a_pause_that_nobody_ordered_is_named(log: Database) -> None:
    control.resume(log, ["main"], by="anna", at=log.now())
    assert differing(log) == []
    run(log, "INSERT INTO switches VALUES ('pause', 5, 'nobody')")
    assert differing(log) == ["pause by nobody: no entry records it"]


def test_a_portal_that_came_or_went_during_a_pause_has_no_entry_of_one_of_its_ends(
    log: Database,
) -> None:
    rearm = partial(control.rearm, log, rule="a", known=["a"], by="anna", at=log.now())
    rearm(portals=["came-later"])
    assert differing(log) == []
    control.resume(log, ["came-later"], by="anna", at=log.now())
    assert differing(log) == []
    control.pause(log, ["came-later"], by="carla", at=log.now())
    assert differing(log) == []
    run(log, "DELETE FROM switches")
    assert any(
        found.startswith("pause by carla: came-later-3 records a pause") for found in differing(log)
    )


def test_a_hundred_are_named_and_all_are_counted(log: Database) -> None:
    run(log, *(f"INSERT INTO trips VALUES ('main', '{n}', 5, 'x')" for n in range(120)))  # noqa: S608
    checked = Inspection(log, ["main"]).of("main")
    assert (checked.differing, len(checked.differs)) == (120, 100)


def test_a_log_that_was_pruned_differs_in_nothing_and_hides_nothing(log: Database) -> None:
    now = log.now() + timedelta(days=400)
    end(log)
    control.resume(log, ["main"], by="anna", at=log.now())
    before = log.now() + timedelta(hours=1)
    log.write(lambda tx: prune(tx, "main", before, now))
    base = chain_ends.base_of(log, "main")
    assert isinstance(base, chain_ends.End)
    assert base.seq > 19
    assert differing(log) == []
    run(log, f"UPDATE deliveries SET received_at = {micros(now)}, evaluation = 'main-1'")  # noqa: S608
    (found,) = differing(log)
    assert found == "delivery 8: it is younger than its evaluation main-1, now pruned"


def test_a_rule_that_is_rearmed_while_it_trips_is_not_tripped(postgres_url: str) -> None:
    """Who rearms waits for whoever trips: else the row would stay, and the log say otherwise."""
    database, other = Database(postgres_url), Database(postgres_url)
    database.open()
    other.open()
    at = database.now()
    rearming = partial(control.rearm, other, ["main"], "a", known=["a"], by="anna", at=at)
    thread = threading.Thread(target=rearming)

    def trip(tx: Connection) -> None:
        chain.lock(tx, "main")
        thread.start()
        thread.join(0.5)
        limits.trip(tx, "main", "a", at, "too much")
        journal.control(tx, "main", at, {"control": "trip", "rule": "a", "why": "too much"})

    database.write(trip)
    thread.join()
    assert database.read(limits.tripped) == []
    assert differing(database) == []
    database.close()
    other.close()


def test_an_older_copy_is_found_by_a_checkpoint_alone(log: Database, tmp_path: Path) -> None:
    assert log.path is not None
    before = Path(shutil.copy(log.path, tmp_path / "before.db"))
    control.resume(log, ["main"], by="anna", at=log.now())
    marks = checkpoints.marks([json.dumps(log.read(partial(checkpoints.checkpoint, at=log.now())))])
    restored = Database(f"sqlite:///{before}")
    restored.open()
    assert differing(restored) == []
    found = Inspection(restored, ["main"]).of("main", marks["main"])
    restored.close()
    assert found.bad == chain_ends.BadEntry(
        20, "the chain was cut off: a checkpoint has entries up to 20"
    )


def end(database: Database) -> None:
    """Conclude what is open."""
    stops = database.read(lambda conn: open_stops.open_stops(conn, "main"))

    def write(tx: Connection) -> None:
        for stop in stops:
            journal.conclude(tx, stop.decision_id, Outcome.CANCELLED, at=database.now())

    database.write(write)
