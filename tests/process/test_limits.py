"""Limits, pause and rearm, on the whole program: a mistake in a rule costs little."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import HURRIED, Running, event, eventually, running

DEAL = ("crm", "CCrmDocumentDeal")


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(kind="on_premise")) as server:  # many run on one deal
        yield server


def rules(limit: str) -> str:
    return f"""\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    if: {{deal.stage_semantic_id: F, workflow.template_id: 61}}
    limit: {limit}
    then: kill
"""


def lost_deal(sandbox: Sandbox, item_id: int, workflows: int = 1) -> list[str]:
    sandbox.add_item(2, item_id, stageSemanticId="F", categoryId=0)
    triple = (*DEAL, f"DEAL_{item_id}")
    return [sandbox.start_workflow(triple, 61) for _ in range(workflows)]


def with_outcome(service: Running, outcome: str, count: int) -> list[dict[str, object]]:
    def look() -> list[dict[str, object]] | None:
        found = [d for d in service.decisions() if d["outcome"] == outcome]
        return found if len(found) >= count else None

    return eventually(look, why=lambda: json.dumps(service.decisions()))


def test_a_set_over_the_limit_is_not_begun_and_says_why(
    portal: SandboxServer, tmp_path: Path
) -> None:
    condemned = lost_deal(portal.sandbox, 759, workflows=8)
    given = rules("{per_hour: 5, per_document: 100}")
    with running(tmp_path, portal.url, rules=given) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        held = with_outcome(service, "held", 8)
        assert "8 condemned at once and 0 within the last hour, per_hour is 5" in str(
            held[0]["detail"]
        )
        ready = json.loads(service.get("/readyz")[1])
        assert ready["tripped"] == ["lost-deal"]
        assert service.get("/readyz")[0] == 200
        assert b'responder_rule_tripped{rule="lost-deal"} 1.0' in service.get("/metrics")[1]
        assert "TRIPPED" in service.command("status").stdout
        innocent = lost_deal(portal.sandbox, 760)
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "held", 9)
        assert portal.sandbox.killed == []
        # rearmed, the set is still too large: it trips again, and nothing dies
        assert "9 held stops" in service.command("rearm", "lost-deal").stdout
        with_outcome(service, "held", 9)
        assert portal.sandbox.killed == []
        # with room for it, all of it goes
        service.end()
        (tmp_path / "rules.yaml").write_text(rules("{per_hour: 20, per_document: 100}"))
        service.start()
        service.command("rearm", "lost-deal")
        with_outcome(service, "killed", 9)
    assert set(portal.sandbox.killed) == {*condemned, *innocent}


def test_what_a_rule_did_counts_over_a_restart(portal: SandboxServer, tmp_path: Path) -> None:
    for item_id in range(1, 5):
        lost_deal(portal.sandbox, item_id)
    with running(tmp_path, portal.url, rules=rules("{per_hour: 3}")) as service:
        for item_id in (1, 2):
            service.post(event("ONCRMDEALUPDATE", item_id))
        with_outcome(service, "killed", 2)
        service.end()
        service.start()
        for item_id in (3, 4):
            service.post(event("ONCRMDEALUPDATE", item_id))
        with_outcome(service, "held", 1)
        with_outcome(service, "killed", 3)
    assert len(portal.sandbox.killed) == 3


def test_a_document_whose_workflows_come_back_is_held_alone(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    with running(tmp_path, portal.url, rules=rules("{per_document: 2}")) as service:
        for number in (1, 2):
            service.post(event("ONCRMDEALUPDATE", 759))
            with_outcome(service, "killed", number)
            portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
        service.post(event("ONCRMDEALUPDATE", 759))
        (held,) = with_outcome(service, "held", 1)
        assert "rules fight, or the workflow restarts itself" in str(held["detail"])
        assert json.loads(service.get("/readyz")[1])["tripped"] == []
        other = lost_deal(portal.sandbox, 760)
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "killed", 3)
        assert portal.sandbox.killed[-1:] == other
        assert service.command("rearm", "lost-deal").returncode == 0
        with_outcome(service, "killed", 4)


def test_pause_holds_everything_through_a_restart_and_resume_judges_afresh(
    portal: SandboxServer, tmp_path: Path
) -> None:
    first, second = lost_deal(portal.sandbox, 759) + lost_deal(portal.sandbox, 760)
    with running(tmp_path, portal.url, rules=rules("{per_hour: 30}")) as service:
        assert service.command("pause").returncode == 0
        assert "already" in service.command("pause").stderr
        service.post(event("ONCRMDEALUPDATE", 759))
        service.post(event("ONCRMDEALUPDATE", 760))
        with_outcome(service, "held", 2)
        service.end()
        service.start()
        assert json.loads(service.get("/readyz")[1])["paused"] is True
        portal.sandbox.items[2, 760]["stageSemanticId"] = "P"
        assert "2 held stops" in service.command("resume").stdout
        with_outcome(service, "killed", 1)
        (cleared,) = with_outcome(service, "cleared", 1)
        assert "no longer holds" in str(cleared["detail"])
    assert portal.sandbox.killed == [first]
    assert second in portal.sandbox.workflows


def test_in_observe_mode_nothing_trips_and_the_detail_says_what_would(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759, workflows=8)
    given = rules("{per_hour: 5}")
    with running(tmp_path, portal.url, rules=given, RESPONDER_MODE="observe") as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        would = with_outcome(service, "would_kill", 8)
        assert "would have tripped" in str(would[0]["detail"])
        assert json.loads(service.get("/readyz")[1])["tripped"] == []


def test_without_its_evidence_nothing_is_killed(portal: SandboxServer, tmp_path: Path) -> None:
    lost_deal(portal.sandbox, 759)
    portal.sandbox.fail_next("bizproc.task.list", "500", times=1000)
    given = rules("{per_hour: 5}")
    with running(tmp_path, portal.url, rules=given, program=HURRIED) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (waiting,) = with_outcome(service, "waiting", 1)
        assert "its evidence could not be read" in str(waiting["detail"])
        assert not portal.sandbox.calls_of("bizproc.workflow.kill")
        portal.sandbox.faults.clear()
        service.pass_a_minute()
        with_outcome(service, "killed", 1)


def test_an_unknown_rule_cannot_be_rearmed(portal: SandboxServer, tmp_path: Path) -> None:
    with running(tmp_path, portal.url) as service:
        done = service.command("rearm", "lost-dael")
    assert done.returncode == 2
    assert "Did you mean lost-deal?" in done.stderr
