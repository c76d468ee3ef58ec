"""What is measured from time to time: the database as all replicas see it, and what is ours."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from responder.adapters.metrics import Metrics
from responder.journal import approvals
from responder.journal.notices import outbox
from responder.judge.rules_in_force import RulesInForce
from responder.model import Mode, Outcome
from responder.service.alarms import reading
from responder.service.alarms.known import Here
from responder.service.gauges import Gauges
from responder.store import limits, sweep_runs
from responder.store.database.database import Connection, Database
from responder.store.inbox import refusals
from tests.service.pages.visiting import settings
from tests.support.evaluations import AT, LATER, deliver, kill, record
from tests.support.listener import Listener
from tests.support.notified import World, conclude
from tests.support.processes import eventually

SWEPT = """\
version: 1
rules:
  - {id: lost-deal, when: [deal.updated], if: {workflow.id: a}, then: kill, portals: [main, other]}
"""
NOT_SWEPT = SWEPT.replace("lost-deal", "other-rule").replace("updated", "added")


class Measuring:
    """Gauges of a process that drives one of two portals."""

    def __init__(
        self,
        database: Database,
        place: Path,
        *,
        sweeps: bool = True,
        driving: Callable[[], list[str]] = lambda: ["main"],
    ) -> None:
        self.path = place / "rules.yaml"
        self.path.write_text(SWEPT)
        self.rules = RulesInForce(self.path, portals=["main", "other"], now=lambda: AT)
        self.metrics = Metrics()
        self.here = Here()
        given = settings(place, "main", "other")
        self.gauges = Gauges(
            self.metrics,
            database=database,
            rules=self.rules,
            known=lambda conn: reading.known(conn, given, self.here, LATER),
            portals=["main", "other"],
            driving=driving,
            sweeps=sweeps,
            now=lambda: LATER,
        )

    def look(self) -> dict[str, float]:
        """Measure, and return every sample of ours by its name and labels."""
        asyncio.run(self.gauges.once())
        text = self.metrics.render().decode()
        found = re.findall(r"^(responder_\S+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}


def test_what_is_in_the_database_is_measured(database: Database, tmp_path: Path) -> None:
    measuring = Measuring(database, tmp_path)
    conclude(database, Outcome.KILLED)
    database.write(deliver("deal:1", "deal:2"))
    trip = partial(limits.trip, portal="main", rule="gone-rule", at=AT, why="8 at once")
    database.write(trip)
    database.write(partial(limits.pause, at=AT, by="anna"))
    database.write(lambda tx: sweep_runs.record_run(tx, "main", "sweep", AT))
    seen = measuring.look()
    assert seen["responder_inbox_waiting"] == 2
    assert seen["responder_inbox_oldest_age_seconds"] == 10
    assert seen['responder_chain_sequence{portal="main"}'] == 3
    assert seen['responder_chain_sequence{portal="other"}'] == 0
    assert seen['responder_driving{portal="main"}'] == 1
    assert seen['responder_driving{portal="other"}'] == 0
    assert seen["responder_paused"] == 1
    assert seen["responder_store_available"] == 1
    assert seen['responder_rule_tripped{rule="lost-deal"}'] == 0
    assert seen['responder_rule_tripped{rule="gone-rule"}'] == 1
    last = 'responder_last_sweep_timestamp_seconds{portal="main"}'
    assert abs(seen[last] - AT.timestamp()) < 0.001
    database.write(lambda tx: limits.resume(tx, LATER))
    assert measuring.look()["responder_paused"] == 0


def test_the_rules_in_force_are_told_and_those_that_vanished_are_forgotten(
    database: Database, tmp_path: Path
) -> None:
    measuring = Measuring(database, tmp_path)
    first = measuring.rules.ruleset.revision
    measuring.metrics.decided("kill", "killed", "lost-deal")
    seen = measuring.look()
    assert seen[f'responder_ruleset_info{{revision="{first}"}}'] == 1
    assert seen["responder_rules_loaded_timestamp_seconds"] == AT.timestamp()
    assert seen['responder_rule_decisions_total{outcome="killed",rule="lost-deal"}'] == 1
    measuring.path.write_text(NOT_SWEPT)
    measuring.rules.reload(at_once=True)
    seen = measuring.look()
    revisions = [name for name in seen if name.startswith("responder_ruleset_info")]
    assert revisions == [f'responder_ruleset_info{{revision="{measuring.rules.ruleset.revision}"}}']
    assert not [name for name in seen if "lost-deal" in name]
    assert 'responder_rule_tripped{rule="other-rule"}' in seen
    measuring.path.write_text("version: 2\n")
    measuring.rules.reload(at_once=True)
    assert measuring.look()["responder_rules_load_failed"] == 1


def test_the_last_sweep_is_told_only_where_one_is_expected(
    database: Database, tmp_path: Path
) -> None:
    database.write(lambda tx: sweep_runs.record_run(tx, "main", "sweep", AT))
    last = 'responder_last_sweep_timestamp_seconds{portal="main"}'
    assert last not in Measuring(database, tmp_path, sweeps=False).look()
    measuring = Measuring(database, tmp_path)
    assert last in measuring.look()
    measuring.path.write_text(NOT_SWEPT)
    measuring.rules.reload(at_once=True)
    assert last not in measuring.look()


@pytest.mark.portal
def test_notifications_that_wait_are_counted(database: Database, tmp_path: Path) -> None:
    measuring = Measuring(database, tmp_path)
    with Listener() as listener:
        world = World(database, listener.url)
        conclude(database, Outcome.KILLED)

        def keep(tx: Connection) -> None:
            new, through = outbox.read_notices(tx, "main", 0, 3)
            outbox.add(tx, new, "main", through, LATER)

        database.write(keep)
        assert measuring.look()["responder_notifications_waiting"] == 1
        world.go()
    assert measuring.look()["responder_notifications_waiting"] == 0


def test_a_store_that_is_away_is_told_and_ends_nothing(database: Database, tmp_path: Path) -> None:
    measuring = Measuring(database, tmp_path)
    measuring.look()
    database.close()
    assert measuring.look()["responder_store_available"] == 0
    database.open()
    assert measuring.look()["responder_store_available"] == 1


def test_a_fault_in_measuring_does_not_end_it(database: Database, tmp_path: Path) -> None:
    faults = [ZeroDivisionError()]

    def driving() -> list[str]:
        if faults:
            raise faults.pop()
        return []

    measuring = Measuring(database, tmp_path, driving=driving)

    async def run() -> None:
        running = asyncio.create_task(measuring.gauges.run())
        await asyncio.to_thread(eventually, lambda: lines or None)
        assert not running.done()
        running.cancel()

    with capture_logs() as lines:
        asyncio.run(run())
    assert lines[0]["event"] == "measuring failed"
    assert "responder_paused" in measuring.look()


def test_a_quiet_inbox_has_no_age(database: Database, tmp_path: Path) -> None:
    assert Measuring(database, tmp_path).look()["responder_inbox_oldest_age_seconds"] == 0


def test_what_waits_to_be_approved_is_counted(database: Database, tmp_path: Path) -> None:
    (name,) = record(database, replace(kill(), mode=Mode.APPROVE)).decisions
    database.write(lambda tx: approvals.ask(tx, name, LATER, AT))
    seen = Measuring(database, tmp_path).look()
    assert seen['responder_waiting_for_approval{portal="main"}'] == 1
    assert seen['responder_waiting_for_approval{portal="other"}'] == 0


def test_alarms_that_stand_are_counted_and_those_that_are_over_are_not(
    database: Database, tmp_path: Path
) -> None:
    measuring = Measuring(database, tmp_path)
    for rule in ("lost-deal", "won-deal"):
        database.write(partial(limits.trip, portal="main", rule=rule, at=AT, why="8 at once"))
    wrong = {("", "not readable"): 9}
    database.write(partial(refusals.note, counts=wrong, at=AT))
    measuring.here = Here(rules_error="rules.yaml:1:1: no")
    alarms = {name: value for name, value in measuring.look().items() if "_alarm{" in name}
    assert alarms == {
        'responder_alarm{kind="rule_tripped",portal="main",severity="needs_you"}': 2,
        'responder_alarm{kind="rules_broken",portal="",severity="needs_you"}': 1,
    }
    measuring.here = Here(silent={"main": True})
    database.write(deliver("deal:1"))
    assert measuring.look()['responder_webhook_silent{portal="main"}'] == 1
    database.close()
    seen = measuring.look()
    database.open()
    away = 'responder_alarm{kind="database_away",portal="",severity="needs_you"}'
    assert [name for name in seen if "_alarm{" in name] == [away]
