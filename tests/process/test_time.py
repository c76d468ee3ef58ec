"""What time does, on the whole program: the sweep, schedules, waiting, hours, keeping one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.replicas.cluster import StrikingCalls
from tests.support.processes import HURRIED, Decision, Running, event, eventually, running

DEAL = ("crm", "CCrmDocumentDeal")


@pytest.fixture
def on_premise() -> Iterator[SandboxServer]:
    """Serve a portal on which any number of workflows may run on one deal."""
    with SandboxServer(Sandbox(kind="on_premise")) as server:
        yield server


def rule(**keys: str) -> str:
    """Write a rules file with one enforced rule on lost deals."""
    given = {
        "id": "the-rule",
        "mode": "enforce",
        "when": "[deal.updated]",
        "if": "{deal.stage_semantic_id: F, workflow.template_id: 61}",
        "then": "kill",
        **keys,
    }
    lines = "\n".join(f"    {key}: {value}" for key, value in given.items())
    return f"version: 1\nrules:\n  -\n{lines}\n"


def lost_deal(sandbox: Sandbox, item_id: int, **workflow: object) -> str:
    sandbox.add_item(2, item_id, stageSemanticId="F", categoryId=0)
    return sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61, **workflow)  # type: ignore[arg-type]


def with_outcome(
    service: Running, outcome: str, count: int = 1, seconds: float = 20
) -> list[Decision]:
    def look() -> list[Decision] | None:
        found = [d for d in service.decisions() if d["outcome"] == outcome]
        return found if len(found) >= count else None

    return eventually(look, seconds=seconds, why=lambda: json.dumps(service.decisions()))


def test_a_lost_event_is_made_up_for_by_the_sweep(portal: SandboxServer, tmp_path: Path) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    innocent = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 7)
    with running(tmp_path, portal.url, rules=rule(), RESPONDER_SWEEP_EVERY="2s") as service:
        (killed,) = with_outcome(service, "killed")
        assert killed["trigger"] == "sweep"
        assert killed["events"] == 0
        metrics = service.get("/metrics")[1].decode()
        assert "responder_found_by_sweep_total 1.0" in metrics
    assert portal.sandbox.killed == [condemned]
    assert innocent in portal.sandbox.workflows


def test_a_schedule_fires_and_a_restart_does_not_fire_it_twice(
    portal: SandboxServer, tmp_path: Path
) -> None:
    old = lost_deal(portal.sandbox, 759, started=datetime.now(UTC) - timedelta(days=31))
    young = lost_deal(portal.sandbox, 760)
    given = rule(
        **{"when": "[{every: 2s}]", "if": "{workflow.template_id: 61, workflow.age: {over: 30d}}"}
    )
    with running(tmp_path, portal.url, rules=given) as service:
        (killed,) = with_outcome(service, "killed")
        assert killed["trigger"] == "schedule"
        service.end()
        service.start()
    assert portal.sandbox.killed == [old]
    assert young in portal.sandbox.workflows


def test_wait_acts_only_if_all_of_it_still_holds(portal: SandboxServer, tmp_path: Path) -> None:
    kept, condemned = lost_deal(portal.sandbox, 759), lost_deal(portal.sandbox, 760)
    with running(tmp_path, portal.url, rules=rule(wait="30s"), program=HURRIED) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "waiting", 2)
        assert portal.sandbox.killed == []
        shown = service.command("decisions", "--json", "--outcome", "waiting").stdout
        assert len(shown.splitlines()) == 2
        service.end()
        service.start()
        portal.sandbox.items[2, 759]["stageSemanticId"] = "P"
        service.post(event("ONCRMDEALUPDATE", 759))
        service.pass_a_minute()
        (cleared,) = with_outcome(service, "cleared")
        assert cleared["document"] == [*DEAL, "DEAL_759"]
        with_outcome(service, "killed")
    assert portal.sandbox.killed == [condemned]
    assert kept in portal.sandbox.workflows


def test_in_observe_mode_waiting_is_the_same_up_to_the_call(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    lost_deal(portal.sandbox, 760)
    given = rule(wait="30s")
    with running(
        tmp_path, portal.url, rules=given, program=HURRIED, RESPONDER_MODE="observe"
    ) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "waiting", 2)
        portal.sandbox.items[2, 759]["stageSemanticId"] = "P"
        service.pass_a_minute()
        with_outcome(service, "cleared")
        with_outcome(service, "would_kill")
    assert portal.sandbox.killed == []


def test_a_waiting_decision_can_be_cancelled(portal: SandboxServer, tmp_path: Path) -> None:
    lost_deal(portal.sandbox, 759)
    with running(tmp_path, portal.url, rules=rule(wait="3s")) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (waiting,) = with_outcome(service, "waiting")
        assert service.command("cancel", str(waiting["id"])).returncode == 0
        (cancelled,) = with_outcome(service, "cancelled")
        assert "cancelled by" in str(cancelled["detail"])
        assert service.command("cancel", str(waiting["id"])).returncode == 2
        assert not portal.sandbox.calls_of("bizproc.workflow.kill")


def test_outside_its_hours_a_rule_waits_for_the_calendar(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%a").lower()
    hours = f"{{timezone: UTC, days: [{tomorrow}], from: '00:00', to: '24:00'}}"
    calendar = f"calendars: {{office: {hours}}}\n"
    given = rule(during="office").replace("rules:", f"{calendar}rules:")
    with running(tmp_path, portal.url, rules=given) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (waiting,) = with_outcome(service, "waiting")
        assert "office" in str(waiting["detail"])
    assert portal.sandbox.killed == []


def test_of_five_equal_workflows_exactly_the_newest_lives(
    on_premise: SandboxServer, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(hours=5)
    ids = [
        lost_deal(on_premise.sandbox, 759, started=start + timedelta(hours=number))
        for number in range(5)
    ]
    given = rule(keep="newest", per="[document, template]")
    with running(tmp_path, on_premise.url, rules=given) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        with_outcome(service, "killed", 4)
    assert set(on_premise.sandbox.workflows) == {ids[4]}


def test_a_sixth_that_starts_in_the_middle_is_the_one_that_lives(
    on_premise: SandboxServer, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(hours=5)
    for number in range(5):
        lost_deal(on_premise.sandbox, 759, started=start + timedelta(hours=number))
    started = []
    calls = on_premise.sandbox.calls = StrikingCalls(on_premise.sandbox)
    calls.strike = lambda: started.append(lost_deal(on_premise.sandbox, 759))
    given = rule(
        when="[{every: 2s}]", keep="newest", per="[document, template]", limit="{per_document: 9}"
    )
    with running(tmp_path, on_premise.url, rules=given) as service:
        eventually(lambda: set(on_premise.sandbox.workflows) == {*started} or None, seconds=60)
        with_outcome(service, "killed", 5)
    assert len(started) == 1
    assert started[0] not in on_premise.sandbox.killed


def test_keep_over_all_documents_spares_one_of_each_template(
    portal: SandboxServer, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(hours=5)
    ids = [
        lost_deal(portal.sandbox, 700 + number, started=start + timedelta(hours=number))
        for number in range(5)
    ]
    given = rule(when="[{every: 2s}]", keep="oldest", per="[template]")
    with running(tmp_path, portal.url, rules=given) as service:
        with_outcome(service, "killed", 4)
    assert set(portal.sandbox.workflows) == {ids[0]}


def test_a_run_over_its_limit_is_not_begun(portal: SandboxServer, tmp_path: Path) -> None:
    for number in range(25):
        lost_deal(portal.sandbox, 700 + number)
    given = rule(when="[{every: 2s}]", limit="{per_run: 24, per_hour: 100}")
    with running(tmp_path, portal.url, rules=given) as service:
        (held, *_) = with_outcome(service, "held", 25)
        assert "25 condemned in one run, per_run is 24" in str(held["detail"])
        assert json.loads(service.get("/readyz")[1])["tripped"] == ["the-rule"]
        service.end()
        (tmp_path / "rules.yaml").write_text(
            rule(when="[{every: 1h}]", limit="{per_run: 25, per_hour: 100}")
        )
        service.start()
        service.command("rearm", "the-rule")
        with_outcome(service, "killed", 25, seconds=40)
    assert portal.sandbox.workflows == {}


def test_a_share_of_the_running_is_a_limit_too(portal: SandboxServer, tmp_path: Path) -> None:
    for number in range(6):
        lost_deal(portal.sandbox, 700 + number)
    for number in range(18):
        portal.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 7)
    given = rule(when="[{every: 2s}]", limit="{percent_of_running: 20}")
    with running(tmp_path, portal.url, rules=given) as service:
        (held, *_) = with_outcome(service, "held", 6)
        assert "6 condemned of 24 running" in str(held["detail"])
    assert portal.sandbox.killed == []


def test_a_dismissed_persons_workflows_are_stopped_and_a_hidden_ones_are_not(
    portal: SandboxServer, tmp_path: Path
) -> None:
    portal.sandbox.add_user(7, active=True)
    portal.sandbox.add_user(12, active=False)
    lost_deal(portal.sandbox, 1, started_by=7)
    dismissed = lost_deal(portal.sandbox, 2, started_by=12)
    lost_deal(portal.sandbox, 3, started_by=99)
    lost_deal(portal.sandbox, 4, started_by=0)
    given = rule(
        **{"when": "[{every: 2s}]", "if": "{workflow.template_id: 61, starter.active: false}"}
    )
    with running(tmp_path, portal.url, rules=given) as service:
        with_outcome(service, "killed")
    assert portal.sandbox.killed == [dismissed]


def test_a_sweep_is_planned_with_observe_and_then_run(
    portal: SandboxServer, tmp_path: Path
) -> None:
    ids = [lost_deal(portal.sandbox, 700 + number) for number in range(3)]
    with running(tmp_path, portal.url, rules=rule(), RESPONDER_SWEEP_EVERY="0") as service:
        planned = service.command("sweep", "--observe")
        assert planned.returncode == 0, planned.stderr
        assert all(f"{workflow}" in planned.stdout for workflow in ids)
        assert planned.stdout.count("would_kill") == 3
        assert service.decisions() == []
        done = service.command("sweep", "--rule", "the-rule", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert {one["workflow"] for one in found} == set(ids)
        assert {one["outcome"] for one in found} == {"killed"}
    assert set(portal.sandbox.killed) == set(ids)


def test_a_sweep_that_could_not_read_everything_says_so_and_is_made_again(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759)
    with running(
        tmp_path, portal.url, rules=rule(), program=HURRIED, RESPONDER_SWEEP_EVERY="0"
    ) as service:
        portal.sandbox.fail_next("crm.item.list", "500", times=6)
        planned = service.command("sweep", "--observe")
        assert planned.returncode == 1
        assert "incomplete: 1 documents could not be read" in planned.stderr
        assert "tried again" not in planned.stderr
        status = json.loads(service.command("status", "--json").stdout)
        assert status["portals"]["main"]["incomplete_since"] == {}
        metrics = service.get("/metrics")[1].decode()
        assert "responder_found_by_sweep_total 0.0" in metrics
        done = service.command("sweep")
        assert done.returncode == 1
        assert "tried again every minute" in done.stderr
        shown = service.command("status").stdout
        assert "incomplete since     sweep 2" in shown
        assert portal.sandbox.killed == []
        service.pass_a_minute()
        with_outcome(service, "killed", seconds=45)
        eventually(lambda: "incomplete since     -" in service.command("status").stdout or None)
    assert portal.sandbox.killed == [condemned]
