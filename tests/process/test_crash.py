"""The real program killed with SIGKILL: nothing acknowledged is lost, and nothing is killed twice.

Killed at chosen moments, which the portal brings about (it is asked and does not answer), and at
random ones under load. `pytest -m long` kills it two hundred times on each database.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.judge.stop_lifecycle import TRIES
from tests.support import under_load
from tests.support.processes import Decision, Running, event, eventually, running
from tests.support.siege import Left, Siege, besiege, not_intended
from tests.support.under_load import (
    DEAL,
    KILL,
    OPEN_DEALS,
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


def test_killed_at_random_it_kills_no_more_than_a_limit_lets(
    tmp_path: Path, database_url: str
) -> None:
    siege_with_a_limit(tmp_path, database_url, kills=3, per_hour=20)


@pytest.mark.long
def test_killed_two_hundred_times_under_load_it_loses_nothing_and_kills_nothing_twice(
    tmp_path: Path, database_url: str
) -> None:
    siege(tmp_path, database_url, kills=200)


def siege(place: Path, database_url: str, *, kills: int) -> None:
    """Kill the program again and again under load, let it finish, and check everything."""
    found = besieged(place, database_url, kills=kills)
    every_acknowledged_event_is_concluded(found.left, found.load)
    everything_condemned_is_killed_once(found.left, found.load, found.sandbox)
    assert found.killed_again == []
    assert not_intended(found.left, found.sandbox) == []
    assert found.wrong == []


def siege_with_a_limit(place: Path, database_url: str, *, kills: int, per_hour: int) -> None:
    """Do it where the rule may kill so many; more are condemned."""
    found = besieged(place, database_url, kills=kills, per_hour=per_hour)
    assert len(found.load.condemned) > per_hour
    assert 0 < len(found.sandbox.killed) <= per_hour
    assert "held" in {one["outcome"] for one in found.left.decisions}
    every_acknowledged_event_is_concluded(found.left, found.load)
    assert found.killed_again == []
    assert not_intended(found.left, found.sandbox) == []
    assert found.wrong == []


def besieged(place: Path, database_url: str, *, kills: int, per_hour: int | None = None) -> Siege:
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201 - a failure shows it
    found = besiege(place, database_url, kills=kills, seed=seed, per_hour=per_hour)
    print(found)  # noqa: T201
    return found


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
