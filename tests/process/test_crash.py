"""The real program killed with SIGKILL: nothing acknowledged is lost, and nothing is killed twice.

Killed at chosen moments, which the portal brings about (it is asked and does not answer), and at
random ones under load. `pytest -m long` kills it two hundred times on each database.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from responder.bitrix24 import payload
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.journal.reading import decisions as log
from responder.judge.stop_lifecycle import TRIES
from responder.store.database.database import Database
from responder.store.database.tables import entries
from responder.store.inbox import inbox
from tests.support import under_load
from tests.support.processes import Decision, Running, event, eventually, running
from tests.support.under_load import (
    DEAL,
    KILL,
    OPEN_DEALS,
    QUICK,
    Crashes,
    Load,
    kills_asked_for,
    workflow_id,
)

CONDEMNED = "65e5a449e8f135.00000001"


def _often_on(kind: str) -> pytest.MarkDecorator:
    """Run a test on this kind of database, and at length on the other."""
    kinds = ("sqlite", "postgresql")
    params = [pytest.param(one, marks=() if one == kind else pytest.mark.long) for one in kinds]
    return pytest.mark.parametrize("database_url", params, indirect=True)


ON_SQLITE, ON_POSTGRESQL = _often_on("sqlite"), _often_on("postgresql")


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    """Serve a portal with one lost deal, on which a condemned workflow runs."""
    sandbox = Sandbox()
    sandbox.add_item(2, 759, stageSemanticId="F")
    sandbox.start_workflow((*DEAL, "DEAL_759"), 61, id=CONDEMNED)
    with SandboxServer(sandbox) as server:
        yield server


@ON_SQLITE
def test_a_crash_before_anything_is_read_loses_no_event(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    portal.sandbox.fail_next("*", "hang")
    with running(tmp_path, portal.url, database_url=database_url) as service:
        crashes = Crashes(service)
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: portal.sandbox.calls or None)
        crashes.crash()
        service.start()
        (decision,) = service.settled(1)
        check_chain(crashes, service)
    assert (decision["outcome"], decision["receipt"], decision["events"]) == ("killed", True, 1)
    assert kills_asked_for(portal.sandbox) == [CONDEMNED]


@ON_POSTGRESQL
def test_a_kill_that_was_carried_out_before_the_crash_is_not_asked_for_again(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    portal.sandbox.fail_next(KILL, "act_then_hang")
    with running(tmp_path, portal.url, database_url=database_url) as service:
        crashes = Crashes(service)
        service.post(event("ONCRMDEALUPDATE", 759))
        eventually(lambda: portal.sandbox.killed or None)
        crashes.crash()
        service.start()
        (decision,) = service.settled(1)
        check_chain(crashes, service)
    assert (decision["outcome"], decision["receipt"]) == ("killed", False)
    assert kills_asked_for(portal.sandbox) == portal.sandbox.killed == [CONDEMNED]


def crash_while_the_portal_has_not_killed(
    portal: SandboxServer, crashes: Crashes, service: Running
) -> None:
    """Crash in the middle of a kill call; the next driver sees the workflow and waits."""
    portal.sandbox.fail_next(KILL, "hang")
    service.post(event("ONCRMDEALUPDATE", 759))
    eventually(lambda: kills_asked_for(portal.sandbox) or None)
    crashes.crash()
    service.start()
    eventually(lambda: _may_be_under_way(service.decisions()), why=lambda: under_load.tail(service))
    assert kills_asked_for(portal.sandbox) == [CONDEMNED]
    crashes.crash(seconds=76)


def _may_be_under_way(made: list[Decision]) -> bool | None:
    return any("may still be under way" in str(one["detail"]) for one in made) or None


@ON_SQLITE
def test_a_kill_that_takes_effect_after_the_crash_is_not_asked_for_again(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    with running(tmp_path, portal.url, database_url=database_url) as service:
        crashes = Crashes(service)
        crash_while_the_portal_has_not_killed(portal, crashes, service)
        portal.sandbox.end_workflow(CONDEMNED)  # the portal did what it was asked, only late
        service.start()
        (decision,) = service.settled(1)
        check_chain(crashes, service)
    assert (decision["outcome"], decision["receipt"]) == ("killed", False)
    assert kills_asked_for(portal.sandbox) == [CONDEMNED]


@ON_POSTGRESQL
def test_a_kill_that_came_to_nothing_is_asked_for_again_after_the_portals_minute(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    with running(tmp_path, portal.url, database_url=database_url) as service:
        crashes = Crashes(service)
        crash_while_the_portal_has_not_killed(portal, crashes, service)
        service.start()
        (decision,) = service.settled(1)
        check_chain(crashes, service)
    assert (decision["outcome"], decision["receipt"]) == ("killed", True)
    assert kills_asked_for(portal.sandbox) == [CONDEMNED, CONDEMNED]
    assert portal.sandbox.killed == [CONDEMNED]


@ON_SQLITE
def test_a_crash_after_the_outcome_leaves_the_verification_to_the_next_driver(
    portal: SandboxServer, tmp_path: Path, database_url: str
) -> None:
    with running(tmp_path, portal.url, database_url=database_url) as service:
        crashes = Crashes(service)
        service.post(event("ONCRMDEALUPDATE", 759))
        (before,) = service.settled(1)
        crashes.crash()
        service.start()
        (after,) = eventually(
            lambda: [one for one in service.decisions() if one["verified_at"]] or None
        )
        check_chain(crashes, service)
    assert before["verified_at"] is None
    assert after == before | {"verified_at": after["verified_at"]}
    assert kills_asked_for(portal.sandbox) == [CONDEMNED]


def check_chain(crashes: Crashes, service: Running) -> None:
    """Assert that the log holds against itself."""
    crashes.put_back()
    with under_load.opened(service) as database:
        assert check_log(database)[1] == []


def test_killed_at_random_under_load_it_loses_nothing_and_kills_nothing_twice(
    tmp_path: Path, database_url: str
) -> None:
    siege(tmp_path, database_url, kills=3)


@pytest.mark.long
def test_killed_two_hundred_times_under_load_it_loses_nothing_and_kills_nothing_twice(
    tmp_path: Path, database_url: str
) -> None:
    siege(tmp_path, database_url, kills=200)


def siege(place: Path, database_url: str, *, kills: int) -> None:
    """Kill the program again and again under load, let it finish, and check everything."""
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201 - a failure shows it
    sandbox, calls = under_load.portal_with_deals()
    with (
        SandboxServer(sandbox) as server,
        running(
            place, server.url, rules=under_load.RULES, database_url=database_url, **QUICK
        ) as service,
    ):
        load = Load(service, sandbox, pause_seconds=0.002)
        with load.under_way():
            chance = random.Random(seed)  # noqa: S311
            crashes = Crashes(service)
            under_load.kill_again_and_again(crashes, service, sandbox, kills=kills, chance=chance)
        under_load.settle(service, seconds=60)
        crashes.put_back()
        with under_load.opened(service) as database:
            left = what_is_left(database)
            wrong = check_log(database)[1]
    print(summary(left, load, sandbox))  # noqa: T201
    every_acknowledged_event_is_concluded(left, load)
    everything_condemned_is_killed_once(left, load, sandbox)
    assert calls.too_late == [], "a kill was asked for again after it had taken effect"
    every_call_was_intended(left, sandbox)
    assert wrong == []


@dataclass(frozen=True, slots=True)
class Left:
    """What stands in the database in the end: deliveries by their number, decisions, intents."""

    evaluations: dict[int, str | None]
    stored: int
    decisions: list[Decision]
    intents: dict[str, list[datetime]]


def what_is_left(database: Database) -> Left:
    """Read everything."""
    evaluations: dict[int, str | None] = {}
    stored = 0
    for delivery in inbox.received(database):
        number = payload.event(delivery.form)["ts"]
        assert isinstance(number, str)
        evaluations[int(number)] = delivery.evaluation
        stored += 1
    intents: dict[str, list[datetime]] = {}
    query = select(entries.c.body, entries.c.at).where(entries.c.kind == "intent")
    for body, at in database.read(lambda conn: conn.execute(query.order_by(entries.c.seq)).all()):
        intents.setdefault(json.loads(body)["workflow_id"], []).append(at)
    return Left(evaluations, stored, list(log.decisions(database)), intents)


def summary(left: Left, load: Load, sandbox: Sandbox) -> str:
    """Say how much was under way, and how often a crash left a call in doubt."""
    unseen = sum(one["receipt"] is False for one in left.decisions)
    again = sum(len(times) - 1 for times in left.intents.values())
    return (
        f"{len(load.acknowledged)} acknowledged, {len(load.unanswered)} cut off, "
        f"{len(sandbox.killed)} killed: {unseen} without a receipt, {again} intended again"
    )


def every_acknowledged_event_is_concluded(left: Left, load: Load) -> None:
    """Assert that each is stored once, and that the evaluations account for all that is stored.

    What was cut off before its answer may be stored or not; it counts where it is.
    """
    assert load.acknowledged, "nothing was acknowledged: no load"
    assert load.acknowledged <= set(left.evaluations)
    assert set(left.evaluations) <= load.acknowledged | load.unanswered
    assert left.stored == len(left.evaluations), "an event was stored twice"
    events = {str(one["evaluation"]): one["events"] for one in left.decisions}
    concluded = Counter(str(evaluation) for evaluation in left.evaluations.values())
    assert concluded == {name: count for name, count in events.items() if count}


def everything_condemned_is_killed_once(left: Left, load: Load, sandbox: Sandbox) -> None:
    """Assert that each stored event's workflow was killed, once, and nothing else was.

    A stop may have been given up after five calls without effect; a later event's then killed it.
    """
    killed = set(sandbox.killed)
    assert len(sandbox.killed) == len(killed), "a workflow was killed twice"
    assert {workflow_id(n) for n in load.condemned & set(left.evaluations)} <= killed
    assert killed <= {workflow_id(n) for n in load.condemned}
    innocent = [row for row in sandbox.workflows.values() if row["TEMPLATE_ID"] == "7"]
    assert len(innocent) == len(under_load.LOST_DEALS)
    opened = {f"DEAL_{item_id}" for item_id in OPEN_DEALS}
    assert opened <= {str(row["DOCUMENT_ID"]) for row in sandbox.workflows.values()}
    outcomes = Counter(_workflow(one) for one in left.decisions if one["outcome"] == "killed")
    assert outcomes == Counter(sandbox.killed)
    rest = [one for one in left.decisions if one["action"] == "kill" and one["outcome"] != "killed"]
    for one in rest:  # crashes that came between an intent and its effect time and again
        assert one["outcome"] == "gave_up"
        assert len(left.intents[str(_workflow(one))]) >= TRIES


def _workflow(decision: Decision) -> object:
    workflow = decision["workflow"]
    assert isinstance(workflow, dict)
    return workflow["id"]


def every_call_was_intended(left: Left, sandbox: Sandbox) -> None:
    """Assert that before each call its own intent was committed."""
    calls: dict[str, list[datetime]] = {}
    for call in sandbox.calls_of(KILL):
        at = datetime.fromtimestamp(call.at, UTC)
        calls.setdefault(str(call.params["ID"]), []).append(at)
    assert set(sandbox.killed) <= set(calls)
    for called, times in calls.items():
        intended = left.intents.get(called, [])
        for count, at in enumerate(times, start=1):  # a crash can leave an intent without a call
            before = sum(intent <= at for intent in intended)
            assert before >= count, f"{called} was called before its intent"
